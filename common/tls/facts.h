// What the two ends of an encrypted connection know of each other.
#pragma once

#include <string>

#include "common/sasl/channel_bindings.h"

namespace postern {

// How a server has proved who it is.
enum class TlsProof {
    none,        // it has not been asked
    certificate, // somebody who is trusted vouches for it
    dane,        // its zone does (RFC 7672)
};

// What was agreed on, for the log and for trace fields.
struct TlsFacts {
    std::string protocol;            // "TLSv1.3"
    std::string cipher;              // its IANA name, "TLS_AES_256_GCM_SHA384"
    std::string server_name;         // that the client asked for (RFC 6066 3); empty: none
    std::string client_subject;      // of the client's certificate, if it was verified; else empty
    TlsProof proof = TlsProof::none; // of a client: what it knows of the server
    bool resumed = false;
    ChannelBindings bindings; // of a client tls-exporter alone
};

} // namespace postern
