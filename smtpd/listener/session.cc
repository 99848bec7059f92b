#include "smtpd/listener/session.h"

#include "common/base/log.h"
#include "common/ipc/channel.h"
#include "common/mail/message_id.h"
#include "common/smtp/text.h"
#include "smtpd/listener/replies.h"
#include "smtpd/listener/reverse_name.h"

namespace postern::listener {

namespace {

using ipc::Overloaded;

constexpr uint32_t commands_per_turn = 64; // of one session, before others have theirs

// Lets everything else that is ready go first: `co_await Yield(executor)`.
class Yield : Callback {
  public:
    explicit Yield(Executor& executor) : executor_(executor) {}
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> handle) {
        handle_ = handle;
        executor_.schedule(*this);
    }
    void await_resume() const {}

  private:
    void call() override { handle_.resume(); }

    Executor& executor_;
    std::coroutine_handle<> handle_;
};

// A web page can make a browser send us a request whose body reads like SMTP.
bool is_http(std::string_view line) {
    const std::string_view verb = line.substr(0, line.find(' '));
    for (std::string_view http : {"GET", "POST", "PUT", "CONNECT", "OPTIONS", "HEAD"})
        if (equal_ignoring_case(verb, http))
            return true;
    return false;
}

} // namespace

Session::Session(const SessionServices& services, SessionOwner& owner, Connection connection,
                 std::unique_ptr<Stream> stream)
    : services_(services), owner_(owner), connection_(std::move(connection)),
      stream_(std::move(stream)), budget_(*connection_.settings),
      name_known_(std::make_unique<Completion<bool>>(services.executor)) {
    ++services_.counters.sessions;
    ++services_.counters.sessions_total;
    services_.pressure.session_began();
}

Session::~Session() {
    tasks_.clear(); // before what they use
    if (connection_.account)
        note_received();
    --services_.counters.sessions;
    services_.pressure.memory_changed(memory_, 0);
    services_.counters.memory = services_.pressure.memory();
    services_.pressure.session_ended();
}

void Session::wait_since(TimePoint since, Duration pressed_patience) {
    waiting_since_ = since;
    overdue_at_ = since + pressed_patience;
}

void Session::wait_no_more() { waiting_since_ = overdue_at_ = TimePoint::max(); }

void Session::start() {
    log::debug("connected", {{"session", to_string(MessageId{id()})},
                             {"client", connection_.client.to_string()},
                             {"address", address().where()}});
    tasks_.spawn(run());
}

void Session::drain() {
    draining_ = true;
    if (idle_)
        cut_off();
}

void Session::cut_off() { break_off(replies::shutting_down(hostname())); }

void Session::shed() {
    ++services_.counters.shed;
    linger_ = false;
    break_off(replies::too_busy(hostname()));
}

void Session::break_off(Reply last_words) {
    if (!talking())
        return;
    idle_ = false;
    wait_no_more();
    tasks_.clear();
    pending_.clear();
    transaction_.reset();
    gone_ = securing_; // in the middle of a handshake there is no way to say anything
    close_with(std::move(last_words));
    tasks_.spawn(leave());
}

Task<void> Session::run() {
    if (address().proxy != ProxyProtocol::none) {
        const bool known = co_await learn_client();
        if (!known) {
            co_await leave();
            co_return;
        }
    }
    peer_ = connection_.client;
    if (address().tls.mode == TlsMode::implicit)
        co_await secure("");
    if (!connection_.account && talking())
        admit_client();
    if (!talking()) {
        co_await leave();
        co_return;
    }
    if (connection_.spoke_early) {
        ++services_.counters.early_talkers;
        refused_ = true;
        say(replies::spoke_early(hostname()));
    } else {
        if (address().is_local_socket() && connection_.client.is_loopback()) {
            reverse_name_ = "localhost"; // whatever the DNS makes of that
            name_known_->complete(true);
        } else {
            tasks_.spawn(learn_reverse_name(connection_.client));
        }
        say(replies::greeting(hostname(), address().lmtp));
    }
    co_await converse();
    co_await leave();
}

// RFC 5321 4.1.4: one command after another, whatever the client has sent ahead (RFC 2920).
Task<void> Session::converse() {
    while (talking()) {
        if (++commands_ >= commands_per_turn || stream_->pending_output() > max_unread_output)
            co_await keep_pace();
        if (!pending_.empty() && stream_->input().find('\n') == std::string_view::npos)
            co_await settle_recipients();
        if (content_overdue())
            input_ended(StreamStatus::timed_out);
        if (draining_ && talking())
            close_with(replies::shutting_down(hostname()));
        if (!talking())
            co_return;

        // A token in the initial response of AUTH makes a line as long as that of a response.
        const bool long_lines = offers_auth() && user_.empty();
        stream_->limit_input(long_lines ? Stream::input_limit : command_input);
        note_memory();
        idle_ = true;
        wait_since(executor().now(), patience::pressed_command);
        Line line = co_await stream_->read_line(
            long_lines ? limits::auth_response_line : limits::any_command_line,
            pressed() ? patience::pressed_command : patience::command);
        idle_ = false;
        wait_no_more();
        if (line.status == StreamStatus::closed || line.status == StreamStatus::timed_out) {
            input_ended(line.status);
            co_return;
        }
        count_command();
        Command command = understand(line);
        auto* rcpt = std::get_if<RcptCommand>(&command);
        if (!pending_.empty() && !(rcpt && may_join(*rcpt)))
            co_await settle_recipients();
        if (!talking())
            co_return;
        if (refused_)
            turn_down(command);
        else if (needs_tls(command))
            complain(given_.said ? replies::authentication_required() : replies::tls_first());
        else if (needs_authentication(command))
            complain(replies::authentication_required());
        else if (rcpt)
            begin_recipient(*rcpt);
        else if (auto* mail = std::get_if<MailCommand>(&command))
            co_await begin_transaction(*mail);
        else if (std::holds_alternative<DataCommand>(command))
            co_await receive_message();
        else if (auto* bdat = std::get_if<BdatCommand>(&command))
            co_await receive_chunk(*bdat);
        else if (std::holds_alternative<StarttlsCommand>(command))
            co_await start_tls();
        else if (auto* auth = std::get_if<AuthCommand>(&command))
            co_await authenticate(*auth);
        else if (auto* vrfy = std::get_if<VrfyCommand>(&command))
            co_await verify(*vrfy);
        else if (auto* etrn = std::get_if<EtrnCommand>(&command))
            co_await start_queue(*etrn);
        else
            execute(command);
    }
}

// RFC 5321 3.1: after a greeting that refuses there is nothing but QUIT.
void Session::turn_down(const Command& command) {
    if (std::holds_alternative<QuitCommand>(command))
        return execute(command);
    const auto* error = std::get_if<CommandError>(&command);
    complain(replies::no_service(), error && error->out_of_step);
}

// A client that sends and sends, without reading our replies or leaving others a turn.
Task<void> Session::keep_pace() {
    commands_ = 0;
    co_await Yield(executor());
    if (stream_->pending_output() <= max_unread_output)
        co_return;
    wait_since(executor().now(), patience::pressed_output);
    const StreamStatus status = co_await stream_->drain(
        pressed() ? patience::pressed_output : patience::output, max_unread_output / 2);
    wait_no_more();
    if (status != StreamStatus::ok) {
        services_.counters.timeouts += status == StreamStatus::timed_out;
        gone_ = true;
    }
}

// By EHLO now, and so taken in MAIL and RCPT.
Extensions Session::offered() const {
    const ExtensionOptions& options = address().extensions;
    Extensions offered;
    offered.any = extended_;
    offered.auth = offers_auth();
    offered.binary_mime = options.binary_mime;
    offered.dsn = options.dsn;
    offered.smtp_utf8 = options.smtp_utf8;
    offered.utf8_transaction = transaction_ && transaction_->parameters().smtp_utf8;
    offered.require_tls = tls_ != nullptr;
    offered.priority = true;
    offered.deliver_by = true;
    offered.future_release = offers_auth() && settings().max_hold > 0; // RFC 4865: submission only
    offered.lmtp = address().lmtp;
    offered.vrfy = address().vrfy;
    offered.etrn = !address().etrn.empty();
    offered.xclient = !address().xclient_from.empty();
    return offered;
}

Command Session::understand(const Line& line) {
    const bool first = std::exchange(first_line_, false);
    if (line.status == StreamStatus::too_long)
        return too_long_command(line.text);
    if (first && is_http(line.text))
        close_with(replies::not_smtp(hostname()));
    Command command = parse_command(line.text, offered());
    if (std::holds_alternative<AuthCommand>(command))
        stream_->wipe_line();
    if (!line.crlf) {
        CommandError refused{replies::line_without_crlf(), AddressError::none};
        const auto* error = std::get_if<CommandError>(&command);
        refused.out_of_step =
            std::holds_alternative<BdatCommand>(command) || (error && error->out_of_step);
        return refused;
    }
    return command;
}

void Session::input_ended(StreamStatus status) {
    if (status == StreamStatus::timed_out) {
        ++services_.counters.timeouts;
        close_with(replies::timed_out(hostname()));
    } else {
        gone_ = true;
    }
}

void Session::execute(const Command& command) {
    std::visit(Overloaded{
                   [this](const CommandError& error) { complain(error.reply, error.out_of_step); },
                   [this](const HeloCommand& helo) { hello(helo.identity, false); },
                   [this](const EhloCommand& ehlo) { hello(ehlo.identity, true); },
                   [this](const RsetCommand&) {
                       budget_.idle_command();
                       transaction_.reset();
                       say(replies::ok());
                   },
                   [this](const NoopCommand&) {
                       budget_.idle_command();
                       say(replies::ok());
                   },
                   [this](const ExpnCommand&) { expand(); },
                   [this](const HelpCommand&) {
                       budget_.idle_command();
                       say(replies::help(offered()));
                   },
                   [this](const XclientCommand& given) { take_given_client(given); },
                   [this](const QuitCommand&) {
                       linger_ = false;
                       close_with(replies::goodbye(hostname()));
                   },
                   [](const VrfyCommand&) {}, // these eight wait for somebody: converse()
                   [](const EtrnCommand&) {},
                   [](const StarttlsCommand&) {},
                   [](const AuthCommand&) {},
                   [](const MailCommand&) {},
                   [](const RcptCommand&) {},
                   [](const DataCommand&) {},
                   [](const BdatCommand&) {},
               },
               command);
}

// RFC 5321 4.1.1.1, 4.1.4: EHLO in the middle of a session is RSET as well.
void Session::hello(const std::string& identity, bool extended) {
    budget_.idle_command();
    transaction_.reset();
    helo_ = given_.helo.empty() ? identity : given_.helo;
    extended_ = extended;
    Extensions told = offered();
    told.xclient = may_give_client();
    say(extended ? replies::ehlo(hostname(), identity, settings(), told, offers_tls(), mechanisms(),
                                 executor().wall_seconds())
                 : replies::helo(hostname(), identity));
}

// As at its beginning, but for what is known of the connection.
void Session::begin_anew() {
    helo_.clear();
    extended_ = false;
    transaction_.reset();
}

Reply Session::no_hello() const { return replies::hello_first(address().lmtp); }

// A reply, unless this command was one too many.
void Session::say(const Reply& reply) {
    if (budget_.exhausted()) {
        log::info("too many errors", {{"session", to_string(MessageId{id()})},
                                      {"client", connection_.client.to_string()},
                                      {"helo", helo_}});
        close_with(replies::too_many_errors(hostname()));
        return;
    }
    stream_->write(to_wire(reply));
}

void Session::complain(const Reply& reply, bool and_leave) {
    ++services_.counters.errors;
    budget_.bad_command();
    log::debug("bad command", {{"session", to_string(MessageId{id()})}, {"stat", to_line(reply)}});
    if (and_leave)
        close_with(reply);
    else
        say(reply);
    count_error();
}

Task<void> Session::learn_reverse_name(IpAddress client) {
    std::string name = co_await find_reverse_name(services_.resolver, client);
    if (name_given_ || client != connection_.client)
        co_return; // XCLIENT has come meanwhile
    reverse_name_ = std::move(name);
    name_known_->complete(true);
}

// The end: last words, if there are any, and a moment for the client to read them before a
// connection with unread input is closed, which would reset it.
Task<void> Session::leave() {
    if (last_words_ && !gone_)
        stream_->write(to_wire(*last_words_));
    const StreamStatus sent = co_await stream_->drain(patience::last_words);
    const TimePoint end = executor().now() + patience::linger;
    while (last_words_ && linger_ && sent == StreamStatus::ok && executor().now() < end) {
        stream_->consume(stream_->input().size());
        const StreamStatus more = co_await stream_->read_more(end - executor().now());
        if (more != StreamStatus::ok)
            break;
    }
    log::debug("disconnected",
               {{"session", to_string(MessageId{id()})},
                {"client", connection_.client.to_string()},
                {"transactions", transactions_},
                {"stat", last_words_ ? to_line(*last_words_) : "connection closed"}});
    owner_.ended(*this);
}

} // namespace postern::listener
