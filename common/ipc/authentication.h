// Between listeners and lookup: who a client is, and whose addresses it may use, besides the
// questions of routing.h. Nobody but a listener can ask these.
#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <variant>

#include "common/base/ip_address.h"
#include "common/base/secret.h"
#include "common/ipc/codec.h"
#include "common/ipc/routing.h"

namespace postern::ipc {

inline constexpr uint32_t authentication_credit = 128; // passwords one listener may have checked
inline constexpr uint32_t sender_credit = 4096;

// Is this the password of this user?
struct Authenticate {
    uint32_t request = 0;
    std::string table; // of credentials: the listener's
    std::string user;  // as the client says it
    Secret password;
    IpAddress client;
    static constexpr auto fields(auto& m) {
        return std::tie(m.request, m.table, m.user, m.password, m.client);
    }
};

enum class Authentication : uint8_t {
    ok,
    failed,    // no such user, or another password: which of them is not said
    temporary, // it cannot be told now
};
constexpr Authentication last_enumerator(Authentication) { return Authentication::temporary; }

struct AuthenticateAnswer {
    uint32_t request = 0;
    Authentication verdict = Authentication::temporary;
    std::string user; // ok: the name by which the account is known to rules and tables
    static constexpr auto fields(auto& m) { return std::tie(m.request, m.verdict, m.user); }
};

// May this user send with this reverse-path?
struct SenderQuery {
    uint32_t request = 0;
    std::string table;        // of senders: the listener's
    std::string user;         // as AuthenticateAnswer has it
    std::string reverse_path; // in wire form without brackets
    static constexpr auto fields(auto& m) {
        return std::tie(m.request, m.table, m.user, m.reverse_path);
    }
};

enum class SenderVerdict : uint8_t { owned, not_owned, temporary };
constexpr SenderVerdict last_enumerator(SenderVerdict) { return SenderVerdict::temporary; }

struct SenderAnswer {
    uint32_t request = 0;
    SenderVerdict verdict = SenderVerdict::temporary;
    static constexpr auto fields(auto& m) { return std::tie(m.request, m.verdict); }
};

using ListenerToLookup = std::variant<RouteQuery, Authenticate, SenderQuery>;
using LookupToListener = std::variant<RouteAnswer, AuthenticateAnswer, SenderAnswer>;

} // namespace postern::ipc
