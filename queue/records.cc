#include "queue/records.h"

#include <algorithm>

namespace postern {

namespace {

constexpr uint8_t message_format = 4;
constexpr uint8_t progress_format = 4;

template <class T> Result<T> decode(std::string_view bytes, uint8_t format, const char* what) {
    if (!bytes.empty() && static_cast<uint8_t>(bytes[0]) != format)
        return Error{std::string(what) + " of an unknown format"};
    T value;
    if (!ipc::decode_bytes(bytes, value))
        return Error{std::string(what) + " is malformed"};
    return value;
}

constexpr size_t reason_limit = 256; // bytes

} // namespace

AttemptError own_words(const char* enhanced, const std::string& what, const std::string& reason) {
    AttemptError error;
    error.enhanced = enhanced;
    error.diagnostic = what;
    if (!reason.empty())
        error.diagnostic += ": " + reason.substr(0, reason_limit);
    std::replace_if(
        error.diagnostic.begin(), error.diagnostic.end(),
        [](char c) { return c < 0x20 || c >= 0x7f; }, '?');
    return error;
}

std::string suspended_by(uint32_t order) {
    return "suspended by the postmaster (order " + std::to_string(order) + ")";
}

void StoredProgress::set_finished(uint32_t index) {
    const size_t byte = index / 8;
    if (finished.bytes.size() <= byte)
        finished.bytes.resize(byte + 1);
    finished.bytes[byte] = static_cast<char>(finished.bytes[byte] | 1 << index % 8);
}

bool StoredProgress::is_finished(uint32_t index) const {
    const size_t byte = index / 8;
    return byte < finished.bytes.size() && (finished.bytes[byte] >> index % 8 & 1);
}

std::string encode(const StoredMessage& message) { return ipc::encode_bytes(message); }
std::string encode(const StoredProgress& progress) { return ipc::encode_bytes(progress); }

Result<StoredMessage> decode_message(std::string_view bytes) {
    Result<StoredMessage> message =
        decode<StoredMessage>(bytes, message_format, "an envelope record");
    if (message && message->envelope.recipients.empty())
        return Error{"an envelope record without recipients"};
    return message;
}

Result<StoredProgress> decode_progress(std::string_view bytes, size_t recipients) {
    Result<StoredProgress> progress =
        decode<StoredProgress>(bytes, progress_format, "a progress record");
    if (!progress)
        return progress;
    if (progress->finished.bytes.size() > (recipients + 7) / 8)
        return Error{"a progress record for more recipients than there are"};
    for (const RecipientProgress& one : progress->recipients)
        if (one.index >= recipients || one.error > progress->errors.size() ||
            (one.told & ~told::all) != 0)
            return Error{"a progress record that contradicts itself"};
    return progress;
}

} // namespace postern
