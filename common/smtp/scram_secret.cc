#include "common/smtp/scram_secret.h"

#include <algorithm>

#include "common/base/base64.h"
#include "common/base/decimal.h"

namespace postern {

namespace {

// No sign, no leading zero.
std::optional<uint32_t> parse_iterations(std::string_view text) {
    const std::optional<uint32_t> value = parse_decimal<uint32_t>(text);
    if (!value || text.front() == '0' || *value < ScramSecret::least_iterations ||
        *value > ScramSecret::most_iterations)
        return std::nullopt;
    return value;
}

// Takes what stands before `end` off `text`.
std::string_view take_until(std::string_view& text, char end) {
    const size_t length = std::min(text.find(end), text.size());
    const std::string_view taken = text.substr(0, length);
    text.remove_prefix(std::min(length + 1, text.size()));
    return taken;
}

} // namespace

std::optional<ScramSecret> parse_scram_secret(std::string_view text) {
    if (!text.starts_with(scram_secret_prefix))
        return std::nullopt;
    text.remove_prefix(scram_secret_prefix.size());
    const auto iterations = parse_iterations(take_until(text, ':'));
    auto salt = decode_base64(take_until(text, '$'));
    auto stored_key = decode_base64(take_until(text, ':'));
    auto server_key = decode_base64(text);
    if (!iterations || !salt || salt->empty() || salt->size() > ScramSecret::longest_salt ||
        !stored_key || stored_key->size() != ScramSecret::key_size || !server_key ||
        server_key->size() != ScramSecret::key_size)
        return std::nullopt;
    ScramSecret secret;
    secret.iterations = *iterations;
    secret.salt = *std::move(salt);
    secret.stored_key = *std::move(stored_key);
    secret.server_key = *std::move(server_key);
    return secret;
}

std::string to_string(const ScramSecret& secret) {
    return std::string(scram_secret_prefix) + std::to_string(secret.iterations) + ":" +
           encode_base64(secret.salt) + "$" + encode_base64(secret.stored_key) + ":" +
           encode_base64(secret.server_key);
}

} // namespace postern
