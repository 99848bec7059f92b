// See opening.h.
#include "deliver/relay/opening.h"

#include "common/base/log.h"
#include "deliver/relay/authentication.h"
#include "deliver/relay/dane.h"
#include "deliver/relay/egress.h"
#include "deliver/relay/session_reports.h"
#include "deliver/relay/sts.h"

namespace postern::relay {

namespace {

// "Encryption needed" (RFC 8689 4.2.1).
constexpr EnhancedStatusCode tls_needed{5, 7, 10};

class Opener {
  public:
    Opener(Surroundings around, const OpeningTerms& terms, Destinations::Lease& lease)
        : around_(around), terms_(terms), lease_(lease), reports_(around.network, terms) {}

    Task<void> to_exchanger(Exchanger exchanger);
    Task<void> to_unix(std::string path);
    Opening take() { return std::move(result_); }

  private:
    Task<std::optional<TlsPolicy>> policy_for(Exchanger exchanger);
    std::optional<Diagnosis> require_tls(TlsPolicy& policy, const Exchanger& exchanger) const;
    bool enforces_sts() const { return terms_.sts.mode == ipc::StsMode::enforce; }
    bool sts_forbids(const Exchanger& exchanger);
    Task<bool> test_sts(Exchanger exchanger, const TlsPolicy& policy);
    Task<void> attempt(Exchanger exchanger, TlsPolicy policy, bool for_now);
    Task<void> talk(const Exchanger& exchanger, const TlsPolicy& policy, SessionOptions options,
                    Passage passage);
    bool is_proxys_silence(const Passage& passage, const Connection& connection);
    IpAddress sending_address(const Passage& passage, const Connection& connection) const;
    Task<bool> open_session(Connection& connection);
    Task<bool> find_credentials();
    Task<bool> log_in(ClientSession& session);
    void settle(std::unique_ptr<Connection> connection);

    std::string memory_of(const Exchanger& exchanger) const;
    void remember(const Way& way);
    void count_tls(const ClientSession& session);
    void fail(Diagnosis diagnosis) { result_.failure = std::move(diagnosis); }
    void fail_ours(Diagnosis diagnosis) {
        result_.ours = true;
        fail(std::move(diagnosis));
    }
    void fail_unmet(Diagnosis diagnosis) {
        result_.unmet = true;
        fail(std::move(diagnosis));
    }
    void fail(Passage passage) {
        result_.ours = passage.ours;
        result_.proxy_failed = passage.proxy_failed;
        result_.timed_out = passage.timed_out;
        fail(std::move(passage.failure));
    }

    Surroundings around_;
    const OpeningTerms& terms_;
    Destinations::Lease& lease_;
    SessionReports reports_;
    Opening result_;
    Duration waited_{};                          // for the server
    bool tried_ = false;                         // to connect
    TimePoint since_{};                          // for the first time
    SlowAddresses::Stage stage_{};               // that was come to last
    bool handshake_failed_ = false;              // of the last connection, where it may go in plain
    bool unmet_ = false;                         // TLS has failed, or was not what it had to be
    bool silence_ = false;                       // and nobody knows whose
    std::optional<SaslCredentials> credentials_; // of the route's label
};

// All that is wanted of a handshake, the name by which the server is asked for too: what fails with
// one name, which anybody can have point there, says nothing of another. Nor does what fails on one
// way there.
std::string Opener::memory_of(const Exchanger& exchanger) const {
    return exchanger.host + '\n' + way_to(terms_.route, exchanger.endpoint).from + '\n' +
           ipc::encode_bytes(terms_.route.tls);
}

void Opener::count_tls(const ClientSession& session) {
    TlsRecord& record = around_.tls;
    if (session.tls()) {
        ++record.handshakes;
        record.resumed += session.tls()->resumed;
    } else if (session.tls_failed()) {
        ++record.failures;
    }
    record.unmet += session.policy_unmet();
}

// RFC 8689 4.2.1: the name of the server has to come from a signed zone, from our configuration or
// from the domain's MTA-STS policy, and its certificate to be for that name, or to be what its zone
// says.
std::optional<Diagnosis> Opener::require_tls(TlsPolicy& policy, const Exchanger& exchanger) const {
    if (policy.level == TlsLevel::never)
        return Diagnosis(tls_needed,
                         "the sender requires TLS (REQUIRETLS), which is not spoken here",
                         to_string(exchanger));
    const bool named = enforces_sts() && names_exchanger(terms_.sts, exchanger.host);
    if (!terms_.route.host && !exchanger.secure_name && !named)
        return Diagnosis(tls_needed,
                         "the sender requires TLS (REQUIRETLS), and nothing proves that this is a "
                         "mail exchanger of the recipient's domain",
                         to_string(exchanger));
    policy.level = TlsLevel::verified;
    return std::nullopt;
}

// What the connection has to be like. Nothing: there cannot be any, the reason is noted.
Task<std::optional<TlsPolicy>> Opener::policy_for(Exchanger exchanger) {
    if (contradicts_itself(terms_.route)) {
        fail_ours(Diagnosis(status::misconfigured.as(4),
                            "TLS is demanded of a host that is spoken to without",
                            to_string(exchanger)));
        co_return std::nullopt;
    }
    TlsPolicy policy = tls_policy(terms_.route);
    if (terms_.require_tls) {
        const TlsLevel before = policy.level;
        if (std::optional<Diagnosis> unmet = require_tls(policy, exchanger)) {
            fail_unmet(std::move(*unmet));
            co_return std::nullopt;
        }
        if (before == TlsLevel::verified) // by a certificate, as the configuration has it
            co_return sts_forbids(exchanger) ? std::nullopt : std::optional(policy);
    } else if (policy.level != TlsLevel::opportunistic && policy.level != TlsLevel::encrypted) {
        const bool forbidden = policy.level == TlsLevel::verified && sts_forbids(exchanger);
        co_return forbidden ? std::nullopt : std::optional(policy);
    }
    DaneFinding finding = co_await find_dane(around_.network, exchanger);
    const bool demands = finding.verdict != DaneVerdict::none || enforces_sts();
    if (demands && !terms_.require_tls && policy.level == TlsLevel::opportunistic &&
        terms_.waives_tls && terms_.waives_tls()) {
        result_.waived = true;
        co_return policy;
    }
    if (finding.verdict == DaneVerdict::failed) {
        if (finding.bogus)
            reports_.add_dane_failure(exchanger, ipc::TlsResult::dnssec_invalid,
                                      finding.failure.text);
        finding.failure.remote = to_string(exchanger);
        fail(std::move(finding.failure));
        co_return std::nullopt;
    }
    if (finding.verdict == DaneVerdict::unusable)
        reports_.add_dane_failure(exchanger, ipc::TlsResult::tlsa_invalid,
                                  "no TLSA record is one to verify a mail exchanger by");
    policy = with_dane(std::move(policy), finding, terms_.domains);
    if (finding.verdict == DaneVerdict::usable) // the zone has the last word (RFC 8461 2)
        co_return policy;
    if (sts_forbids(exchanger))
        co_return std::nullopt;
    co_return with_sts(std::move(policy), terms_.sts);
}

// Whether the domain's policy is enforced and does not name the exchanger; the reason is noted.
bool Opener::sts_forbids(const Exchanger& exchanger) {
    if (terms_.sts.mode == ipc::StsMode::none || names_exchanger(terms_.sts, exchanger.host))
        return false;
    const std::string reason =
        exchanger.host + " is not named by the MTA-STS policy of " + terms_.route.domain;
    reports_.add_unnamed(exchanger, reason);
    if (!enforces_sts())
        return false;
    fail(Diagnosis(status::other_security.as(4), reason, to_string(exchanger)));
    return true;
}

// A policy that is tested is tried to keep to first, and the domain told of that alone. True: it
// came to a session, or to nothing that has to do with TLS.
Task<bool> Opener::test_sts(Exchanger exchanger, const TlsPolicy& policy) {
    if (terms_.sts.mode != ipc::StsMode::testing || policy.level != TlsLevel::opportunistic ||
        result_.waived || !names_exchanger(terms_.sts, exchanger.host))
        co_return false;
    TlsPolicy strict = policy;
    strict.level = TlsLevel::verified;
    unmet_ = false;
    co_await attempt(exchanger, strict, false);
    // Ours: such as that we have nothing to verify certificates by.
    const bool failed_by_it = unmet_ || (result_.ours && !result_.proxy_failed && !silence_);
    const bool settled = result_.connection || !failed_by_it;
    result_.ours = result_.ours && settled;
    reports_.close();
    co_return settled;
}

Task<void> Opener::to_exchanger(Exchanger exchanger) {
    Executor& executor = around_.network.executor();
    std::optional<TlsPolicy> policy = co_await policy_for(exchanger);
    if (!policy)
        co_return;
    const bool opportunistic = policy->level == TlsLevel::opportunistic;
    const bool failed_lately =
        opportunistic &&
        around_.tls.fails_with(exchanger.endpoint, memory_of(exchanger), executor.now());
    if (failed_lately)
        policy->level = TlsLevel::never;
    const bool settled = co_await test_sts(exchanger, *policy);
    if (!settled)
        co_await attempt(exchanger, *policy, failed_lately);
    if (!result_.connection && handshake_failed_) {
        policy->level = TlsLevel::never; // in plain, by a new connection
        ++around_.tls.fallbacks;
        co_await attempt(exchanger, *policy, true);
    }
    remember(way_to(terms_.route, exchanger.endpoint));
}

// Whether others had better try this address last.
void Opener::remember(const Way& way) {
    const TimePoint now = around_.network.executor().now();
    if (result_.connection)
        around_.slow.reach(way, SlowAddresses::Stage::session, now);
    else if (!result_.ours && waited_ >= SlowAddresses::too_long)
        around_.slow.note(way, stage_, now, since_);
    else if (!result_.ours && tried_)
        around_.slow.forget(way); // what is said at once costs nothing
}

// One connection. `for_now`: it goes in plain because TLS has failed.
Task<void> Opener::attempt(Exchanger exchanger, TlsPolicy policy, bool for_now) {
    handshake_failed_ = false;
    std::string remote = to_string(exchanger);
    const ipc::SourceAddress* source = source_for(terms_.route, exchanger.endpoint.address.version);
    SessionOptions options(source && !source->helo.empty() ? source->helo : terms_.helo,
                           terms_.lmtp(), remote);
    options.tls = policy;
    options.for_now = for_now;
    if (policy.level != TlsLevel::never) {
        Result<std::unique_ptr<Encryption>> encryption =
            around_.network.prepare(tls_demand(policy, terms_.route, exchanger));
        if (!encryption) // before anybody is bothered
            co_return fail_ours(Diagnosis(
                status::misconfigured.as(4),
                sanitize("TLS as it is wanted is not possible: " + encryption.error().message,
                         diagnosis_limit)));
        options.encryption = std::move(*encryption);
    }
    const bool known = co_await find_credentials();
    if (!known)
        co_return;
    Passage passage = co_await find_passage(around_, terms_.route, exchanger, terms_.connect_limit);
    const TimePoint since = passage.since;
    if (!std::exchange(tried_, true))
        since_ = since;
    stage_ = passage.stream ? SlowAddresses::Stage::session : SlowAddresses::Stage::connection;
    if (passage.stream)
        co_await talk(exchanger, policy, std::move(options), std::move(passage));
    else
        fail(std::move(passage));
    waited_ += around_.network.executor().now() - since;
}

// Over the connection, until there is a session or it has failed.
Task<void> Opener::talk(const Exchanger& exchanger, const TlsPolicy& policy, SessionOptions options,
                        Passage passage) {
    result_.ours = result_.proxy_failed = false;
    auto connection = std::make_unique<Connection>(std::move(passage.stream), std::move(options));
    connection->endpoint = exchanger.endpoint;
    const bool opened = co_await open_session(*connection);
    count_tls(connection->session);
    unmet_ = connection->session.policy_unmet() || connection->session.tls_failed();
    const ClientSession& session = connection->session;
    const bool by_proxy = !passage.proxy.empty();
    if (by_proxy && !opened && !result_.failure.from_remote)
        result_.failure.text += " (through " + passage.proxy + ")";
    if (is_proxys_silence(passage, *connection))
        co_return lease_.discard(std::move(connection));
    reports_.add_session(exchanger, policy, session, sending_address(passage, *connection));
    if (opened)
        co_return settle(std::move(connection));
    // What fails where more is demanded, such as a name, says nothing of what will do here.
    handshake_failed_ = session.tls_failed() && policy.level == TlsLevel::opportunistic;
    const bool is_tls = !by_proxy || session.broken() == StreamStatus::ok; // and no broken way
    if (handshake_failed_ && is_tls)
        around_.tls.note_failure(exchanger.endpoint, memory_of(exchanger),
                                 around_.network.executor().now());
    result_.ours = result_.ours || session.failed_by_us();
    if (terms_.require_tls && session.cannot_meet_policy()) {
        result_.failure.status = tls_needed;
        result_.unmet = true;
    }
    lease_.discard(std::move(connection));
}

// Nothing has come through a proxy that does not say whether it has connected: nobody knows whether
// the server is to blame, unless others were heard in the meantime.
bool Opener::is_proxys_silence(const Passage& passage, const Connection& connection) {
    if (!passage.mute_proxy)
        return false;
    const Way& proxy = *passage.mute_proxy;
    const ClientSession& session = connection.session;
    const TimePoint now = around_.network.executor().now();
    if (session.heard())
        around_.slow.reach(proxy, SlowAddresses::Stage::session, now);
    else if (session.broken() == StreamStatus::closed)
        around_.slow.forget(proxy); // it is there, and could not connect
    if (session.heard() || session.broken() != StreamStatus::timed_out ||
        around_.slow.is_reached(proxy, SlowAddresses::Stage::session, passage.since))
        return false;
    result_.ours = silence_ = true;
    const ipc::Route& route = terms_.route;
    result_.proxy_failed = around_.slow.note_silence(proxy, route.action + ' ' + route.domain, now);
    return true;
}

// Where the server saw us come from, as far as that is known here.
IpAddress Opener::sending_address(const Passage& passage, const Connection& connection) const {
    if (passage.proxy.empty())
        return reported_address(around_.network.own_address(*connection.stream));
    const ipc::SourceAddress* told = source_for(terms_.route, connection.endpoint->address.version);
    return passage.mute_proxy && told ? reported_address(told->address) : IpAddress();
}

// An open session is what was wanted, or is given up.
void Opener::settle(std::unique_ptr<Connection> connection) {
    if (terms_.require_tls && !connection->session.capabilities().require_tls) {
        fail_unmet(Diagnosis(status::requiretls_needed,
                             "the sender requires TLS all the way (REQUIRETLS), which the server "
                             "does not promise",
                             connection->session.remote()));
        return lease_.discard(std::move(connection));
    }
    result_.connection = std::move(connection);
}

Task<void> Opener::to_unix(std::string path) {
    Passage passage = co_await find_unix_passage(around_, path);
    if (!passage.stream)
        co_return fail(std::move(passage));
    SessionOptions options(terms_.helo, terms_.lmtp(), path);
    auto connection = std::make_unique<Connection>(std::move(passage.stream), std::move(options));
    const bool opened = co_await open_session(*connection);
    if (opened)
        result_.connection = std::move(connection);
    else
        lease_.discard(std::move(connection));
}

Task<bool> Opener::open_session(Connection& connection) {
    ClientSession& session = connection.session;
    // A co_await has a statement of its own: gcc 12 gets it wrong within conditions.
    bool opened = co_await session.open();
    if (opened && !terms_.route.label.empty())
        opened = co_await log_in(session);
    result_.reached = result_.reached || opened;
    if (!opened)
        fail(session.failure());
    co_return opened;
}

// Before anybody is bothered. False: there are none, the reason is noted.
Task<bool> Opener::find_credentials() {
    const ipc::Route& route = terms_.route;
    if (route.label.empty() || credentials_)
        co_return true;
    Result<SaslCredentials> found =
        co_await around_.network.credentials(route.credentials, route.label);
    if (!found) {
        fail_ours(without_credentials(found.error()));
        co_return false;
    }
    credentials_ = *std::move(found);
    co_return true;
}

Task<bool> Opener::log_in(ClientSession& session) {
    const bool done = co_await authenticate(session, *credentials_, make_nonce);
    if (!done)
        log::error("a relay host does not let us log in", {{"relay", session.remote()},
                                                           {"label", terms_.route.label},
                                                           {"reason", session.failure().text}});
    co_return done;
}

} // namespace

Task<Opening> open_exchanger(Surroundings around, const OpeningTerms& terms, Exchanger exchanger,
                             Destinations::Lease& lease) {
    Opener opener(around, terms, lease);
    co_await opener.to_exchanger(std::move(exchanger));
    co_return opener.take();
}

Task<Opening> open_unix(Surroundings around, const OpeningTerms& terms, std::string path,
                        Destinations::Lease& lease) {
    Opener opener(around, terms, lease);
    co_await opener.to_unix(std::move(path));
    co_return opener.take();
}

} // namespace postern::relay
