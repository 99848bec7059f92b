// See delivery.h.
#include "deliver/relay/delivery.h"

#include <algorithm>
#include <set>

#include "deliver/relay/egress.h"
#include "deliver/relay/next_hops.h"
#include "deliver/relay/opening.h"
#include "deliver/relay/order.h"
#include "deliver/relay/sts.h"
#include "deliver/relay/tls_required.h"
#include "deliver/relay/transaction.h"

namespace postern::relay {

namespace {

// What is the same of all addresses of a host.
std::string name_of(const Exchanger& exchanger) {
    return exchanger.host.empty() ? to_string(exchanger) : exchanger.host;
}

class Delivery {
  public:
    Delivery(Surroundings surroundings, std::shared_ptr<const Identity> identity,
             ipc::Deliver order);
    Task<void> run();
    ipc::Outcome outcome() const { return make_outcome(order_, recipients_, destination_down_); }

  private:
    enum class Sent {
        all,     // every recipient has a verdict
        part,    // it has dealt with some, and then the session was over without having failed
        refused, // 4yz to MAIL: the host will not have it now
        broken,  // the session has failed
    };
    // To be tried when all others have been.
    struct Later {
        std::optional<RelayTarget> target; // of several hosts
        Exchanger exchanger;
        std::vector<std::string> domains;
        Duration connect_limit;
    };

    std::vector<RelayTarget> shuffled_targets() const;
    void aim(const RelayTarget& target);
    std::string key() const;
    Task<void> try_target(bool is_last);
    Task<void> try_kept();
    Task<void> walk(Destinations::Lease& lease, bool is_last);
    void leave_out_loopback(ExchangerList& list);
    void keep_reachable(std::vector<Exchanger>& exchangers);
    Task<void> try_unix(Destinations::Lease& lease);
    Task<bool> find_sts();
    Task<void> try_later();
    void put_off(const Exchanger& exchanger, Duration connect_limit);
    Task<void> try_in_turn(Destinations::Lease& lease, Exchanger exchanger, bool is_last);
    Task<bool> try_exchanger(Destinations::Lease& lease, Exchanger exchanger, Duration limit);
    Task<bool> use(Destinations::Lease& lease, std::string host, Opening opening);
    bool all_unmet() const;
    Task<Sent> send(Destinations::Lease& lease, std::unique_ptr<Connection> connection, bool keeps);

    size_t open_recipients() const;
    bool in_time() const { return around_.network.executor().now() < walk_until_; }
    bool goes_on() const { return open_recipients() > 0 && in_time() && !proxy_failed_; }
    void explain(const Diagnosis& diagnosis);
    void settle(const Diagnosis& diagnosis);

    Surroundings around_;
    std::shared_ptr<const Identity> identity_;
    ipc::Deliver order_; // `host` of its route is the one that is tried
    OpeningTerms terms_;
    std::unique_ptr<ContentSource> content_;
    Message message_;
    std::vector<Recipient> recipients_;
    std::vector<Later> later_;
    TimePoint walk_until_;
    std::set<std::string> refused_by_; // they said 4yz to MAIL, as the target that they were
    bool reached_ = false;             // somebody said hello
    bool our_trouble_ = false;         // what failed was not the destination
    bool destination_down_ = false;
    std::optional<Diagnosis> unmet_;     // why a server is not what REQUIRETLS wants
    std::set<std::string> unmet_hosts_;  // that are not
    std::set<std::string> failed_hosts_; // one that is not among these may be, at another time
    bool other_failure_ = false;         // the same, of who knows whom
    std::set<std::string> told_;         // OpeningTerms::told
    bool proxy_failed_ = false;          // nobody can be reached
};

Delivery::Delivery(Surroundings surroundings, std::shared_ptr<const Identity> identity,
                   ipc::Deliver order)
    : around_(surroundings), identity_(std::move(identity)), order_(std::move(order)),
      terms_(order_.route), content_(open_content(order_)),
      message_(read_message(order_, *content_, around_.network.executor().now())),
      recipients_(read_recipients(order_)),
      walk_until_(around_.network.executor().now() + walk_limit) {
    terms_.helo = order_.route.helo.empty() ? identity_->hostname : order_.route.helo;
    terms_.told = &told_;
    terms_.require_tls = !may_do_without_tls(order_);
    if (!order_.parameters.require_tls) // which overrules the field (RFC 8689 3)
        terms_.waives_tls = [this] { return waives_tls(*content_, order_.traits.header_length); };
    terms_.unreported = order_.reverse_path.empty() && terms_.waives_tls && terms_.waives_tls();
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

// All hosts of the route, each as likely in each place, so that they have equal shares and those
// of one that is away are shared out too. One without a host stands for the mail exchangers.
std::vector<RelayTarget> Delivery::shuffled_targets() const {
    std::vector<RelayTarget> targets;
    if (!order_.route.host)
        return targets;
    targets.push_back({*order_.route.host, order_.route.label});
    const auto& others = order_.route.others;
    targets.insert(targets.end(), others.begin(),
                   others.begin() +
                       static_cast<std::ptrdiff_t>(std::min(others.size(), relay_hosts_limit - 1)));
    for (size_t i = targets.size(); i > 1; --i)
        std::swap(targets[i - 1], targets[static_cast<size_t>(around_.random(i))]);
    return targets;
}

void Delivery::aim(const RelayTarget& target) {
    order_.route.host = target.host;
    order_.route.label = target.label;
}

std::string Delivery::key() const {
    return destination_key(order_.route, terms_.helo, terms_.require_tls);
}

Task<void> Delivery::run() {
    if (std::optional<Diagnosis> error = order_error(order_)) {
        settle(*error);
        co_return;
    }
    const std::vector<RelayTarget> targets = shuffled_targets();
    if (targets.empty())
        co_await try_target(true);
    for (size_t i = 0; i < targets.size() && goes_on(); ++i) {
        aim(targets[i]);
        co_await try_target(i + 1 == targets.size() && later_.empty());
        other_failure_ = other_failure_ || (i + 1 < targets.size() && !goes_on());
    }
    co_await try_later();
    const bool left = open_recipients() > 0;
    destination_down_ = left && !reached_ && !our_trouble_ && !unmet_;
    if (all_unmet())
        settle(*unmet_);
    for (Recipient& recipient : recipients_) {
        if (recipient.verdict != Verdict::open)
            continue;
        recipient.verdict = Verdict::temporary;
        if (!recipient.diagnosis.status.present())
            recipient.diagnosis =
                Diagnosis(status::bad_connection, "no next hop has dealt with the recipient");
        recipient.diagnosis.status = recipient.diagnosis.status.as(4);
    }
}

Task<void> Delivery::try_later() {
    other_failure_ = other_failure_ || (!later_.empty() && !goes_on());
    for (size_t i = 0; i < later_.size() && goes_on(); ++i) {
        const Later& later = later_[i];
        if (later.target)
            aim(*later.target);
        terms_.domains = later.domains;
        co_await try_kept(); // that others have left in the meantime
        if (goes_on() && !refused_by_.contains(key() + to_string(later.exchanger))) {
            Destinations::Lease lease = around_.destinations.lease_anew(key());
            co_await try_exchanger(lease, later.exchanger, later.connect_limit);
        }
        other_failure_ = other_failure_ || (i + 1 < later_.size() && !goes_on());
    }
}

void Delivery::put_off(const Exchanger& exchanger, Duration connect_limit) {
    Later later{{}, exchanger, terms_.domains, connect_limit};
    if (order_.route.host)
        later.target = {*order_.route.host, order_.route.label};
    later_.push_back(std::move(later));
}

// The sender is told when nobody is left who could be what it wants (RFC 8689 4.2.1). That another
// address of a host that is not cannot be reached changes nothing.
bool Delivery::all_unmet() const {
    return unmet_ && !other_failure_ &&
           std::includes(unmet_hosts_.begin(), unmet_hosts_.end(), failed_hosts_.begin(),
                         failed_hosts_.end());
}

// Over a session from before, if there is one, and it is with nobody who will not have the mail.
Task<void> Delivery::try_kept() {
    Destinations::Lease lease = around_.destinations.lease(key());
    std::unique_ptr<Connection> connection = lease.take();
    if (!connection)
        co_return;
    if (refused_by_.contains(key() + connection->session.remote()))
        co_return lease.keep(std::move(connection));
    // What goes wrong here may be the connection's age: the addresses are still walked.
    reached_ = other_failure_ = true;
    co_await send(lease, std::move(connection), true);
}

// The mail exchangers, or one host. Not the last one: addresses that have lately cost much time are
// put off until the others have been tried.
Task<void> Delivery::try_target(bool is_last) {
    co_await try_kept();
    if (!goes_on())
        co_return;
    Destinations::Lease lease = around_.destinations.lease_anew(key());
    if (order_.route.host && !order_.route.host->unix_path.empty())
        co_await try_unix(lease);
    else
        co_await walk(lease, is_last);
}

Task<void> Delivery::walk(Destinations::Lease& lease, bool is_last) {
    const ipc::Route& route = order_.route;
    ExchangerList list =
        co_await find_exchangers(around_.network, route, identity_->ourselves, around_.random);
    if (list.failure) {
        other_failure_ = true;
        if (list.failure->status.status_class == 5)
            settle(*list.failure);
        else
            explain(*list.failure);
        co_return;
    }
    terms_.domains = std::move(list.domains);
    const bool found = co_await find_sts();
    if (!found)
        co_return;
    failed_hosts_.insert(list.untried.begin(), list.untried.end());
    leave_out_loopback(list);
    keep_reachable(list.exchangers);
    around_.slow.move_to_end(
        list.exchangers, around_.network.executor().now(),
        [&route](const Endpoint& endpoint) { return way_to(route, endpoint); });
    for (size_t i = 0; i < list.exchangers.size(); ++i) {
        const Exchanger& exchanger = list.exchangers[i];
        if (!goes_on()) {
            other_failure_ = true;
            co_return;
        }
        if (refused_by_.contains(key() + to_string(exchanger)))
            continue;
        if (!is_last && around_.slow.is_slow(way_to(route, exchanger.endpoint),
                                             around_.network.executor().now()))
            put_off(exchanger, Network::connect_limit);
        else
            co_await try_in_turn(lease, exchanger, is_last && i + 1 == list.exchangers.size());
    }
}

// What the DNS has to say of a domain is not to lead to what a proxy has on its own machine.
void Delivery::leave_out_loopback(ExchangerList& list) {
    const ipc::Route& route = order_.route;
    if (!route.proxy || route.host)
        return;
    const size_t left_out = std::erase_if(list.exchangers, [](const Exchanger& exchanger) {
        return exchanger.endpoint.address.is_loopback();
    });
    if (left_out == 0 || !list.exchangers.empty())
        return;
    const Diagnosis none(status::unroutable, "no mail host of " + route.domain +
                                                 " has an address that a proxy may connect to");
    other_failure_ = true;
    if (list.untried.empty())
        settle(none);
    else
        explain(none);
}

// Without those to which there is no address of ours to connect from.
void Delivery::keep_reachable(std::vector<Exchanger>& exchangers) {
    const ipc::Route& route = order_.route;
    const bool some = !exchangers.empty();
    std::erase_if(exchangers, [&](const Exchanger& exchanger) {
        if (leads_to(route, exchanger.endpoint.address.version))
            return false;
        failed_hosts_.insert(name_of(exchanger));
        return true;
    });
    if (!some || !exchangers.empty())
        return;
    other_failure_ = true;
    explain(Diagnosis(status::no_answer, "no address is of the family of the source address " +
                                             route.sources.front().address.to_string()));
}

Task<void> Delivery::try_unix(Destinations::Lease& lease) {
    bool again = true;
    while (again) {
        Opening opening = co_await open_unix(around_, terms_, order_.route.host->unix_path, lease);
        again = co_await use(lease, order_.route.host->unix_path, std::move(opening));
    }
}

// Connecting has all its time where nobody else is left. Others are not held up by an address that
// does not answer: it has the rest of its time when they have been tried.
Task<void> Delivery::try_in_turn(Destinations::Lease& lease, Exchanger exchanger, bool is_last) {
    if (is_last) {
        co_await try_exchanger(lease, exchanger, Network::connect_limit);
        co_return;
    }
    const bool answered = co_await try_exchanger(lease, exchanger, first_connect_limit);
    if (!answered)
        put_off(exchanger, Network::connect_limit - first_connect_limit);
}

// False: it did not answer within the limit.
Task<bool> Delivery::try_exchanger(Destinations::Lease& lease, Exchanger exchanger,
                                   Duration limit) {
    terms_.connect_limit = limit;
    bool again = true;
    bool answered = true;
    while (again) {
        Opening opening = co_await open_exchanger(around_, terms_, exchanger, lease);
        answered = !opening.timed_out;
        again = co_await use(lease, name_of(exchanger), std::move(opening));
    }
    co_return answered;
}

// False: nobody knows, and the reason is noted. Whoever keeps us from finding out must not gain by
// it. For a report it is not asked: a policy that cannot be fetched is told of in a report.
Task<bool> Delivery::find_sts() {
    if (!goes_by_sts(order_.route) || terms_.unreported)
        co_return true;
    const std::string domain = order_.route.domain;
    ipc::PolicyAnswer answer = co_await around_.network.find_policy(domain);
    if (answer.known) {
        terms_.sts = std::move(answer.policy);
        co_return true;
    }
    our_trouble_ = other_failure_ = true;
    explain(Diagnosis(status::directory_failure,
                      "whether " + domain + " has an MTA-STS policy cannot be found out now"));
    co_return false;
}

// Sends over the session, if there is one. True: the same server may have more of it.
Task<bool> Delivery::use(Destinations::Lease& lease, std::string host, Opening opening) {
    reached_ = reached_ || opening.reached;
    if (!opening.connection) {
        our_trouble_ = our_trouble_ || opening.ours;
        proxy_failed_ = proxy_failed_ || opening.proxy_failed;
        if (opening.unmet)
            unmet_ = opening.failure;
        (opening.unmet ? unmet_hosts_ : failed_hosts_).insert(std::move(host));
        explain(opening.failure);
        co_return false;
    }
    // What no policy was asked for is for no other message.
    const bool keeps = !opening.waived && !terms_.unreported;
    const Sent sent = co_await send(lease, std::move(opening.connection), keeps);
    other_failure_ = true;
    co_return sent == Sent::part&& in_time();
}

Task<Delivery::Sent> Delivery::send(Destinations::Lease& lease,
                                    std::unique_ptr<Connection> connection, bool keeps) {
    const size_t before = open_recipients();
    ++connection->messages;
    const std::optional<TlsFacts>& tls = connection->session.tls();
    for (Recipient& recipient : recipients_)
        if (recipient.verdict == Verdict::open)
            recipient.tls = tls ? to_text(*tls) : no_tls;
    // Where it is no demand, as in reports, it is a wish (RFC 8689 5).
    message_.parameters.require_tls =
        terms_.require_tls ||
        (order_.parameters.require_tls && tls && connection->session.capabilities().require_tls);
    co_await send_message(connection->session, message_, recipients_, walk_until_, around_.random);
    const size_t left = open_recipients();
    const bool failed = connection->session.failed();
    if (connection->session.lost_after_content() && connection->endpoint)
        around_.slow.note(way_to(order_.route, *connection->endpoint),
                          SlowAddresses::Stage::session, around_.network.executor().now());
    if (left == 0 && keeps) {
        lease.keep(std::move(connection));
        co_return Sent::all;
    }
    if (left == before && !failed)
        refused_by_.insert(key() + connection->session.remote());
    lease.discard(std::move(connection));
    if (left == 0)
        co_return Sent::all;
    co_return failed ? Sent::broken : left < before ? Sent::part : Sent::refused;
}

} // namespace

Task<ipc::Outcome> deliver(Surroundings surroundings, std::shared_ptr<const Identity> identity,
                           ipc::Deliver order) {
    Delivery delivery(surroundings, std::move(identity), std::move(order));
    co_await delivery.run();
    co_return delivery.outcome();
}

} // namespace postern::relay
