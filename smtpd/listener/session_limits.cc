// What a session may still do: by the limits of its own, and by those of its client's address and
// network. A session over one of them says so and ends, or refuses the one command.
#include "common/base/log.h"
#include "common/mail/message_id.h"
#include "smtpd/listener/replies.h"
#include "smtpd/listener/session.h"

namespace postern::listener {

void Session::admit_client() {
    auto admitted = services_.clients.admit(connection_.client, executor().now());
    if (auto* account = std::get_if<std::unique_ptr<ClientLimits::Account>>(&admitted))
        connection_.account = std::move(*account);
    else
        leave_over(std::get<Excess>(admitted));
}

// What this session holds: that much of its own, `content` bytes, and what can be seen.
void Session::note_memory(size_t content) {
    constexpr size_t own = 4 * 1024;         // measured: the session, its stream and coroutines
    constexpr size_t of_tls = 12 * 1024;     // measured too
    constexpr size_t of_a_lookup = 3 * 1024; // a question that is under way
    uint64_t now = own + (tls_ || securing_ ? of_tls : 0) + stream_->buffered() + content +
                   pending_.size() * of_a_lookup;
    if (transaction_)
        now += transaction_->memory();
    services_.pressure.memory_changed(memory_, now);
    memory_ = now;
    services_.counters.memory = services_.pressure.memory();
}

// Something would need more of it, and there is none.
bool Session::out_of_memory() {
    if (!services_.pressure.memory_full())
        return false;
    ++services_.counters.refused_memory;
    return true;
}

// Before each command.
void Session::count_command() {
    note_received();
    if (!budget_.take_command()) {
        ++services_.counters.limited_commands;
        return close_with(replies::too_many_commands(hostname()));
    }
    if (settings().max_bytes != 0 && stream_->bytes_received() > settings().max_bytes &&
        !transaction_) {
        ++services_.counters.limited_bytes;
        return close_with(replies::too_many_bytes(hostname()));
    }
    if (const auto excess = connection_.account->take(Measure::commands, executor().now()))
        leave_over(*excess);
}

// A bad command, or a recipient that is refused for good.
void Session::count_error() {
    connection_.account->note(Measure::errors, 1, executor().now());
    if (const auto excess = connection_.account->excess(Measure::errors, executor().now()))
        leave_over(*excess);
}

// What has come in since the last time.
void Session::note_received() {
    const uint64_t received = stream_->bytes_received();
    connection_.account->note(Measure::bytes, static_cast<double>(received - received_),
                              executor().now());
    received_ = received;
}

// A transaction, or a recipient, that has to wait: the reply.
std::optional<Reply> Session::too_early(Measure measure) {
    const TimePoint now = executor().now();
    std::optional<Excess> excess;
    if (measure == Measure::mails)
        excess = connection_.account->excess(Measure::bytes, now);
    if (!excess)
        excess = connection_.account->take(measure, now);
    if (!excess)
        return std::nullopt;
    log_excess(*excess);
    return replies::too_fast(*excess);
}

void Session::leave_over(const Excess& excess) {
    log_excess(excess);
    close_with(replies::over_client_limit(hostname(), excess));
}

void Session::log_excess(const Excess& excess) {
    services_.counters.count_excess(excess);
    log::info("client over a limit", {{"session", to_string(MessageId{id()})},
                                      {"client", connection_.client.to_string()},
                                      {"helo", helo_},
                                      {"reason", to_line(replies::too_fast(excess))}});
}

} // namespace postern::listener
