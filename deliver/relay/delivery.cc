// See delivery.h.
#include "deliver/relay/delivery.h"

#include <algorithm>
#include <cerrno>

#include "common/smtp/address.h"
#include "deliver/relay/dane.h"
#include "deliver/relay/next_hops.h"
#include "deliver/relay/sts.h"
#include "deliver/relay/transaction.h"

namespace postern::relay {

namespace {

// All texts of an outcome together, so that it fits into a packet (packet_channel.h).
constexpr size_t texts_limit = 300 * 1024;

// Failures that are not the destination's.
bool is_our_trouble(int error) {
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM ||
           error == EADDRNOTAVAIL || error == EACCES || error == EPERM;
}

// What stands in RCPT: the forward-path; for an LMTP action without rcpt-to, the user.
std::string recipient_address(const ipc::Route& route, const std::string& forward_path) {
    if (route.kind != ActionKind::lmtp || route.lmtp_rcpt_to)
        return forward_path;
    if (!route.user.empty())
        return Mailbox(route.user, "").to_string();
    std::optional<Mailbox> mailbox =
        parse_mailbox(forward_path, nullptr, Internationalized::accepted);
    return mailbox ? Mailbox(mailbox->local_part(), "").to_string() : forward_path;
}

std::unique_ptr<ContentSource> open_content(ipc::Deliver& order) {
    if (order.file.empty())
        return std::make_unique<MemoryContent>(std::move(order.content.bytes));
    return std::make_unique<FileContent>(std::move(order.file.front()), order.file_offset,
                                         order.file_length);
}

// RFC 8689 4.2.1: over TLS only, and to servers that promise as much. A socket of this machine is
// no network, and a report (null reverse-path) goes on without (5).
bool may_do_without_tls(const ipc::Deliver& order) {
    return !order.parameters.require_tls || order.reverse_path.empty() ||
           (order.route.host && !order.route.host->unix_path.empty());
}

// Why this is not for a relay.
std::optional<Diagnosis> order_error(const ipc::Deliver& order) {
    const ipc::Route& route = order.route;
    if (route.kind != ActionKind::relay && (route.kind != ActionKind::lmtp || !route.host))
        return Diagnosis(status::misconfigured.as(4), "the action names no host to relay to");
    if (!may_do_without_tls(order))
        return Diagnosis(status::requiretls_needed,
                         "the sender requires TLS all the way (REQUIRETLS), which this relay does "
                         "not promise");
    return std::nullopt;
}

// Encrypts the streams of one exchanger by the network.
class NetworkEncryption final : public Encryption {
  public:
    NetworkEncryption(Network& network, TlsDemand demand)
        : network_(network), demand_(std::move(demand)) {}
    Task<Result<TlsFacts>> begin(Stream& stream, Duration limit) override {
        return network_.encrypt(stream, demand_, limit);
    }

  private:
    Network& network_;
    TlsDemand demand_;
};

class Delivery {
  public:
    Delivery(Surroundings surroundings, std::shared_ptr<const Identity> identity,
             ipc::Deliver order);
    Task<void> run();
    ipc::Outcome outcome() const;

  private:
    enum class Sent {
        all,     // every recipient has a verdict
        part,    // it has dealt with some, and then the session was over without having failed
        refused, // 4yz to MAIL: the host will not have it now
        broken,  // the session has failed
    };

    Task<void> walk(Destinations::Lease& lease);
    Task<void> try_unix(Destinations::Lease& lease);
    Task<bool> find_sts();
    Task<void> try_exchanger(Destinations::Lease& lease, Exchanger exchanger);
    Task<std::optional<TlsPolicy>> policy_for(const Exchanger& exchanger);
    std::string tls_terms(const Exchanger& exchanger) const;
    Task<std::unique_ptr<Connection>> open(Destinations::Lease& lease, Exchanger exchanger,
                                           TlsPolicy policy);
    Task<std::unique_ptr<Connection>> connect(Exchanger exchanger, TlsPolicy policy);
    Task<bool> open_session(Connection& connection);
    void count_tls(const ClientSession& session);
    Task<Sent> send(Destinations::Lease& lease, std::unique_ptr<Connection> connection);

    size_t open_recipients() const;
    bool in_time() const { return around_.network.executor().now() < walk_until_; }
    void explain(const Diagnosis& diagnosis);
    void explain_connect(const std::string& where, const Error& error);
    void settle(const Diagnosis& diagnosis);
    bool lmtp() const {
        return order_.route.host && order_.route.host->scheme == RelayScheme::lmtp;
    }

    Surroundings around_;
    std::shared_ptr<const Identity> identity_;
    ipc::Deliver order_;
    std::string helo_;
    std::unique_ptr<ContentSource> content_;
    Message message_;
    std::vector<Recipient> recipients_;
    std::vector<std::string> domains_; // ExchangerList::domains
    ipc::StsPolicy sts_;               // of the domain
    TimePoint walk_until_;
    std::string refused_by_;        // it said 4yz to MAIL over a connection from before
    bool reached_ = false;          // somebody said hello
    bool handshake_failed_ = false; // of the last connection, where it may go in plain
    bool our_trouble_ = false;      // what failed was not the destination
    bool destination_down_ = false;
};

Delivery::Delivery(Surroundings surroundings, std::shared_ptr<const Identity> identity,
                   ipc::Deliver order)
    : around_(surroundings), identity_(std::move(identity)), order_(std::move(order)),
      helo_(order_.route.helo.empty() ? identity_->hostname : order_.route.helo),
      content_(open_content(order_)), message_(*content_),
      walk_until_(around_.network.executor().now() + walk_limit) {
    message_.reverse_path = order_.reverse_path;
    message_.parameters = order_.parameters;
    message_.as_of = around_.network.executor().now();
    message_.eight_bit = order_.traits.eight_bit;
    message_.utf8_header = order_.parameters.smtp_utf8 && order_.traits.eight_bit &&
                           is_eight_bit(*content_, order_.traits.header_length);
    const size_t count = std::min(order_.recipients.size(), recipients_limit);
    recipients_.reserve(count);
    for (size_t i = 0; i < count; ++i) {
        recipients_.emplace_back(recipient_address(order_.route, order_.recipients[i].address));
        recipients_.back().parameters = order_.recipients[i].parameters;
    }
}

size_t Delivery::open_recipients() const {
    return static_cast<size_t>(
        std::count_if(recipients_.begin(), recipients_.end(),
                      [](const Recipient& r) { return r.verdict == Verdict::open; }));
}

// The reason, so far, for those that are still open.
void Delivery::explain(const Diagnosis& diagnosis) {
    for (Recipient& recipient : recipients_)
        if (recipient.verdict == Verdict::open) {
            recipient.diagnosis = diagnosis;
            recipient.tls = no_tls;
        }
}

void Delivery::explain_connect(const std::string& where, const Error& error) {
    const bool ours = is_our_trouble(error.code);
    our_trouble_ = our_trouble_ || ours;
    explain(Diagnosis(ours ? status::other_system.as(4) : status::no_answer,
                      sanitize(where + ": " + error.message, diagnosis_limit)));
}

// The verdict for all that are still open, by the class of `diagnosis`.
void Delivery::settle(const Diagnosis& diagnosis) {
    for (Recipient& recipient : recipients_) {
        if (recipient.verdict != Verdict::open)
            continue;
        recipient.verdict =
            diagnosis.status.status_class == 5 ? Verdict::permanent : Verdict::temporary;
        recipient.diagnosis = diagnosis;
        recipient.tls = no_tls;
    }
}

Task<void> Delivery::run() {
    if (std::optional<Diagnosis> error = order_error(order_)) {
        settle(*error);
        co_return;
    }
    Destinations::Lease lease = around_.destinations.lease(destination_key(order_.route, helo_));
    if (std::unique_ptr<Connection> connection = lease.take()) {
        // What goes wrong here may be the connection's age: the addresses are still walked.
        reached_ = true;
        const std::string remote = connection->session.remote();
        const Sent sent = co_await send(lease, std::move(connection));
        if (sent == Sent::refused)
            refused_by_ = remote;
    }
    if (open_recipients() > 0)
        co_await walk(lease);
    const bool left = open_recipients() > 0;
    destination_down_ = left && !reached_ && !our_trouble_;
    for (Recipient& recipient : recipients_) {
        if (recipient.verdict != Verdict::open)
            continue;
        recipient.verdict = Verdict::temporary;
        if (!recipient.diagnosis.status.present())
            recipient.diagnosis =
                Diagnosis(status::bad_connection, "no next hop has dealt with the recipient");
    }
}

Task<void> Delivery::walk(Destinations::Lease& lease) {
    const ipc::Route& route = order_.route;
    if (route.host && !route.host->unix_path.empty()) {
        co_await try_unix(lease);
        co_return;
    }
    ExchangerList list =
        co_await find_exchangers(around_.network, route, identity_->ourselves, around_.random);
    if (list.failure) {
        if (list.failure->status.status_class == 5)
            settle(*list.failure);
        else
            explain(*list.failure);
        co_return;
    }
    domains_ = std::move(list.domains);
    const bool found = co_await find_sts();
    if (!found)
        co_return;
    around_.slow.move_to_end(list.exchangers, around_.network.executor().now());
    for (const Exchanger& exchanger : list.exchangers) {
        if (open_recipients() == 0 || !in_time())
            co_return;
        if (refused_by_ != to_string(exchanger))
            co_await try_exchanger(lease, exchanger);
    }
}

Task<void> Delivery::try_unix(Destinations::Lease& lease) {
    const std::string path = order_.route.host->unix_path;
    bool again = true;
    while (again) {
        Network::Connected stream = co_await around_.network.connect_unix(path);
        if (!stream) {
            explain_connect(path, stream.error());
            co_return;
        }
        SessionOptions options(helo_, lmtp(), path);
        auto connection = std::make_unique<Connection>(std::move(*stream), std::move(options));
        const bool opened = co_await open_session(*connection);
        if (!opened)
            co_return lease.discard(std::move(connection));
        const Sent sent = co_await send(lease, std::move(connection));
        again = sent == Sent::part && in_time();
    }
}

Task<void> Delivery::try_exchanger(Destinations::Lease& lease, Exchanger exchanger) {
    Executor& executor = around_.network.executor();
    const std::string terms = tls_terms(exchanger);
    bool again = true;
    while (again) {
        std::optional<TlsPolicy> wanted = co_await policy_for(exchanger);
        if (!wanted)
            co_return;
        TlsPolicy policy = *std::move(wanted);
        const bool opportunistic = policy.level == TlsLevel::opportunistic;
        if (opportunistic && around_.tls.fails_with(exchanger.endpoint, terms, executor.now()))
            policy.level = TlsLevel::never;
        const TimePoint started = executor.now();
        std::unique_ptr<Connection> connection = co_await open(lease, exchanger, policy);
        if (!connection && handshake_failed_) {
            policy.level = TlsLevel::never; // in plain, by a new connection
            ++around_.tls.fallbacks;
            connection = co_await open(lease, exchanger, policy);
        }
        if (connection)
            around_.slow.forget(exchanger.endpoint);
        else if (executor.now() - started >= SlowAddresses::too_long)
            around_.slow.note(exchanger.endpoint, executor.now());
        if (!connection)
            co_return;
        const Sent sent = co_await send(lease, std::move(connection));
        again = sent == Sent::part && in_time();
    }
}

// False: nobody knows, and the reason is noted. Whoever keeps us from finding out must not gain by
// it.
Task<bool> Delivery::find_sts() {
    if (!goes_by_sts(order_.route))
        co_return true;
    const std::string domain = order_.route.domain;
    ipc::PolicyAnswer answer = co_await around_.network.find_policy(domain);
    if (answer.known)
        sts_ = std::move(answer.policy);
    else
        explain(Diagnosis(status::directory_failure,
                          "whether " + domain + " has an MTA-STS policy cannot be found out now"));
    co_return answer.known;
}

// What a connection to the exchanger has to be like: by the configuration, by DANE, and where the
// zone says nothing by MTA-STS (RFC 8461 2). Nothing: it must not be used; the reason is noted.
Task<std::optional<TlsPolicy>> Delivery::policy_for(const Exchanger& exchanger) {
    TlsPolicy policy = tls_policy(order_.route);
    DaneFinding finding;
    if (policy.level == TlsLevel::opportunistic || policy.level == TlsLevel::encrypted)
        finding = co_await find_dane(around_.network, exchanger);
    if (finding.verdict == DaneVerdict::failed) {
        finding.failure.remote = to_string(exchanger);
        explain(finding.failure);
        co_return std::nullopt;
    }
    policy = with_dane(std::move(policy), finding, domains_);
    if (finding.verdict == DaneVerdict::usable || sts_.mode != ipc::StsMode::enforce)
        co_return policy;
    if (!names_exchanger(sts_, exchanger.host)) {
        explain(Diagnosis(status::other_security.as(4),
                          exchanger.host + " is not named by the MTA-STS policy of " +
                              order_.route.domain,
                          to_string(exchanger)));
        co_return std::nullopt;
    }
    co_return with_sts(std::move(policy), sts_);
}

// All that is wanted of a handshake, the name by which the server is asked for too: what fails with
// one name, which anybody can have point there, says nothing of another.
std::string Delivery::tls_terms(const Exchanger& exchanger) const {
    return exchanger.host + '\n' + ipc::encode_bytes(order_.route.tls);
}

// An open session. Nothing: the reason is noted; of the host too, if it was the handshake.
Task<std::unique_ptr<Connection>> Delivery::open(Destinations::Lease& lease, Exchanger exchanger,
                                                 TlsPolicy policy) {
    handshake_failed_ = false;
    std::unique_ptr<Connection> connection = co_await connect(exchanger, policy);
    if (!connection)
        co_return nullptr;
    const bool opened = co_await open_session(*connection);
    count_tls(connection->session);
    if (opened)
        co_return connection;
    // What fails where more is demanded, such as a name, says nothing of what will do here.
    handshake_failed_ = connection->session.tls_failed() && policy.level == TlsLevel::opportunistic;
    if (handshake_failed_)
        around_.tls.note_failure(exchanger.endpoint, tls_terms(exchanger),
                                 around_.network.executor().now());
    lease.discard(std::move(connection));
    co_return nullptr;
}

void Delivery::count_tls(const ClientSession& session) {
    TlsRecord& record = around_.tls;
    if (session.tls()) {
        ++record.handshakes;
        record.resumed += session.tls()->resumed;
    } else if (session.tls_failed()) {
        ++record.failures;
    }
    record.unmet += session.policy_unmet();
}

// Nothing: the reason is noted.
Task<std::unique_ptr<Connection>> Delivery::connect(Exchanger exchanger, TlsPolicy policy) {
    std::string remote = to_string(exchanger);
    std::optional<IpAddress> source = order_.route.source;
    if (source && source->version != exchanger.endpoint.address.version) {
        explain(Diagnosis(status::no_answer, remote + ": not of the family of the source address " +
                                                 source->to_string()));
        co_return nullptr;
    }
    Network::Connected stream = co_await around_.network.connect(exchanger.endpoint, source);
    if (!stream) {
        explain_connect(remote, stream.error());
        co_return nullptr;
    }
    SessionOptions options(helo_, lmtp(), std::move(remote));
    options.tls = policy;
    if (policy.level != TlsLevel::never)
        options.encryption = std::make_unique<NetworkEncryption>(
            around_.network, tls_demand(policy, order_.route, exchanger));
    auto connection = std::make_unique<Connection>(std::move(*stream), std::move(options));
    connection->endpoint = exchanger.endpoint;
    co_return connection;
}

Task<bool> Delivery::open_session(Connection& connection) {
    // A co_await has a statement of its own: gcc 12 gets it wrong within conditions.
    const bool opened = co_await connection.session.open();
    if (opened)
        reached_ = true;
    else
        explain(connection.session.failure());
    co_return opened;
}

Task<Delivery::Sent> Delivery::send(Destinations::Lease& lease,
                                    std::unique_ptr<Connection> connection) {
    const size_t before = open_recipients();
    ++connection->messages;
    const std::optional<TlsFacts>& tls = connection->session.tls();
    for (Recipient& recipient : recipients_)
        if (recipient.verdict == Verdict::open)
            recipient.tls = tls ? to_text(*tls) : no_tls;
    co_await send_message(connection->session, message_, recipients_, walk_until_, around_.random);
    const size_t left = open_recipients();
    const bool failed = connection->session.failed();
    if (connection->session.lost_after_content() && connection->endpoint)
        around_.slow.note(*connection->endpoint, around_.network.executor().now());
    if (left == 0) {
        lease.keep(std::move(connection));
        co_return Sent::all;
    }
    lease.discard(std::move(connection));
    co_return failed ? Sent::broken : left < before ? Sent::part : Sent::refused;
}

ipc::Outcome Delivery::outcome() const {
    ipc::Outcome result;
    result.delivery = order_.delivery;
    result.destination_down = destination_down_;
    const size_t room = texts_limit / std::max<size_t>(recipients_.size(), 1);
    for (size_t i = 0; i < recipients_.size(); ++i) {
        const Diagnosis& diagnosis = recipients_[i].diagnosis;
        ipc::RecipientOutcome entry;
        entry.index = order_.recipients[i].index;
        entry.status =
            recipients_[i].verdict == Verdict::delivered   ? ipc::RecipientStatus::delivered
            : recipients_[i].verdict == Verdict::permanent ? ipc::RecipientStatus::permanent
                                                           : ipc::RecipientStatus::temporary;
        entry.handover = recipients_[i].handover;
        entry.deliver_by = recipients_[i].deliver_by;
        entry.enhanced = to_string(diagnosis.status);
        entry.diagnostic = diagnosis.text.substr(0, room - std::min(room, diagnosis.remote.size()));
        entry.from_remote = diagnosis.from_remote;
        entry.remote = diagnosis.remote;
        entry.tls = recipients_[i].tls;
        result.recipients.push_back(std::move(entry));
    }
    return result;
}

} // namespace

Task<ipc::Outcome> deliver(Surroundings surroundings, std::shared_ptr<const Identity> identity,
                           ipc::Deliver order) {
    Delivery delivery(surroundings, std::move(identity), std::move(order));
    co_await delivery.run();
    co_return delivery.outcome();
}

} // namespace postern::relay
