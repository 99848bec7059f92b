// See content_transfer.h.
#include "deliver/relay/content_transfer.h"

#include <algorithm>

#include "common/smtp/data_decoder.h"
#include "common/smtp/limits.h"

namespace postern::relay {

namespace {

// Content waiting to be sent, beyond which no more is read.
constexpr size_t content_ahead = 128 * 1024;

void begin(ClientSession& session, ContentSource& content) {
    session.begin_stage(limits::client_data_block +
                        std::chrono::seconds(content.size() / least_content_rate));
    content.rewind();
}

// Ours to put right; the session ends, so that what was sent is no message.
void give_up(ClientSession& session, ContentTransfer& transfer, std::string_view why) {
    transfer.trouble = Diagnosis(status::other_system.as(4), sanitize(why));
    session.fail(*transfer.trouble);
}

// A server that has something to say before the end of the content: a refusal counts at once, and
// the end is not sent, so that the message cannot be taken as well. The session is over.
void hear_out(ClientSession& session, ContentTransfer& transfer) {
    std::optional<Reply> reply = session.early_reply();
    if (reply && reply->code != 421 &&
        (reply->is_transient_failure() || reply->is_permanent_failure()))
        transfer.refusal = reply;
    if (reply && !reply->is_positive())
        session.fail(Diagnosis(*reply, 4, session.remote()));
    else
        session.fail(Diagnosis(status::other_protocol.as(4), "the server spoke out of turn",
                               session.remote()));
}

// Until at most `pending` octets are left unsent. False: `transfer` or the session says why not.
Task<bool> send_piece(ClientSession& session, ContentTransfer& transfer, std::string piece,
                      size_t pending) {
    bool sent = false;
    if (!session.input_waiting())
        sent = co_await session.content(std::move(piece), pending);
    if (!sent && session.input_waiting())
        hear_out(session, transfer);
    co_return sent;
}

// The octets of one chunk. `piece` is what was read of the content and not sent yet.
Task<bool> send_chunk(ClientSession& session, ContentSource& content, ContentTransfer& transfer,
                      std::string_view& piece, uint64_t octets) {
    while (octets > 0) {
        if (piece.empty()) {
            Result<std::string_view> read = content.read();
            if (!read || read->empty()) {
                give_up(session, transfer,
                        read ? "the content is too short" : read.error().message);
                co_return false;
            }
            piece = *read;
        }
        const std::string_view part = piece.substr(0, std::min<uint64_t>(octets, piece.size()));
        piece.remove_prefix(part.size());
        octets -= part.size();
        std::string bytes(part);
        const bool sent = co_await send_piece(session, transfer, std::move(bytes),
                                              octets == 0 ? 0 : content_ahead);
        if (!sent)
            co_return false;
    }
    co_return true;
}

// To a chunk that is not the last. False: there is no use in another one (RFC 3030 2).
Task<bool> chunk_taken(ClientSession& session, ContentTransfer& transfer) {
    std::optional<Reply> reply =
        co_await session.reply("the reply to BDAT", limits::client_data_block);
    if (!reply || reply->is_positive())
        co_return reply.has_value();
    if (reply->is_intermediate())
        session.fail_unexpected("the reply to BDAT", *reply);
    else
        transfer.refusal = reply;
    co_return false;
}

} // namespace

Task<ContentTransfer> send_data(ClientSession& session, ContentSource& content) {
    ContentTransfer transfer;
    begin(session, content);
    DotStuffer stuffer;
    while (!transfer.complete) {
        Result<std::string_view> piece = content.read();
        if (!piece) {
            give_up(session, transfer, piece.error().message);
            co_return transfer;
        }
        const bool last = piece->empty();
        std::string encoded;
        stuffer.encode(*piece, encoded);
        if (last)
            stuffer.finish(encoded);
        const bool sent =
            co_await send_piece(session, transfer, std::move(encoded), last ? 0 : content_ahead);
        if (!sent)
            co_return transfer;
        transfer.complete = last;
    }
    co_return transfer;
}

Task<ContentTransfer> send_chunks(ClientSession& session, ContentSource& content) {
    ContentTransfer transfer;
    begin(session, content);
    std::string_view piece;
    uint64_t left = content.size();
    while (!transfer.complete) {
        const uint64_t octets = std::min(left, chunk_size);
        left -= octets;
        const bool last = left == 0;
        session.command("BDAT " + std::to_string(octets) + (last ? " LAST\r\n" : "\r\n"));
        bool going = co_await send_chunk(session, content, transfer, piece, octets);
        if (going && !last)
            going = co_await chunk_taken(session, transfer);
        if (!going)
            co_return transfer;
        transfer.complete = last && !session.failed();
    }
    co_return transfer;
}

} // namespace postern::relay
