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
    auto excess = connection_.account->take(measure, now);
    if (!excess && measure == Measure::mails)
        excess = connection_.account->excess(Measure::bytes, now);
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
