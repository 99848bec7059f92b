// The records of the spool's log: a pure codec, no files here.
//
// Layout, little-endian, every record beginning at a multiple of 8 bytes:
//
//    0  u32  CRC-32C of bytes 4 .. 32 + length
//    4  u32  length of the payload
//    8  u8   type
//    9  u8   flags
//   10  u16  0
//   12  u32  durable end: up to this offset the segment was known to be on disk when this was
//   written 16  u64  message id 24  u64  stamp of the segment: a random number drawn each time its
//   file is put to use. It tells
//            records of a recycled file's former life, and no mail can contain a record in
//            disguise.
//   32       payload, then zeros up to a multiple of 8
//
// The durable end tells a torn write from damage: if a bad record lies below the durable end of a
// later one, it had been on disk, and somebody may have been answered for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace postern {

enum class RecordType : uint8_t {
    Message = 1,  // see MessagePayload
    Progress = 2, // opaque: the state of the message's recipients
    Removed = 3,  // u64: epoch of the segment that holds the Message record
    Index = 4,    // ends a sealed segment; see IndexEntry
};

constexpr uint8_t record_flag_content_file = 1; // Message: the content has a file of its own

constexpr size_t record_header_size = 32;

struct RecordHeader {
    RecordType type = RecordType::Message;
    uint8_t flags = 0;
    uint32_t length = 0; // of the payload, bytes
    uint32_t durable_end = 0;
    uint64_t id = 0;
    uint64_t stamp = 0;
};

struct Record {
    RecordHeader header;
    std::string_view payload; // into the decoded data
};

// Bytes that a record with such a payload takes, padding included.
constexpr uint64_t record_size(uint64_t payload_length) {
    return (record_header_size + payload_length + 7) & ~uint64_t{7};
}

// Appends header, payload (the pieces one behind the other) and padding. The checksum, stamp and
// durable end are not yet known: finish_record() fills them in when the place is.
void append_record(std::string& out, RecordType type, uint8_t flags, uint64_t id,
                   std::initializer_list<std::string_view> payload);
void finish_record(char* record, uint64_t stamp, uint32_t durable_end);

enum class Decoded {
    Ok,
    Blank,       // zeros: nothing was ever written here
    Stale,       // a good record of the file's former life
    Truncated,   // the data ends before the record does
    BadHeader,   // no record begins here (type, flags, reserved bytes)
    BadChecksum, // looks like a record but is not what was written
};

// Decodes the record at the beginning of `data`; `record` is set if the result is Ok or Stale.
// `stamp`: of the segment.
Decoded decode_record(std::string_view data, uint64_t stamp, Record& record);

// The header alone, without regard to the checksum: how much is to be read for the whole record.
// None if no record can begin here.
std::optional<RecordHeader> peek_header(std::string_view data);

// Payload of Message: the prefix (u64 content length, u32 CRC-32C of the content, u32 envelope
// length, u32 CRC-32C of those 16 bytes and the envelope, u32 0), the envelope, then the content,
// unless it has its own file. The second checksum lets a start read envelopes without reading mail.
struct MessagePrefix {
    uint64_t content_length = 0;
    uint32_t content_crc = 0;
    uint32_t envelope_length = 0;
    uint32_t envelope_crc = 0;
};

constexpr size_t message_prefix_size = 24;

std::string encode_message_prefix(uint64_t content_length, uint32_t content_crc,
                                  std::string_view envelope);
// `payload`: its beginning is enough. None if it is shorter than the prefix, or if the lengths in
// it do not add up to `payload_length`.
std::optional<MessagePrefix> decode_message_prefix(std::string_view payload, uint8_t flags,
                                                   uint32_t payload_length);
// The envelope in `payload`, which must hold at least prefix and envelope; none if it is damaged.
std::optional<std::string_view> message_envelope(std::string_view payload,
                                                 const MessagePrefix& prefix);

std::string encode_removed(uint64_t message_epoch);
std::optional<uint64_t> decode_removed(std::string_view payload);

// What the index of a sealed segment says of one record.
struct IndexEntry {
    uint64_t id = 0;
    uint32_t offset = 0; // of the record in the segment
    uint32_t length = 0; // of its payload
    RecordType type = RecordType::Message;
    uint8_t flags = 0;
    uint64_t target_epoch = 0; // Removed: epoch of the segment that holds the Message
};

constexpr size_t index_entry_size = 32;
std::string encode_index(const std::vector<IndexEntry>& entries);
// None if the payload is malformed.
std::optional<std::vector<IndexEntry>> decode_index(std::string_view payload);

} // namespace postern
