// See client_session.h.
#include "deliver/relay/client_session.h"

#include <algorithm>
#include <cerrno>

#include "common/smtp/limits.h"
#include "common/smtp/text.h"

namespace postern::relay {

ClientSession::ClientSession(Stream& stream, SessionOptions options)
    : stream_(stream), options_(std::move(options)), stage_deadline_(TimePoint::max()) {}

Task<bool> ClientSession::open() {
    begin_stage();
    bool ready = true;
    if (options_.tls.implicit)
        ready = co_await encrypt();
    if (ready)
        ready = co_await greeting();
    if (ready)
        ready = co_await hello();
    if (ready && !options_.tls.implicit && options_.tls.level != TlsLevel::never)
        ready = co_await start_tls();
    open_ = ready;
    co_return ready;
}

Task<bool> ClientSession::greeting() {
    std::optional<Reply> greeting = co_await reply("the greeting", limits::client_greeting);
    if (!greeting)
        co_return false;
    if (greeting->is_positive())
        co_return true;
    // A 554 refuses us at this address (RFC 5321 3.1); others may take the mail.
    refused_ = true;
    fail(Diagnosis(*greeting, 4, remote()));
    co_return false;
}

Task<bool> ClientSession::hello() {
    command((lmtp() ? "LHLO " : "EHLO ") + options_.helo + "\r\n");
    std::optional<Reply> answer =
        co_await reply(lmtp() ? "the reply to LHLO" : "the reply to EHLO", limits::client_hello);
    if (!answer)
        co_return false;
    if (answer->is_positive()) {
        capabilities_ = parse_ehlo(*answer);
        co_return true;
    }
    if (answer->is_permanent_failure() && !lmtp()) { // RFC 5321 3.2
        command("HELO " + options_.helo + "\r\n");
        answer = co_await reply("the reply to HELO", limits::client_hello);
        if (!answer)
            co_return false;
        if (answer->is_positive())
            co_return true;
    }
    refused_ = true;
    fail(Diagnosis(*answer, 4, remote()));
    co_return false;
}

// The server will not encrypt. False: then there is no session.
bool ClientSession::refuse_without_tls(Diagnosis diagnosis, bool for_good) {
    if (!options_.tls.demands_tls())
        return true;
    policy_unmet_ = refused_ = true;
    cannot_meet_policy_ = for_good;
    fail(std::move(diagnosis));
    return false;
}

// RFC 3207 4. Nothing that the server said before counts afterwards (4.2), nor has it said anything
// in plain that would be read as if it were encrypted.
Task<bool> ClientSession::start_tls() {
    if (!capabilities_.starttls)
        co_return refuse_without_tls(
            Diagnosis(status::security_not_supported.as(4),
                      "TLS is demanded, but the server does not offer STARTTLS", remote()),
            true);
    command("STARTTLS\r\n");
    std::optional<Reply> answer = co_await reply("the reply to STARTTLS", limits::client_hello);
    tls_failed_ = !answer && !failure_->from_remote; // it may be STARTTLS that something dislikes
    if (!answer)
        co_return false;
    if (!answer->is_positive())
        co_return refuse_without_tls(Diagnosis(*answer, 4, remote()),
                                     answer->is_permanent_failure());
    if (input_waiting()) {
        fail(Diagnosis(status::other_protocol.as(4),
                       "the server spoke between its reply to STARTTLS and the handshake",
                       remote()));
        co_return false;
    }
    bool ready = co_await encrypt();
    if (!ready)
        co_return false;
    parser_ = ReplyParser();
    capabilities_ = EhloCapabilities();
    ready = co_await hello();
    tls_failed_ = !ready && !failure_->from_remote;
    co_return ready;
}

Task<bool> ClientSession::encrypt() {
    const Duration left = stage_deadline_ - stream_.executor().now();
    const Duration limit = std::min<Duration>(handshake_limit, left);
    Result<TlsFacts> done = co_await options_.encryption->begin(stream_, limit);
    if (done) {
        heard_ = true;
        tls_ = std::move(*done);
        co_return true;
    }
    const int code = done.error().code;
    broken_ = code == ETIMEDOUT    ? StreamStatus::timed_out
              : code == ECONNRESET ? StreamStatus::closed
                                   : StreamStatus::ok;
    failed_by_us_ = code == ENOKEY;
    tls_failed_ = !failed_by_us_;
    certificate_error_ = std::max(-code, 0);
    policy_unmet_ = tls_failed_ && options_.tls.demands_tls();
    cannot_meet_policy_ = policy_unmet_ && certificate_error_ != 0;
    fail(Diagnosis(status::cryptographic_failure.as(4),
                   sanitize("the TLS handshake failed: " + done.error().message, diagnosis_limit),
                   remote()));
    co_return false;
}

Task<void> ClientSession::quit() {
    if (!owes_quit())
        co_return;
    open_ = refused_ = false;
    stream_.write("QUIT\r\n");
    co_await stream_.read_more(limits::client_quit);
}

bool ClientSession::owes_quit() const {
    return !stream_.closed() && !input_waiting() && (refused_ || (open_ && !failed()));
}

bool ClientSession::usable() const {
    return open_ && !failed() && !stream_.closed() && !input_waiting() &&
           transactions_ < capabilities_.mail_max.value_or(~uint64_t{0}); // RFC 9422
}

void ClientSession::begin_stage(Duration limit) {
    stage_deadline_ = stream_.executor().now() + limit;
}

void ClientSession::transaction_begun() {
    ++transactions_;
    needs_reset_ = true;
}

bool ClientSession::may_speak() {
    if (!failed() && input_waiting())
        fail(Diagnosis(status::other_protocol.as(4), "the server spoke out of turn", remote()));
    return !failed();
}

void ClientSession::command(std::string_view lines) {
    if (may_speak())
        stream_.write(lines);
}

void ClientSession::secret_command(std::string_view line) {
    if (may_speak())
        stream_.write_secret(line);
}

Task<std::optional<Reply>> ClientSession::reply(const char* awaited, Duration limit) {
    const TimePoint deadline = std::min(stream_.executor().now() + limit, stage_deadline_);
    while (!failed()) {
        std::string_view input = stream_.input();
        const size_t before = input.size();
        heard_ = heard_ || before > 0;
        const ReplyParser::State state = parser_.feed(input);
        stream_.consume(before - input.size());
        if (state == ReplyParser::State::complete) {
            Reply reply = parser_.take();
            if (reply.code != 421)
                co_return reply;
            fail(Diagnosis(reply, 4, remote())); // RFC 5321 3.8: the server is leaving
            break;
        }
        if (state == ReplyParser::State::error) {
            fail(Diagnosis(status::other_protocol.as(4),
                           std::string(awaited) + " is malformed: " + std::string(parser_.error()),
                           remote()));
            break;
        }
        const Duration left = deadline - stream_.executor().now();
        StreamStatus waited = StreamStatus::timed_out;
        if (left > Duration(0))
            waited = co_await stream_.read_more(left);
        if (waited != StreamStatus::ok) {
            broken_ = waited;
            fail(Diagnosis(status::bad_connection,
                           std::string(to_string(waited)) + " while waiting for " + awaited,
                           remote()));
        }
    }
    co_return std::nullopt;
}

Task<bool> ClientSession::content(std::string piece, size_t pending) {
    if (failed())
        co_return false;
    stream_.hand_over(std::move(piece));
    const Duration left =
        std::min<Duration>(limits::client_data_block, stage_deadline_ - stream_.executor().now());
    StreamStatus sent = StreamStatus::timed_out;
    if (left > Duration(0))
        sent = co_await stream_.drain(left, pending);
    if (sent == StreamStatus::ok)
        co_return true;
    fail(Diagnosis(status::bad_connection,
                   std::string(to_string(sent)) + " while sending the content", remote()));
    co_return false;
}

std::optional<Reply> ClientSession::early_reply() {
    std::string_view input = stream_.input();
    const size_t before = input.size();
    const ReplyParser::State state = parser_.feed(input);
    stream_.consume(before - input.size());
    if (state != ReplyParser::State::complete)
        return std::nullopt;
    return parser_.take();
}

void ClientSession::fail(Diagnosis diagnosis) {
    if (!failure_ || (diagnosis.from_remote && !failure_->from_remote))
        failure_ = std::move(diagnosis);
}

void ClientSession::give_up(Diagnosis diagnosis) {
    refused_ = !failed();
    fail(std::move(diagnosis));
}

void ClientSession::fail_unexpected(const char* awaited, const Reply& reply) {
    fail(Diagnosis(status::other_protocol.as(4),
                   std::string(awaited) + " makes no sense: " + to_line(reply, diagnosis_limit / 2),
                   remote()));
}

} // namespace postern::relay
