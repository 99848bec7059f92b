// The lines of Dovecot's authentication protocol, version 1, as its client writes and reads them
// (https://doc.dovecot.org/2.3/developer_manual/design/auth_protocol/). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "common/base/ip_address.h"
#include "common/base/secret.h"
#include "common/smtp/sasl.h"

namespace postern::dovecot {

// Octets with the line's end. What Dovecot takes, and what we take from it.
inline constexpr size_t line_limit = 16384;
// Of a message that fits into such a line, in base64 and beside everything else.
inline constexpr size_t message_limit = 12000;

struct Version {
    uint32_t major = 0;
};
struct Mechanism {
    std::optional<SaslMechanism> mechanism; // nothing: none that we offer
};
struct Done {}; // of the handshake
struct Challenge {
    uint32_t request = 0;
    std::string text;
};
struct Success {
    uint32_t request = 0;
    std::string user; // as Dovecot knows it
};
struct Failure {
    uint32_t request = 0;
    std::string user;       // as far as it is known
    bool temporary = false; // Dovecot's trouble, not the client's
};
struct Other {}; // of no interest
using Reply = std::variant<Other, Version, Mechanism, Done, Challenge, Success, Failure>;

// Of a line without its end. Nothing: it is malformed.
std::optional<Reply> parse_reply(std::string_view line);

// `client_id` must be unlike that of all other clients of this Dovecot.
std::string hello(uint32_t client_id);
// An exchange begins, with the client's first message.
Secret begin(uint32_t request, SaslMechanism mechanism, const IpAddress& client,
             std::string_view message);
Secret go_on(uint32_t request, std::string_view message);
std::string cancel(uint32_t request);

} // namespace postern::dovecot
