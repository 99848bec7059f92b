// The names of what is in the queue: a message, and one recipient of it (an envelope). What
// `smtpctl`, the logs and the Received: field show. (Not the Message-ID: field of the content.)
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace postern {

// 64 bits, written as 16 lower-case hexadecimal digits. 0 names no message.
struct MessageId {
    std::uint64_t value = 0;

    explicit operator bool() const { return value != 0; }
    friend auto operator<=>(const MessageId&, const MessageId&) = default;
};

// Written as "<message id>.<index>", the index in decimal.
struct EnvelopeId {
    MessageId message;
    std::uint32_t recipient = 0; // index among the recipients of the message, from 0

    friend auto operator<=>(const EnvelopeId&, const EnvelopeId&) = default;
};

std::string to_string(MessageId id);
std::string to_string(EnvelopeId id);

// Exactly 16 hexadecimal digits of either case, not all zero.
std::optional<MessageId> parse_message_id(std::string_view text);
// A message id, a dot, and a decimal number of 32 bits without leading zeros.
std::optional<EnvelopeId> parse_envelope_id(std::string_view text);
// Either form.
std::optional<std::variant<MessageId, EnvelopeId>> parse_queue_id(std::string_view text);

} // namespace postern

template <> struct std::hash<postern::MessageId> {
    std::size_t operator()(const postern::MessageId& id) const noexcept {
        return std::hash<std::uint64_t>{}(id.value);
    }
};
template <> struct std::hash<postern::EnvelopeId> {
    std::size_t operator()(const postern::EnvelopeId& id) const noexcept {
        // A message has few recipients: spread their indexes over the upper bits.
        return std::hash<std::uint64_t>{}(id.message.value ^
                                          (id.recipient * 0x9e3779b97f4a7c15ull));
    }
};
