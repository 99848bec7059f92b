// The codec of the spool's records. Every length is checked before it is used: the disk may lie.
#include "queue/spool/record.h"

#include "common/base/crc32c.h"
#include "queue/spool/coding.h"

namespace postern {

namespace {

bool known_type(uint8_t type) {
    return type >= static_cast<uint8_t>(RecordType::Message) &&
           type <= static_cast<uint8_t>(RecordType::Index);
}

uint32_t record_crc(const char* record, uint32_t length) {
    return crc32c(std::string_view(record + 4, record_header_size - 4 + length));
}

} // namespace

void append_record(std::string& out, RecordType type, uint8_t flags, uint64_t id,
                   std::initializer_list<std::string_view> payload) {
    size_t begin = out.size();
    size_t length = 0;
    for (std::string_view piece : payload)
        length += piece.size();
    put_u32(out, 0); // checksum
    put_u32(out, static_cast<uint32_t>(length));
    out.push_back(static_cast<char>(type));
    out.push_back(static_cast<char>(flags));
    out.append(2, '\0');
    put_u32(out, 0); // durable end
    put_u64(out, id);
    put_u64(out, 0); // stamp
    for (std::string_view piece : payload)
        out.append(piece);
    out.resize(begin + record_size(length), '\0');
}

void finish_record(char* record, uint64_t stamp, uint32_t durable_end) {
    store_u32(record + 12, durable_end);
    store_u64(record + 24, stamp);
    store_u32(record, record_crc(record, load_u32(record + 4)));
}

std::optional<RecordHeader> peek_header(std::string_view data) {
    if (data.size() < record_header_size)
        return std::nullopt;
    const char* at = data.data();
    auto type = static_cast<uint8_t>(at[8]);
    auto flags = static_cast<uint8_t>(at[9]);
    if (!known_type(type) || (flags & ~record_flag_content_file) != 0 || at[10] != 0 || at[11] != 0)
        return std::nullopt;
    RecordHeader header;
    header.type = static_cast<RecordType>(type);
    header.flags = flags;
    header.length = load_u32(at + 4);
    header.durable_end = load_u32(at + 12);
    header.id = load_u64(at + 16);
    header.stamp = load_u64(at + 24);
    return header;
}

Decoded decode_record(std::string_view data, uint64_t stamp, Record& record) {
    if (data.size() < record_header_size)
        return all_zero(data) ? Decoded::Blank : Decoded::Truncated;
    auto header = peek_header(data);
    if (!header)
        return all_zero(data.substr(0, record_header_size)) ? Decoded::Blank : Decoded::BadHeader;
    if (data.size() - record_header_size < header->length)
        return Decoded::Truncated;
    if (load_u32(data.data()) != record_crc(data.data(), header->length))
        return Decoded::BadChecksum;
    record.header = *header;
    record.payload = data.substr(record_header_size, header->length);
    return header->stamp == stamp ? Decoded::Ok : Decoded::Stale;
}

std::string encode_message_prefix(uint64_t content_length, uint32_t content_crc,
                                  std::string_view envelope) {
    std::string out;
    put_u64(out, content_length);
    put_u32(out, content_crc);
    put_u32(out, static_cast<uint32_t>(envelope.size()));
    put_u32(out, crc32c(envelope, crc32c(out)));
    put_u32(out, 0);
    return out;
}

std::optional<MessagePrefix> decode_message_prefix(std::string_view payload, uint8_t flags,
                                                   uint32_t payload_length) {
    if (payload.size() < message_prefix_size || payload_length < message_prefix_size)
        return std::nullopt;
    const char* at = payload.data();
    MessagePrefix prefix{load_u64(at), load_u32(at + 8), load_u32(at + 12), load_u32(at + 16)};
    bool in_file = (flags & record_flag_content_file) != 0;
    uint64_t rest = payload_length - message_prefix_size;
    if (prefix.envelope_length > rest)
        return std::nullopt;
    rest -= prefix.envelope_length;
    if (in_file ? rest != 0 : rest != prefix.content_length)
        return std::nullopt;
    return prefix;
}

std::optional<std::string_view> message_envelope(std::string_view payload,
                                                 const MessagePrefix& prefix) {
    if (payload.size() < message_prefix_size ||
        payload.size() - message_prefix_size < prefix.envelope_length)
        return std::nullopt;
    std::string_view envelope = payload.substr(message_prefix_size, prefix.envelope_length);
    if (crc32c(envelope, crc32c(payload.substr(0, 16))) != prefix.envelope_crc)
        return std::nullopt;
    return envelope;
}

std::string encode_removed(uint64_t message_epoch) {
    std::string out;
    put_u64(out, message_epoch);
    return out;
}

std::optional<uint64_t> decode_removed(std::string_view payload) {
    if (payload.size() != 8)
        return std::nullopt;
    return load_u64(payload.data());
}

std::string encode_index(const std::vector<IndexEntry>& entries) {
    std::string out;
    out.reserve(entries.size() * index_entry_size);
    for (const IndexEntry& entry : entries) {
        put_u64(out, entry.id);
        put_u32(out, entry.offset);
        put_u32(out, entry.length);
        out.push_back(static_cast<char>(entry.type));
        out.push_back(static_cast<char>(entry.flags));
        out.append(6, '\0');
        put_u64(out, entry.target_epoch);
    }
    return out;
}

std::optional<std::vector<IndexEntry>> decode_index(std::string_view payload) {
    if (payload.size() % index_entry_size != 0)
        return std::nullopt;
    std::vector<IndexEntry> entries;
    entries.reserve(payload.size() / index_entry_size);
    for (const char* at = payload.data(); at < payload.data() + payload.size();
         at += index_entry_size) {
        auto type = static_cast<uint8_t>(at[16]);
        auto flags = static_cast<uint8_t>(at[17]);
        if (!known_type(type) || type == static_cast<uint8_t>(RecordType::Index) ||
            (flags & ~record_flag_content_file) != 0 || !all_zero({at + 18, 6}))
            return std::nullopt;
        entries.push_back({load_u64(at), load_u32(at + 8), load_u32(at + 12),
                           static_cast<RecordType>(type), flags, load_u64(at + 24)});
    }
    return entries;
}

} // namespace postern
