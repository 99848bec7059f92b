// Between lookup and pam: whether a password is that of a user whom PAM knows. And between pam and
// the helper that it has the supervisor run for each of them.
//
// Lookup has at most `pam_credit` questions open; pam ends a lookup that has more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <tuple>
#include <variant>

#include "common/base/ip_address.h"
#include "common/base/secret.h"
#include "common/ipc/authentication.h"
#include "common/ipc/codec.h"

namespace postern::ipc {

inline constexpr uint32_t pam_credit = 128;

struct CheckPassword {
    uint32_t request = 0;
    std::string service; // one of PamSettings
    std::string user;    // as the client says it
    Secret password;
    IpAddress client;
    static constexpr auto fields(auto& m) {
        return std::tie(m.request, m.service, m.user, m.password, m.client);
    }
};

struct PasswordChecked {
    uint32_t request = 0;
    Authentication verdict = Authentication::temporary;
    std::string user; // ok: as PAM knows it, which may be another name than was asked for
    static constexpr auto fields(auto& m) { return std::tie(m.request, m.verdict, m.user); }
};

using LookupToPam = std::variant<CheckPassword>;
using PamToLookup = std::variant<PasswordChecked>;

// What the helper reads, and what it writes; each is encoded by itself (encode_bytes) and ends with
// the pipe. A question and a finding have no more than so many bytes.
inline constexpr size_t pam_pipe_limit = 4096;

struct PamQuestion {
    std::string user;
    Secret password;
    std::string remote_host; // the client's address as text
    static constexpr auto fields(auto& m) { return std::tie(m.user, m.password, m.remote_host); }
};

// It counts only if the helper has exited with 0.
struct PamFinding {
    Authentication verdict = Authentication::temporary;
    std::string user;   // PAM's, after it was asked
    std::string reason; // not ok: for the operator
    static constexpr auto fields(auto& m) { return std::tie(m.verdict, m.user, m.reason); }
};

} // namespace postern::ipc
