// Reading messages back: header, prefix and envelope in one read where they are small.
#include "queue/spool/message_reader.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "common/base/crc32c.h"

namespace postern {

namespace {

constexpr size_t first_read = 4096; // takes in most envelopes
constexpr size_t fixed_size = record_header_size + message_prefix_size;
constexpr int attempts = 5; // a message can be copied forward while it is read, but not that often

Error no_message(SpoolId id) {
    char text[48];
    std::snprintf(text, sizeof text, "no message %016llx", static_cast<unsigned long long>(id));
    return {text, ENOENT};
}

Error damaged(const RecordLocation& at, const char* what) {
    return {segment_path(at.slot) + " at " + std::to_string(at.offset) + ": " + what, EBADMSG};
}

} // namespace

// Reads the record up to `wanted` bytes, if it has so many.
Result<void> MessageReader::read_more(Found& found, uint64_t wanted) {
    const RecordLocation& at = found.entry.message;
    wanted = std::min(record_size(at.length), wanted);
    if (found.data.size() >= wanted)
        return {};
    auto data = read_range(*found.file, at.offset, wanted);
    if (!data)
        return data.error();
    found.data = std::move(*data);
    return {};
}

Result<MessageReader::Found> MessageReader::find_once(SpoolId id, uint64_t wanted) {
    Found found;
    uint64_t stamp = 0;
    {
        std::lock_guard lock(state_.mutex);
        if (!state_.table.find(id, &found.entry))
            return no_message(id);
        stamp = state_.segments.at(found.entry.message.slot).header.stamp;
    }
    const RecordLocation& at = found.entry.message;
    auto file = segment_files_.get(at.slot);
    if (!file)
        return file.error();
    found.file = *file;
    // What is checked is what is used: of another reading everything is looked at anew.
    for (bool complete = false; !complete;) {
        if (auto read = read_more(found, wanted); !read)
            return read.error();
        auto header = peek_header(found.data);
        if (!header || header->stamp != stamp || header->id != id || header->length != at.length ||
            header->type != RecordType::Message)
            return damaged(at, "not the record of this message");
        auto prefix = decode_message_prefix(std::string_view(found.data).substr(record_header_size),
                                            header->flags, header->length);
        if (!prefix)
            return damaged(at, "the lengths of the message do not add up");
        found.prefix = *prefix;
        const uint64_t end = fixed_size + prefix->envelope_length;
        complete = found.data.size() >= end || wanted >= end;
        wanted = std::max(wanted, end);
    }
    auto envelope =
        message_envelope(std::string_view(found.data).substr(record_header_size), found.prefix);
    if (!envelope)
        return damaged(at, "the envelope is damaged");
    found.envelope = *envelope;
    return found;
}

Result<MessageReader::Found> MessageReader::find(SpoolId id, uint64_t wanted) {
    bool again = true;
    for (int attempt = 1;; attempt++) {
        TableEntry before, after;
        {
            std::lock_guard lock(state_.mutex);
            state_.table.find(id, &before);
        }
        auto found = find_once(id, std::max<uint64_t>(wanted, fixed_size));
        if (found || attempt == attempts)
            return found;
        std::lock_guard lock(state_.mutex);
        if (state_.table.find(id, &after) && !(before.message == after.message))
            continue;
        // It has not moved: the error is one, unless it was so on the way only.
        if (found.error().code != EBADMSG || !std::exchange(again, false))
            return found;
    }
}

Result<RecoveredMessage> MessageReader::read_message(SpoolId id) {
    auto found = find(id, first_read);
    if (!found)
        return found.error();
    RecoveredMessage message;
    message.id = id;
    message.envelope = found->envelope;
    message.content_length = found->prefix.content_length;
    message.content_in_file = found->entry.content_in_file;
    return message;
}

Result<RecoveredMessage> MessageReader::read_progress(SpoolId id) {
    RecoveredMessage message;
    message.id = id;
    for (int attempt = 1;; attempt++) {
        TableEntry entry;
        uint64_t stamp = 0;
        {
            std::lock_guard lock(state_.mutex);
            if (!state_.table.find(id, &entry))
                return no_message(id);
            if (!entry.progress.exists())
                return message;
            stamp = state_.segments.at(entry.progress.slot).header.stamp;
        }
        auto file = segment_files_.get(entry.progress.slot);
        Result<std::string> data =
            file ? read_range(**file, entry.progress.offset, record_size(entry.progress.length))
                 : Result<std::string>(file.error());
        Record record;
        if (data && decode_record(*data, stamp, record) == Decoded::Ok && record.header.id == id &&
            record.header.type == RecordType::Progress) {
            message.has_progress = true;
            message.progress = record.payload;
            return message;
        }
        if (attempt == attempts)
            return data ? damaged(entry.progress, "the progress record is damaged") : data.error();
    }
}

Result<std::string> MessageReader::read_inline(Found& found, uint64_t offset, size_t length) {
    const uint64_t begin = fixed_size + found.prefix.envelope_length;
    const uint64_t size = found.prefix.content_length;
    for (bool again : {true, false}) {
        if (auto read = read_more(found, begin + size); !read)
            return read.error();
        const std::string_view content = std::string_view(found.data).substr(begin, size);
        if (content.size() == size && crc32c(content) == found.prefix.content_crc)
            return std::string(content.substr(offset, length));
        if (again)
            found.data.clear();
    }
    return damaged(found.entry.message, "the content is damaged");
}

Result<std::string> MessageReader::read_file(const Found& found, uint64_t offset, size_t length) {
    auto file = open_file(found.entry.id);
    if (!file)
        return file.error();
    const bool whole = length == found.prefix.content_length;
    for (bool again : {true, false}) {
        auto content = read_range(**file, offset, length);
        if (!content)
            return content.error();
        if (content->size() != length)
            return damaged(found.entry.message, "the content is shorter than it was");
        if (!whole || crc32c(*content) == found.prefix.content_crc)
            return content;
        if (!again)
            break;
    }
    return damaged(found.entry.message, "the content is damaged");
}

Result<std::string> MessageReader::read_content(SpoolId id, uint64_t offset, size_t length) {
    // The envelope's length is known only when the record's beginning has been read; most records
    // come whole with it.
    auto found = find(id, fixed_size + first_read + std::min<uint64_t>(offset + length, 1u << 20));
    if (!found)
        return found.error();
    const uint64_t size = found->prefix.content_length;
    if (offset >= size)
        return std::string();
    const auto count = static_cast<size_t>(std::min<uint64_t>(length, size - offset));
    if (found->entry.content_in_file)
        return read_file(*found, offset, count);
    auto content = read_inline(*found, offset, count);
    if (!still_there(id, found->entry.message))
        return read_content(id, offset, length);
    return content;
}

bool MessageReader::still_there(SpoolId id, const RecordLocation& place) {
    TableEntry entry;
    std::lock_guard lock(state_.mutex);
    return !state_.table.find(id, &entry) || entry.message == place;
}

Result<std::unique_ptr<File>> MessageReader::open_file(SpoolId id) {
    auto file = files_.open(content_path(id), OpenMode::Read);
    if (!file && file.error().code == ENOENT)
        return Error{content_path(id) + ": the content of a message is missing", EBADMSG};
    return file;
}

Result<Content> MessageReader::open_content(SpoolId id) {
    auto found = find(id, fixed_size);
    if (!found)
        return found.error();
    Content content;
    content.length = found->prefix.content_length;
    content.crc32c = found->prefix.content_crc;
    content.in_file = found->entry.content_in_file;
    if (!content.in_file)
        return content;
    auto file = open_file(id);
    if (!file)
        return file.error();
    auto size = (*file)->size();
    if (!size)
        return size.error();
    if (*size != content.length)
        return Error{content_path(id) + ": is not as long as the message", EBADMSG};
    auto descriptor = (*file)->descriptor();
    if (!descriptor)
        return descriptor.error();
    content.file = std::move(*descriptor);
    return content;
}

Result<std::string> MessageReader::set_message_aside(SpoolId id) {
    TableEntry entry;
    uint64_t epoch = 0;
    {
        std::lock_guard lock(state_.mutex);
        if (!state_.table.find(id, &entry))
            return no_message(id);
        epoch = state_.segments.at(entry.message.slot).header.epoch;
    }
    auto file = segment_files_.get(entry.message.slot);
    if (!file)
        return file.error();
    auto data = read_range(**file, entry.message.offset, record_size(entry.message.length));
    if (!data)
        return data.error();
    char name[64];
    std::snprintf(name, sizeof name, "%016llx.%llu-%u", static_cast<unsigned long long>(id),
                  static_cast<unsigned long long>(epoch), entry.message.offset);
    if (auto saved = set_aside(files_, name, *data); !saved)
        return saved.error();
    if (entry.content_in_file) {
        auto renamed = files_.rename(content_path(id), std::string("corrupt/") + name + ".content");
        if (!renamed && renamed.error().code != ENOENT)
            return renamed.error();
        // Before the message is removed: its file would be an orphan then, and go with it.
        for (const char* directory : {"corrupt", "content"})
            if (auto synced = files_.sync_directory(directory); !synced)
                return synced.error();
    }
    return std::string("corrupt/") + name;
}

} // namespace postern
