// Between listeners and lookup: who a client is, and whose addresses it may use, besides the
// questions of routing.h. Nobody but a listener can ask these.
#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include "common/base/ip_address.h"
#include "common/base/secret.h"
#include "common/ipc/codec.h"
#include "common/ipc/routing.h"
#include "common/sasl/channel_bindings.h"
#include "common/smtp/sasl.h"

namespace postern::ipc {

inline constexpr uint32_t authentication_credit = 128; // passwords one listener may have checked
inline constexpr uint32_t exchange_credit = 1024;      // steps of exchanges not answered yet
inline constexpr uint32_t sender_credit = 4096;

// Is this the password of this user?
struct Authenticate {
    uint32_t request = 0;
    std::string table; // of credentials: the listener's; or others (common/smtp/sasl.h)
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

// An exchange of SASL messages (RFC 4422) between a client and lookup, which has the secrets: a
// mechanism other than those of Authenticate. The listener passes on what the client says, and each
// message gets one answer. While that is a challenge, lookup keeps the exchange: until the last
// answer, SaslCancel, the listener's end, or until it has waited too long. How many it keeps, and
// how many steps each may have, is bounded: beyond that the answer is "temporary".
struct SaslStart {
    uint32_t request = 0;
    uint64_t exchange = 0; // the session's ID; one that it has begun before is dropped
    std::string table;     // as in Authenticate
    SaslMechanism mechanism = SaslMechanism::scram_sha_256;
    Secret response; // the client's first message
    ChannelBindings bindings;
    IpAddress client;
    static constexpr auto fields(auto& m) {
        return std::tie(m.request, m.exchange, m.table, m.mechanism, m.response, m.bindings,
                        m.client);
    }
};

struct SaslResponse {
    uint32_t request = 0;
    uint64_t exchange = 0;
    Secret response;
    static constexpr auto fields(auto& m) { return std::tie(m.request, m.exchange, m.response); }
};

// The client has given up, or has gone. No answer.
struct SaslCancel {
    uint64_t exchange = 0;
    static constexpr auto fields(auto& m) { return std::tie(m.exchange); }
};

enum class SaslVerdict : uint8_t {
    challenge, // the client is to answer it
    ok,
    failed,    // as in Authentication
    malformed, // the client's message is none of this mechanism
    temporary, // it cannot be told now, or lookup does not know the exchange
};
constexpr SaslVerdict last_enumerator(SaslVerdict) { return SaslVerdict::temporary; }

struct SaslAnswer {
    uint32_t request = 0;
    SaslVerdict verdict = SaslVerdict::temporary;
    std::string challenge;
    std::string user; // ok: as in AuthenticateAnswer; else what the client says, for the log
    static constexpr auto fields(auto& m) {
        return std::tie(m.request, m.verdict, m.challenge, m.user);
    }
};

// What a Dovecot has announced, of what we offer. It is told at the beginning, if it is known, and
// whenever it has changed.
struct DovecotMechanisms {
    std::string credentials; // common/smtp/sasl.h
    std::vector<SaslMechanism> mechanisms;
    static constexpr auto fields(auto& m) { return std::tie(m.credentials, m.mechanisms); }
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

using ListenerToLookup =
    std::variant<RouteQuery, Authenticate, SenderQuery, SaslStart, SaslResponse, SaslCancel>;
using LookupToListener = std::variant<RouteAnswer, AuthenticateAnswer, SenderAnswer, SaslAnswer, DovecotMechanisms>;

} // namespace postern::ipc
