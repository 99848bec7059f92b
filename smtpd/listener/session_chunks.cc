// BDAT: content in chunks (RFC 3030).
//
// A BDAT line says how many octets follow it. These are content, whatever becomes of the command:
// they are read to the last one before the reply, and never read as commands. Where that cannot be
// done, because the line is not understood or the client sends without end, the session is over.
// Within a chunk content is judged as that of DATA is; a refusal ends the transaction's content,
// and what the client has sent ahead of our reply is read and thrown away (RFC 3030 2).
#include <algorithm>

#include "smtpd/listener/chunked_content.h"
#include "smtpd/listener/replies.h"
#include "smtpd/listener/session.h"

namespace postern::listener {

namespace {

constexpr size_t decode_step = 64 * 1024; // octets, between two looks at the sink

} // namespace

Task<void> Session::receive_chunk(BdatCommand bdat) {
    stream_->limit_input(Stream::input_limit);
    if (std::optional<Reply> refusal = chunk_out_of_place()) {
        const bool skipped = co_await skip_chunk(bdat.size);
        if (skipped) {
            budget_.surplus_chunk();
            conclude_chunk(bdat, *refusal);
        }
        co_return;
    }
    if (!transaction_->chunks) {
        transaction_->chunks = std::make_unique<ChunkedContent>(
            content_options(), trusted_line_ends(), services_.submission, executor().now());
        begin_content(transaction_->chunks->sink);
        if (out_of_memory())
            co_return co_await refuse_first_chunk(bdat);
    }
    ChunkedContent& content = *transaction_->chunks;
    const bool whole = co_await read_chunk(content, bdat.size);
    if (!whole)
        co_return;
    if (bdat.last && !binary()) {
        content.finish();
        if (content.sink.needs_settling())
            co_await settle(content.sink);
    }
    if (!bdat.last && bdat.size < Budget::small_chunk)
        budget_.idle_command();
    if (std::optional<Reply> refusal = judge(content.facts(), content.sink)) {
        content.sink.discard();
        log_refusal(*refusal, content.facts().size());
        content.failure = std::move(refusal);
        conclude_chunk(bdat, *content.failure);
    } else if (bdat.last) {
        co_await submit(content.facts(), content.sink);
        end_chunks(bdat);
    } else {
        say(replies::chunk_taken(bdat.size));
    }
}

Task<void> Session::refuse_first_chunk(BdatCommand bdat) {
    transaction_->chunks->failure = replies::memory_full();
    transaction_->chunks->sink.discard();
    const bool skipped = co_await skip_chunk(bdat.size);
    if (!skipped)
        co_return;
    conclude_chunk(bdat, replies::memory_full());
}

// The reply to a chunk that was not taken. In LMTP the last one is answered for each recipient.
void Session::conclude_chunk(const BdatCommand& bdat, const Reply& refusal) {
    if (bdat.last && transaction_ && transaction_->has_recipients())
        conclude_message(refusal);
    else
        say(refusal);
    end_chunks(bdat);
}

// With its last chunk a message is over, whether it was taken or not: clients send the next one
// ahead of our replies.
void Session::end_chunks(const BdatCommand& bdat) {
    if (bdat.last && transaction_ && transaction_->chunks)
        transaction_.reset();
}

// Nothing, or why there can be no chunk now.
std::optional<Reply> Session::chunk_out_of_place() const {
    if (lacks_tls())
        return replies::tls_first();
    if (lacks_authentication())
        return replies::authentication_required();
    if (helo_.empty())
        return no_hello();
    if (!extended_)
        return replies::ehlo_first();
    if (!transaction_)
        return replies::mail_first();
    if (!transaction_->has_recipients())
        return transaction_->rcpt_seen() ? replies::no_valid_recipients(address().lmtp)
                                         : replies::rcpt_first();
    return transaction_->chunks ? transaction_->chunks->failure : std::nullopt;
}

// False: the session is over.
Task<bool> Session::read_chunk(ChunkedContent& content, uint64_t octets) {
    while (octets > 0) {
        const std::string_view piece =
            stream_->input().substr(0, std::min<uint64_t>(octets, decode_step));
        content.append(piece);
        octets -= piece.size();
        stream_->consume(piece.size());
        if (content.facts().too_big())
            content.sink.discard();
        note_memory();
        if (services_.pressure.memory_full())
            content.sink.economize();
        if (content.sink.needs_settling())
            co_await settle(content.sink);
        if (octets == 0 || !stream_->input().empty())
            continue;
        const bool more = co_await more_content(content.start, content.decoder.size());
        if (!more)
            co_return false;
    }
    co_return true;
}

// The same of a chunk that nobody wants.
Task<bool> Session::skip_chunk(uint64_t octets) {
    const TimePoint start = executor().now();
    uint64_t skipped = 0;
    for (;;) {
        const size_t here = std::min<uint64_t>(octets - skipped, stream_->input().size());
        stream_->consume(here);
        skipped += here;
        skipped_octets_ += here;
        if (skipped == octets)
            co_return true;
        const uint64_t max_size = settings().max_message_size;
        if (max_size != 0 && skipped_octets_ > 2 * max_size + excess_content) {
            ++services_.counters.limited_bytes;
            close_with(replies::too_many_bytes(hostname()));
            co_return false;
        }
        const bool more = co_await more_content(start, skipped);
        if (!more)
            co_return false;
    }
}

// A client that takes its time between chunks keeps a content file of the queue's from others.
bool Session::content_overdue() const {
    return transaction_ && transaction_->chunks &&
           too_slow(transaction_->chunks->start, transaction_->chunks->decoder.size());
}

} // namespace postern::listener
