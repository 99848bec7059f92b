// AUTH in a session (RFC 4954): the exchange with the client, lookup's verdict, and what it takes
// to send as somebody.
#include <algorithm>

#include "common/base/base64.h"
#include "common/base/log.h"
#include "common/ipc/channel.h"
#include "common/mail/message_id.h"
#include "common/smtp/internationalized.h"
#include "common/smtp/text.h"
#include "smtpd/listener/replies.h"
#include "smtpd/listener/session.h"

namespace postern::listener {

namespace {

// Lookup keeps an exchange until it is told that nobody goes on with it.
class OpenExchange {
  public:
    OpenExchange(Accounts& accounts, uint64_t id) : accounts_(accounts), id_(id) {}
    ~OpenExchange() {
        if (open_)
            accounts_.cancel(id_);
    }
    OpenExchange(const OpenExchange&) = delete;
    void over() { open_ = false; } // lookup knows

  private:
    Accounts& accounts_;
    uint64_t id_;
    bool open_ = true;
};

} // namespace

// Without channel bindings there is nothing that SCRAM-SHA-256-PLUS could be bound to.
std::vector<SaslMechanism> Session::mechanisms() const {
    if (!offers_auth())
        return {};
    std::vector<SaslMechanism> offered =
        services_.accounts.announced(auth().credentials).value_or(address().mechanisms);
    if (!tls_->bindings.any())
        std::erase(offered, SaslMechanism::scram_sha_256_plus);
    return offered;
}

// It is required here, and has not been done yet.
bool Session::lacks_authentication() const {
    return auth().mode == AuthMode::required && user_.empty();
}

// RFC 4954 6: where authentication is required nothing else comes before it.
bool Session::needs_authentication(const Command& command) const {
    if (!lacks_authentication())
        return false;
    return std::visit(ipc::Overloaded{
                          [](const EhloCommand&) { return false; },
                          [](const HeloCommand&) { return false; },
                          [](const NoopCommand&) { return false; },
                          [](const RsetCommand&) { return false; },
                          [](const QuitCommand&) { return false; },
                          [](const StarttlsCommand&) { return false; },
                          [](const AuthCommand&) { return false; },
                          [](const XclientCommand&) { return false; },
                          [](const CommandError&) { return false; },
                          // Its octets have to be read all the same: chunk_out_of_place().
                          [](const BdatCommand&) { return false; },
                          [](const auto&) { return true; },
                      },
                      command);
}

// RFC 4954 4: why this AUTH is not even begun.
std::optional<Reply> Session::why_no_authentication(const AuthCommand& command) const {
    if (auth().mode == AuthMode::none)
        return replies::not_implemented();
    if (!tls_)
        return replies::encryption_required();
    if (helo_.empty())
        return no_hello();
    if (!user_.empty())
        return replies::authenticated_already();
    if (transaction_)
        return replies::no_authentication_in_transaction();
    const auto mechanism = find_sasl_mechanism(command.mechanism);
    const std::vector<SaslMechanism> offered = mechanisms();
    if (!mechanism || std::find(offered.begin(), offered.end(), *mechanism) == offered.end())
        return replies::unknown_mechanism();
    return std::nullopt;
}

Task<void> Session::authenticate(AuthCommand& command) {
    if (std::optional<Reply> refusal = why_no_authentication(command)) {
        complain(*refusal);
        co_return;
    }
    const SaslMechanism mechanism = *find_sasl_mechanism(command.mechanism);
    std::optional<Secret> response;
    if (command.initial_response) {
        response = decode_response(command.initial_response->view(), true);
        if (!response)
            co_return;
    }
    if (sends_password(mechanism))
        co_await take_password(mechanism, command.mechanism, std::move(response));
    else
        co_await exchange_with_lookup(mechanism, command.mechanism, std::move(response));
}

Task<void> Session::take_password(SaslMechanism mechanism, std::string method,
                                  std::optional<Secret> response) {
    SaslExchange exchange(mechanism);
    if (response)
        exchange.respond(*std::move(response));
    while (exchange.state() == SaslExchange::State::asking) {
        response = co_await ask_client(exchange.challenge());
        if (!response)
            co_return;
        exchange.respond(*std::move(response));
    }
    if (exchange.state() == SaslExchange::State::malformed)
        complain(replies::bad_auth_response());
    else
        co_await check_credentials(exchange, method);
}

// The server's part is lookup's: what the client says is passed on to it, and its challenges back.
// The client begins in all of these mechanisms (RFC 4422 5, 2a).
Task<void> Session::exchange_with_lookup(SaslMechanism mechanism, std::string method,
                                         std::optional<Secret> response) {
    if (!response)
        response = co_await ask_client("");
    if (!response)
        co_return;
    // With SCRAM the first message has no more than a name.
    bool secret_shown =
        mechanism != SaslMechanism::scram_sha_256 && mechanism != SaslMechanism::scram_sha_256_plus;
    OpenExchange open(services_.accounts, id());
    ipc::SaslStart start;
    start.exchange = id();
    start.table = auth().credentials;
    start.mechanism = mechanism;
    start.response = *std::move(response);
    start.bindings = tls_->bindings;
    start.client = connection_.client;
    TimePoint asked = executor().now();
    ipc::SaslAnswer answer =
        co_await services_.accounts.start(std::move(start), patience::authentication);
    while (answer.verdict == ipc::SaslVerdict::challenge) {
        response = co_await ask_client(answer.challenge);
        if (!response) {
            if (secret_shown)
                note_abandoned(answer.user, method);
            co_return;
        }
        secret_shown = true;
        ipc::SaslResponse next;
        next.exchange = id();
        next.response = *std::move(response);
        asked = executor().now();
        answer = co_await services_.accounts.respond(std::move(next), patience::authentication);
    }
    if (answer.verdict == ipc::SaslVerdict::temporary) {
        co_await conclude(ipc::Authentication::temporary, answer.user, method, asked);
        co_return;
    }
    open.over();
    if (answer.verdict == ipc::SaslVerdict::malformed)
        complain(replies::bad_auth_response());
    else
        co_await conclude(answer.verdict == ipc::SaslVerdict::ok ? ipc::Authentication::ok
                                                                 : ipc::Authentication::failed,
                          answer.user, method, asked);
}

// RFC 4954 4: "=" is an initial response of no length. Nothing: the client has been told.
std::optional<Secret> Session::decode_response(std::string_view text, bool initial) {
    if (initial && text == "=")
        return Secret();
    std::optional<std::string> decoded = decode_base64(text);
    if (decoded)
        return Secret::take(*decoded);
    complain(replies::no_base64());
    return std::nullopt;
}

// The client's answer to a challenge. Nothing: it has been told why, or the session is over.
Task<std::optional<Secret>> Session::ask_client(std::string_view challenge) {
    say(replies::challenge(encode_base64(challenge)));
    if (!talking())
        co_return std::nullopt;
    stream_->limit_input(Stream::input_limit);
    idle_ = true;
    wait_since(executor().now(), patience::pressed_command);
    Line line = co_await stream_->read_line(
        limits::auth_response_line, pressed() ? patience::pressed_command : patience::command);
    idle_ = false;
    wait_no_more();
    stream_->limit_input(command_input);
    if (line.status == StreamStatus::closed || line.status == StreamStatus::timed_out) {
        input_ended(line.status);
        co_return std::nullopt;
    }
    std::optional<Secret> response;
    if (line.status == StreamStatus::too_long)
        complain(replies::auth_response_too_long());
    else if (!line.crlf)
        complain(replies::line_without_crlf());
    else if (line.text == "*")
        complain(replies::authentication_cancelled());
    else
        response = decode_response(line.text, false);
    stream_->wipe_line();
    co_return std::move(response);
}

Task<void> Session::check_credentials(SaslExchange& exchange, const std::string& method) {
    const std::string user = exchange.credentials().user;
    const TimePoint asked = executor().now();
    ipc::AuthenticateAnswer answer;
    answer.verdict = ipc::Authentication::failed;
    if (exchange.state() == SaslExchange::State::complete) {
        ipc::Authenticate question;
        question.table = auth().credentials;
        question.user = user;
        question.password = std::move(exchange.credentials().password);
        question.client = connection_.client;
        answer =
            co_await services_.accounts.authenticate(std::move(question), patience::authentication);
    }
    // The name that rules know; or else the client's word.
    co_await conclude(answer.verdict,
                      answer.verdict == ipc::Authentication::ok ? answer.user : user, method,
                      asked);
}

Task<void> Session::conclude(ipc::Authentication verdict, std::string user, std::string method,
                             TimePoint asked) {
    switch (verdict) {
    case ipc::Authentication::ok:
        ++services_.counters.auth_successes;
        user_ = std::move(user);
        log::info("authenticated", {{"session", to_string(MessageId{id()})},
                                    {"user", user_},
                                    {"client", connection_.client.to_string()},
                                    {"method", method},
                                    {"tls", tls_->protocol}});
        say(replies::authenticated());
        co_return;
    case ipc::Authentication::failed:
        co_await refuse_credentials(user, method, asked);
        co_return;
    case ipc::Authentication::temporary:
        break;
    }
    ++services_.counters.auth_temporary;
    budget_.idle_command();
    log::info("authentication postponed", {{"session", to_string(MessageId{id()})},
                                           {"user", user},
                                           {"client", connection_.client.to_string()},
                                           {"method", method},
                                           {"reason", "lookup has no answer"}});
    say(replies::authentication_later());
}

// A client that has seen what became of its secret, and gives up instead of hearing it in words,
// has tried one all the same.
void Session::note_abandoned(const std::string& user, const std::string& method) {
    ++services_.counters.auth_failures;
    ++auth_failures_;
    services_.delays.failed(connection_.client, comparable_name(user), executor().now());
    log::info("authentication abandoned", {{"session", to_string(MessageId{id()})},
                                           {"user", user},
                                           {"client", connection_.client.to_string()},
                                           {"method", method}});
    if (auth_failures_ >= max_auth_failures && talking())
        close_with(replies::too_many_auth_failures(hostname()));
}

// What was wrong is not said, neither in words nor by the time it takes: the delay is there from
// when it was asked, and so has in it what a Dovecot or PAM takes for one user and not for another.
Task<void> Session::refuse_credentials(const std::string& user, const std::string& method,
                                       TimePoint asked) {
    ++services_.counters.auth_failures;
    const Duration delay =
        services_.delays.failed(connection_.client, comparable_name(user), executor().now());
    log::info("authentication failed", {{"session", to_string(MessageId{id()})},
                                        {"user", user},
                                        {"client", connection_.client.to_string()},
                                        {"method", method}});
    co_await executor().sleep(std::max(asked + delay - executor().now(), Duration(0)));
    if (++auth_failures_ < max_auth_failures)
        co_return complain(replies::authentication_failed());
    count_error();
    if (talking())
        close_with(replies::too_many_auth_failures(hostname()));
}

// Whether the user may send with this reverse-path. If not, the client has been told.
Task<bool> Session::may_send_as(const Mailbox& reverse_path) {
    if (user_.empty() || auth().senders.empty())
        co_return true;
    ipc::SenderQuery query;
    query.table = auth().senders;
    query.user = user_;
    query.reverse_path = reverse_path.to_string();
    const ipc::SenderVerdict verdict =
        co_await services_.accounts.check_sender(std::move(query), patience::routing);
    if (verdict == ipc::SenderVerdict::owned)
        co_return true;
    const Reply reply = verdict == ipc::SenderVerdict::not_owned ? replies::sender_not_owned()
                                                                 : replies::sender_unchecked();
    ++services_.counters.auth_senders_refused;
    budget_.idle_command();
    log::info("sender refused", {{"session", to_string(MessageId{id()})},
                                 {"from", reverse_path.to_string()},
                                 {"user", user_},
                                 {"client", connection_.client.to_string()},
                                 {"stat", to_line(reply)}});
    say(reply);
    co_return false;
}

} // namespace postern::listener
