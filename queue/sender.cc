#include "queue/sender.h"

#include <algorithm>
#include <functional>

#include "common/smtp/text.h"

namespace postern {

std::string sender_name(const ipc::Envelope& envelope) {
    const ipc::Origin& origin = envelope.origin;
    if (!origin.authenticated.empty())
        return "user " + origin.authenticated;
    const std::string path = ascii_lower(envelope.reverse_path);
    const size_t at = std::min(path.rfind('@'), path.size());
    const std::string_view local_part = std::string_view(path).substr(0, at);
    const size_t varies = std::min(local_part.find_first_of("+-=0123456789"), at);
    return (origin.client.version == 6 ? origin.client.prefix(64) : origin.client).to_string() +
           " " + path.substr(0, varies) + path.substr(at);
}

uint16_t sender_key(const ipc::Envelope& envelope, uint64_t seed) {
    const std::string text = std::to_string(seed) + sender_name(envelope);
    const uint64_t hash = std::hash<std::string>()(text);
    return static_cast<uint16_t>(hash ^ (hash >> 16) ^ (hash >> 32) ^ (hash >> 48));
}

} // namespace postern
