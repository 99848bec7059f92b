// Where the machine has the certificates of the authorities that it trusts, in PEM form.
#pragma once

namespace postern {

inline constexpr const char* system_authorities_path = "/etc/ssl/certs/ca-certificates.crt";

} // namespace postern
