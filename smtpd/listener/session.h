// One SMTP session (RFC 5321) from the greeting to the end of the connection, as a coroutine that
// reads like the dialogue. session.cc has the commands, session_auth.cc AUTH,
// session_envelope.cc what MAIL and RCPT set going, session_mail.cc DATA, session_chunks.cc BDAT,
// session_queries.cc VRFY, EXPN and ETRN, session_xclient.cc XCLIENT. LMTP (RFC 2033) is the same
// but for its LHLO, and for its replies to a message: one for each recipient.
//
// A session owns its stream and whatever it waits for; destroying it ends all of that. It takes its
// settings along: a reload is for later sessions. Nothing that a client sends ends more than its
// own session, and a message is answered with 250 only when the queue has said Durable.
//
// Bounds: 8 KiB of commands or 64 KiB of content read ahead, 64 KiB of output that the client does
// not read, 128 KiB of content in memory and one read's worth more, Transaction's recipients,
// max_lookups questions at once.
#pragma once

#include <list>
#include <memory>
#include <optional>
#include <string>

#include "common/ipc/listener_settings.h"
#include "common/loop/completion.h"
#include "common/loop/task.h"
#include "common/net/stream.h"
#include "common/smtp/command.h"
#include "common/smtp/data_decoder.h"
#include "common/smtp/limits.h"
#include "common/smtp/received.h"
#include "common/smtp/sasl.h"
#include "smtpd/listener/budget.h"
#include "smtpd/listener/client_limits.h"
#include "smtpd/listener/collaborators.h"
#include "smtpd/listener/content_sink.h"
#include "smtpd/listener/login_delays.h"
#include "smtpd/listener/pressure.h"
#include "smtpd/listener/session_counters.h"
#include "smtpd/listener/transaction.h"

namespace postern::listener {

class Session;

// How long a session waits for what (RFC 5321 4.5.3.2).
namespace patience {
inline constexpr Duration command = limits::server_command;     // the whole line
inline constexpr Duration content = limits::server_data;        // each piece
inline constexpr Duration handshake = std::chrono::seconds(60); // of TLS, all of it
inline constexpr Duration output = limits::server_command;      // until the client reads some more
// The same of these four under pressure.
inline constexpr Duration pressed_command = std::chrono::seconds(10);
inline constexpr Duration pressed_content = std::chrono::seconds(30);
inline constexpr Duration pressed_handshake = std::chrono::seconds(10);
inline constexpr Duration pressed_output = std::chrono::seconds(30);
inline constexpr Duration proxy = std::chrono::seconds(10); // a PROXY header, altogether
inline constexpr Duration last_words = std::chrono::seconds(10);
inline constexpr Duration linger = std::chrono::seconds(2);   // so that last words are not reset
inline constexpr Duration routing = std::chrono::seconds(60); // a client waits five minutes
inline constexpr Duration authentication = std::chrono::seconds(60);
inline constexpr Duration reverse_name = std::chrono::seconds(2); // at the first MAIL, once
// A client waits ten minutes for the reply to the end of data (4.5.3.2.6). When ours comes later
// than that, it has gone, and sends again what may have been accepted.
inline constexpr Duration submission = limits::client_data_termination - std::chrono::minutes(1);
// Content that goes on for longer than this must come at this rate on average, in bytes a second.
inline constexpr Duration free_content = std::chrono::minutes(10);
inline constexpr uint64_t least_rate = 100;
} // namespace patience

// What the sessions of a process share. Outlives them.
struct SessionServices {
    Executor& executor;
    Submission& submission;
    Routing& routing;
    Resolver& resolver;
    Accounts& accounts;
    LoginDelays& delays;
    SessionCounters& counters;
    ClientLimits& clients;
    Pressure& pressure;
};

struct Connection {
    uint64_t id = 0; // unique, also across restarts
    IpAddress client;
    std::shared_ptr<const ipc::ListenerSettings> settings;
    size_t address = 0;                             // in settings->addresses: where it came in
    bool spoke_early = false;                       // there was input before the greeting
    std::unique_ptr<Encryption> encryption;         // null: there is no TLS on this address
    std::unique_ptr<ClientLimits::Account> account; // of the client; null: the session asks for it
};

class SessionOwner {
  public:
    // The session is over. It may be destroyed, but not from inside this call.
    virtual void ended(Session& session) = 0;

  protected:
    ~SessionOwner() = default;
};

class Session {
  public:
    Session(const SessionServices& services, SessionOwner& owner, Connection connection,
            std::unique_ptr<Stream> stream);
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    // Call once. The owner may learn of the end from inside.
    void start();
    // Says 421 as soon as nothing is under way: at once when the next command is waited for.
    // Not to be called from inside the session.
    void drain();
    // Says 421 and leaves, whatever is under way: what was not answered yet, the client must take
    // for not done. Not to be called from inside the session.
    void cut_off();
    // Says 421 and leaves, to make room for others. The same holds.
    void shed();
    // Since when it has been waiting for its client; TimePoint::max() if it is not.
    TimePoint waiting_since() const { return waiting_since_; }
    // When that is too long for others who need the room; the same.
    TimePoint overdue_at() const { return overdue_at_; }
    uint64_t id() const { return connection_.id; }

    // A client goes on sending what was refused for its size. Beyond this it is not worth its
    // reply.
    static constexpr uint64_t excess_content = 1024 * 1024;
    static constexpr size_t max_lookups = 32;
    static constexpr size_t max_lookups_pressed = 4;
    // What is read ahead of commands; ahead of content, the stream's own limit.
    static constexpr size_t command_input = 8 * 1024;
    static constexpr size_t max_unread_output = 64 * 1024;
    static constexpr uint32_t max_auth_failures = 3; // then 421

  private:
    // A RCPT that lookup has been asked about; replies are given in the order of the commands.
    struct PendingRecipient {
        PendingRecipient(Executor& executor, std::string address, RecipientParameters parameters)
            : address(std::move(address)), parameters(std::move(parameters)), verdict(executor) {}
        std::string address;
        RecipientParameters parameters;
        std::optional<Reply> refusal; // then nobody is asked
        std::string words;            // of a table, for one that is refused
        Completion<ipc::RouteVerdict> verdict;
    };
    // What XCLIENT said: it holds whatever EHLO says afterwards.
    struct GivenClient {
        std::string helo;             // empty: not given
        std::optional<bool> extended; // PROTO
        bool said = false;            // XCLIENT was
    };

    Task<void> run();
    Task<void> converse();
    Task<void> leave();
    Task<void> keep_pace();
    void wait_since(TimePoint since, Duration pressed_patience);
    void wait_no_more();
    Task<void> learn_reverse_name(IpAddress client);
    const AuthOptions& auth() const { return address().auth; }

    Extensions offered() const;
    Command understand(const Line& line);
    void input_ended(StreamStatus status);
    void execute(const Command& command);
    void hello(const std::string& identity, bool extended);
    void begin_anew();
    Reply no_hello() const;
    void turn_down(const Command& command);
    void say(const Reply& reply);
    void complain(const Reply& reply, bool and_leave = false); // a bad command
    void close_with(Reply reply) { last_words_ = std::move(reply); }
    bool talking() const { return !gone_ && !last_words_; }

    // session_tls.cc
    Task<void> start_tls();
    Task<void> secure(std::string go_ahead);
    bool offers_tls() const;
    bool lacks_tls() const;
    bool needs_tls(const Command& command) const;

    // session_auth.cc
    // Under TLS only, so that nobody but us sees a password.
    bool offers_auth() const { return tls_ && auth().mode != AuthMode::none; }
    std::vector<SaslMechanism> mechanisms() const; // empty: no AUTH
    bool lacks_authentication() const;
    bool needs_authentication(const Command& command) const;
    std::optional<Reply> why_no_authentication(const AuthCommand& command) const;
    Task<void> authenticate(AuthCommand& command);
    std::optional<Secret> decode_response(std::string_view text, bool initial);
    Task<std::optional<Secret>> ask_client(std::string_view challenge);
    Task<void> take_password(SaslMechanism mechanism, std::string method,
                             std::optional<Secret> response);
    Task<void> check_credentials(SaslExchange& exchange, const std::string& method);
    Task<void> exchange_with_lookup(SaslMechanism mechanism, std::string method,
                                    std::optional<Secret> response);
    // `asked`: when lookup was asked.
    Task<void> conclude(ipc::Authentication verdict, std::string user, std::string method,
                        TimePoint asked);
    void note_abandoned(const std::string& user, const std::string& method);
    Task<void> refuse_credentials(const std::string& user, const std::string& method,
                                  TimePoint asked);
    Task<bool> may_send_as(const Mailbox& reverse_path);

    // session_envelope.cc
    ipc::Origin origin() const;
    Task<void> begin_transaction(const MailCommand& mail);
    bool may_raise_priority() const;
    std::optional<Reply> refuse_hold(const MailCommand& mail) const;
    void begin_recipient(const RcptCommand& rcpt);
    bool may_join(const RcptCommand& rcpt) const;
    std::string recipient_address(const RcptCommand& rcpt) const;
    bool has_room(const std::string& address, const RecipientParameters& parameters) const;
    Task<void> look_up(std::shared_ptr<PendingRecipient> recipient);
    Task<void> await_reverse_name();
    Task<void> settle_recipients();
    void settle_recipient(PendingRecipient& recipient, ipc::RouteVerdict verdict);

    // session_mail.cc
    Task<void> receive_message();
    Task<void> settle(ContentSink& sink);
    Task<bool> read_content(DataDecoder& decoder, NormalisedContent* normalised, ContentSink& sink);
    bool too_slow(TimePoint start, uint64_t size) const;
    Task<bool> more_content(TimePoint start, uint64_t size);
    ContentFacts::Options content_options() const;
    bool binary() const { return transaction_->parameters().body == Body::binary_mime; }
    std::optional<Reply> judge_lines(const ContentFacts& content);
    std::optional<Reply> judge(const ContentFacts& content, const ContentSink& sink);
    Task<void> submit(const ContentFacts& content, ContentSink& sink);
    void accepted(uint64_t message, size_t recipients, uint64_t size);
    void refuse_message(const Reply& reply, uint64_t size);
    void log_refusal(const Reply& reply, uint64_t size);
    void conclude_message(const Reply& reply);
    bool trusted_line_ends() const;
    ProtocolFacts protocol() const;
    void begin_content(ContentSink& sink) const;
    std::string trace_field() const;
    std::string date_field() const;
    std::string message_id_field() const;
    std::string transaction_id() const;

    // session_queries.cc
    Task<void> verify(const VrfyCommand& vrfy);
    std::optional<std::string> verifiable_address(std::string_view argument) const;
    void answer_verification(const std::string& address, bool utf8, const ipc::RouteAnswer& answer);
    void expand();
    Task<void> start_queue(const EtrnCommand& etrn);
    std::optional<Reply> why_no_etrn(const EtrnCommand& etrn) const;

    // session_proxy.cc
    Task<bool> learn_client();

    // session_xclient.cc
    bool may_give_client() const;
    void take_given_client(const XclientCommand& given);
    bool change_client(const IpAddress& client);

    // session_limits.cc
    bool pressed() const { return services_.pressure.high(executor().now()); }
    void note_memory(size_t content = 0);
    bool out_of_memory();
    void break_off(Reply last_words);
    void admit_client();
    void count_command();
    void count_error();
    void note_received();
    std::optional<Reply> too_early(Measure measure);
    void leave_over(const Excess& excess);
    void log_excess(const Excess& excess);

    // session_chunks.cc
    Task<void> receive_chunk(BdatCommand bdat);
    Task<void> refuse_first_chunk(BdatCommand bdat);
    void conclude_chunk(const BdatCommand& bdat, const Reply& refusal);
    void end_chunks(const BdatCommand& bdat);
    std::optional<Reply> chunk_out_of_place() const;
    Task<bool> read_chunk(ChunkedContent& content, uint64_t octets);
    Task<bool> skip_chunk(uint64_t octets);
    bool content_overdue() const;

    const ipc::ListenerSettings& settings() const { return *connection_.settings; }
    const ipc::ListenAddress& address() const { return settings().addresses[connection_.address]; }
    const std::string& hostname() const { return address().hostname; }
    Executor& executor() const { return services_.executor; }

    const SessionServices& services_;
    SessionOwner& owner_;
    Connection connection_;
    std::unique_ptr<Stream> stream_;
    Budget budget_;
    IpAddress peer_; // who is connected: XCLIENT does not change it
    GivenClient given_;
    std::string helo_; // as the client said it; empty: not yet
    std::string reverse_name_;
    bool extended_ = false;               // EHLO, not HELO
    bool securing_ = false;               // a TLS handshake is going on
    std::unique_ptr<const TlsFacts> tls_; // null: the session is not encrypted
    std::string user_;                    // authenticated as; empty: not
    uint32_t auth_failures_ = 0;
    bool refused_ = false; // in the greeting: only QUIT is waited for
    bool first_line_ = true;
    bool idle_ = false; // waiting for a command
    bool draining_ = false;
    bool gone_ = false; // the connection is over
    bool linger_ = true;
    bool name_awaited_ = false;
    bool name_given_ = false; // by XCLIENT: the DNS is not asked, or its answer does not count
    uint32_t transactions_ = 0;
    uint32_t commands_ = 0; // since others had their turn
    TimePoint waiting_since_ = TimePoint::max();
    TimePoint overdue_at_ = TimePoint::max();
    uint64_t progress_ = 0; // octets of content, when the client began to take its time for more
    TimePoint progress_at_ = TimePoint::min();
    uint64_t memory_ = 0;         // bytes that are noted as ours
    uint64_t received_ = 0;       // octets that the client's account knows of
    uint64_t skipped_octets_ = 0; // of chunks that nobody wanted, since the last message
    std::optional<Reply> last_words_;
    std::unique_ptr<Transaction> transaction_;
    std::unique_ptr<Completion<bool>> name_known_;
    std::list<std::shared_ptr<PendingRecipient>> pending_;
    TaskGroup tasks_; // last: these use all of the above
};

} // namespace postern::listener
