#include "smtpd/listener/content_sink.h"

#include "common/base/utf8.h"

#include <algorithm>
#include <cerrno>
#include <limits>
#include <unistd.h>

#include "common/base/crc32c.h"
#include "common/base/log.h"
#include "common/base/result.h"
#include "smtpd/listener/replies.h"

namespace postern::listener {

void ContentSink::prepend(std::string_view trace) {
    eight_bit_trace_ |= !is_ascii(trace);
    buffer_.append(trace);
    size_ += trace.size();
    trace_length_ += trace.size();
}

void ContentSink::complete_header(std::string date, std::string message_id) {
    completing_ = true;
    date_ = std::move(date);
    message_id_ = std::move(message_id);
}

void ContentSink::append(std::string_view piece) {
    header_.pass(piece);
    if (discarded_)
        return;
    size_ += piece.size();
    buffer_.append(piece);
    if (completing_ && header_.ended())
        insert_missing_fields();
    else if (completing_ && buffer_.size() >= buffer_limit)
        completing_ = false;
    // With a file there is nothing to wait for.
    if (file_ && buffer_.size() >= buffer_limit_)
        write_out();
}

// buffer_ begins with the trace field and has the whole header section behind it.
void ContentSink::insert_missing_fields() {
    completing_ = false;
    std::string fields;
    if (!header_.has_date())
        fields += date_;
    if (!header_.has_message_id())
        fields += message_id_;
    buffer_.insert(trace_length_, fields);
    trace_length_ += fields.size();
    size_ += fields.size();
}

bool ContentSink::needs_settling() const {
    return !file_ && !discarded_ && !completing_ && buffer_.size() > inline_limit_;
}

Task<void> ContentSink::settle() {
    if (!needs_settling())
        co_return;
    co_await open_file();
    if (file_)
        write_out();
}

Task<void> ContentSink::open_file() {
    Submission::OpenedFile opened = co_await submission_.open_content_file(client_, file_limit);
    if (opened.file)
        file_ = std::move(opened.file);
    else if (opened.refused)
        fail(replies::refused_by_queue(*opened.refused));
    else
        fail(replies::no_queue());
}

// To the page cache, in one piece: this does not wait for the disk.
void ContentSink::write_out() {
    std::string_view rest = buffer_;
    checksum_ = crc32c(rest, checksum_);
    while (!rest.empty()) {
        ssize_t written = ::write(file_->fd(), rest.data(), rest.size());
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            log::error("cannot write to a content file",
                       {{"error", system_error("write", written < 0 ? errno : EIO).message}});
            return fail(replies::storage_full());
        }
        rest.remove_prefix(static_cast<size_t>(written));
        written_ += static_cast<uint64_t>(written);
    }
    if (buffer_.capacity() > 2 * buffer_limit_)
        std::string().swap(buffer_);
    else
        buffer_.clear();
}

void ContentSink::economize() {
    inline_limit_ = std::min(inline_limit_, scarce_limit);
    buffer_limit_ = scarce_limit;
    if (file_ && !buffer_.empty())
        write_out();
}

void ContentSink::discard() {
    discarded_ = true;
    file_.reset();
    std::string().swap(buffer_);
}

void ContentSink::fail(Reply reply) {
    failure_ = std::move(reply);
    discard();
}

std::unique_ptr<ContentFile> ContentSink::finish(ipc::Submit& submit) {
    if (completing_) // the whole message is a header section
        insert_missing_fields();
    if (file_)
        write_out();
    const uint64_t header = trace_length_ + header_.length();
    submit.traits.header_length =
        static_cast<uint32_t>(std::min<uint64_t>(header, std::numeric_limits<uint32_t>::max()));
    if (file_) {
        submit.file_length = written_;
        submit.file_checksum = checksum_;
    } else {
        submit.content.bytes = std::move(buffer_);
    }
    return std::move(file_);
}

} // namespace postern::listener
