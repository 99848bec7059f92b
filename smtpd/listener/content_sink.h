// Where the content of a message goes while it comes in: up to `inline_limit` bytes stay in memory
// and travel inside Submit; from then on everything is written to a file of the queue's. The
// checksum and what is to be known of the content are found out on the way.
//
// After a failure the sink takes no more but the session reads on to the end of the data, so that
// its reply comes in step; failure() is that reply. Memory: at most buffer_limit bytes and what was
// appended since the last settle().
//
// A message that lacks them can be given Date: and Message-ID: (RFC 6409 8.2, 8.3): its header
// section is held back until its end is seen.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/ipc/submission.h"
#include "common/loop/task.h"
#include "common/smtp/reply.h"
#include "smtpd/listener/collaborators.h"
#include "smtpd/listener/header_watch.h"

namespace postern::listener {

class ContentSink {
  public:
    // How long it waits for a content file.
    static constexpr Duration file_limit = std::chrono::seconds(60);
    static constexpr size_t buffer_limit = 64 * 1024;
    static constexpr size_t scarce_limit = 4 * 1024; // of both, when memory is scarce

    explicit ContentSink(Submission& submission, size_t inline_limit = ipc::inline_content_limit)
        : submission_(submission), inline_limit_(inline_limit) {}

    // Whose content it is, for Submission::open_content_file().
    void on_behalf_of(const IpAddress& client) { client_ = client; }
    // The trace field in front, which is not the client's: it does not count as one more hop.
    void prepend(std::string_view trace);
    // Fields with their CRLF, to be put behind the trace field if the header section has none of
    // their name. Call before append(). A header section that is longer than buffer_limit stays as
    // it is.
    void complete_header(std::string date, std::string message_id);
    void append(std::string_view piece);
    // Call after each batch of append(), before more is read: moves what is too much to the file.
    bool needs_settling() const;
    Task<void> settle();
    // Memory is scarce: from now on it keeps as little as it can.
    void economize();
    size_t memory() const { return buffer_.capacity(); } // bytes
    // Gives up what there is: the message will be refused whatever comes.
    void discard();

    const std::optional<Reply>& failure() const { return failure_; }
    uint64_t size() const { return size_; }
    bool eight_bit_trace() const { return eight_bit_trace_; } // of a message with SMTPUTF8
    uint32_t received_fields() const { return header_.received_fields(); }
    // Fills content, file_length, file_checksum and header_length. Call once, at the end; null
    // when the content is inside `submit`.
    std::unique_ptr<ContentFile> finish(ipc::Submit& submit);

  private:
    void insert_missing_fields();
    Task<void> open_file();
    void write_out();
    void fail(Reply reply);

    Submission& submission_;
    IpAddress client_;
    size_t inline_limit_;
    size_t buffer_limit_ = buffer_limit;
    std::string buffer_;
    std::unique_ptr<ContentFile> file_;
    std::optional<Reply> failure_;
    bool discarded_ = false;
    bool eight_bit_trace_ = false;
    uint64_t size_ = 0;
    uint64_t written_ = 0;
    uint32_t checksum_ = 0;
    size_t trace_length_ = 0;
    bool completing_ = false; // the header section has not ended yet, and all of it is in buffer_
    std::string date_;
    std::string message_id_;
    HeaderWatch header_;
};

} // namespace postern::listener
