// Writing and reading the names of queued messages.
#include "common/mail/message_id.h"

#include <charconv>

namespace postern {

namespace {
constexpr std::size_t digits = 16;
}

std::string to_string(MessageId id) {
    static constexpr char hex[] = "0123456789abcdef";
    std::string out(digits, '0');
    for (std::size_t i = 0; i < digits; ++i)
        out[i] = hex[(id.value >> (60 - 4 * i)) & 15];
    return out;
}

std::string to_string(EnvelopeId id) {
    return to_string(id.message) + '.' + std::to_string(id.recipient);
}

std::optional<MessageId> parse_message_id(std::string_view text) {
    if (text.size() != digits)
        return std::nullopt;
    MessageId id;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, id.value, 16);
    if (error != std::errc() || stop != end || !id)
        return std::nullopt;
    return id;
}

std::optional<EnvelopeId> parse_envelope_id(std::string_view text) {
    if (text.size() < digits + 2 || text[digits] != '.')
        return std::nullopt;
    const auto message = parse_message_id(text.substr(0, digits));
    const std::string_view number = text.substr(digits + 1);
    if (!message || (number.front() == '0' && number.size() > 1))
        return std::nullopt;
    EnvelopeId id{*message, 0};
    const char* end = number.data() + number.size();
    const auto [stop, error] = std::from_chars(number.data(), end, id.recipient);
    if (error != std::errc() || stop != end)
        return std::nullopt;
    return id;
}

std::optional<std::variant<MessageId, EnvelopeId>> parse_queue_id(std::string_view text) {
    if (const auto message = parse_message_id(text))
        return *message;
    if (const auto envelope = parse_envelope_id(text))
        return *envelope;
    return std::nullopt;
}

} // namespace postern
