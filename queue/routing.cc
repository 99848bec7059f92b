#include "queue/routing.h"

#include <algorithm>
#include <map>

#include "queue/lifetime.h"
#include "queue/notices.h"
#include "queue/sender.h"

namespace postern {

namespace {

// A route is asked for anew when it has become older than this before it could be used.
constexpr auto route_lifetime = std::chrono::seconds(60);
// Recipients of one delivery: what every SMTP server takes (RFC 5321 4.5.3.1.8).
constexpr uint32_t recipients_per_delivery = 100;
constexpr size_t recalled_per_turn = 1000; // messages
constexpr size_t notices_per_turn = 64;    // the same: as many as reports are written (bounce.cc)

AttemptError own_error(const char* enhanced, const char* diagnostic) {
    AttemptError error;
    error.enhanced = enhanced;
    error.diagnostic = diagnostic;
    return error;
}

// "550 5.7.1 text" of a table, or else the usual ones.
AttemptError words_of(const RoutedRecipient& recipient, AttemptError usual) {
    const size_t code = recipient.words.find(' ');
    const size_t text = code == std::string::npos ? code : recipient.words.find(' ', code + 1);
    if (text == std::string::npos)
        return usual;
    return own_words(recipient.words.substr(code + 1, text - code - 1).c_str(),
                     recipient.words.substr(text + 1), {});
}

StandingOrders::Mail as_mail(const QueuedMessage& message, const StoredMessage& stored,
                             const RoutedRecipient& recipient) {
    const Place& place = recipient.place;
    return {message.id, stored.envelope.reverse_path, stored.envelope.recipients[recipient.index],
            place.local ? std::string_view() : std::string_view(place.domain)};
}

} // namespace

Routing::Routing(Executor& executor, MailTable& table, Scheduler& scheduler, Settlement& settlement,
                 Expansions& expansions, const StandingOrders& orders, Random random,
                 Handlers handlers)
    : executor_(executor), table_(table), scheduler_(scheduler), settlement_(settlement),
      expansions_(expansions), orders_(orders), random_(std::move(random)),
      handlers_(std::move(handlers)), sender_seed_(random_()),
      router_(executor, table,
              {[this](Job& job, std::vector<RoutedRecipient> recipients) {
                   job_routed(job, std::move(recipients));
               },
               [this](Job& job) { job_unrouted(job); }}) {}

void Routing::connect(Router::Ask ask) {
    router_.connect(std::move(ask));
    changed(); // it may be a newer configuration than its predecessor's
}

bool Routing::answer(ipc::RouteAnswer answer) {
    const bool sane = router_.answer(std::move(answer));
    wake();
    return sane;
}

void Routing::changed() {
    router_.forget_answers();
    // Later than every route found so far, even in this turn of the loop.
    good_since_ = std::max(executor_.now(), good_since_) + Duration(1);
    recalled_ = 0;
    handlers_.changed();
    wake();
}

bool Routing::fresh(const Job& job) const {
    return job.routed_at >= std::max<TimePoint>(executor_.now() - route_lifetime, good_since_);
}

void Routing::again(Job& job) {
    for_each_recipient(job, [&](uint32_t index) {
        table_.set_stage(job.message->recipients[index], Stage::routing);
    });
    scheduler_.return_credit(job);
    ask_again_.push_back(&job);
    wake();
}

void Routing::start(WallTime now) {
    if (recalled_)
        recall_some();
    while (!ask_again_.empty() && router_.room() >= recipients_per_delivery) {
        Job& job = *ask_again_.front();
        ask_again_.pop_front();
        ask_again(job);
    }
    for (size_t notices = 0; QueuedMessage* message = scheduler_.due(now);) {
        if (message->notice_at <= now) {
            if (++notices > notices_per_turn)
                return wake();
            handlers_.notice(*message);
            continue;
        }
        // While the disk refuses them, other mail goes on: it makes room.
        const bool writes_first = expansions_.full() && !expansions_.refused();
        const size_t room = ask_again_.empty() && !writes_first ? router_.room() : 0;
        if (room == 0)
            break;
        route(*message, room, now);
    }
}

void Routing::route(QueuedMessage& message, size_t room, WallTime now) {
    Job& job = table_.make_job(message);
    for (uint32_t i = message.count; i-- > 0 && room > 0;) {
        QueuedRecipient& recipient = message.recipients[i];
        if (recipient.stage != Stage::waiting || recipient.next_attempt > now)
            continue;
        table_.set_stage(recipient, Stage::routing);
        if (recipient.held) // nothing was said while it was
            message.notice_at = std::min(message.notice_at, Notices::soon(now));
        recipient.held = false;
        MailTable::add_to(job, i);
        --room;
    }
    scheduler_.update(message);
    router_.route(job);
}

// What waits at its destination, perhaps for as long as that is held, goes back to be routed.
void Routing::recall_some() {
    for (size_t i = 0; i < recalled_per_turn; ++i) {
        QueuedMessage* message = table_.after(*recalled_);
        if (!message)
            return recalled_.reset();
        recalled_ = message->id;
        for (Job *job = message->jobs, *next; job; job = next) {
            next = job->sibling;
            // One that ended its deliverers keeps the count of that: it is routed at its turn.
            if (job->listed && !job->losses && !fresh(*job))
                recall(*job);
        }
    }
    wake();
}

void Routing::recall(Job& job) {
    QueuedMessage& message = *job.message;
    scheduler_.withdraw(job);
    for_each_recipient(job, [&](uint32_t index) {
        if (message.recipients[index].stage != Stage::ready)
            return;
        message.recipients[index].urgent = job.urgent;
        table_.set_stage(message.recipients[index], Stage::waiting);
    });
    scheduler_.update(message);
    table_.drop(job);
}

void Routing::ask_again(Job& job) {
    if (MailTable::prune(job))
        return router_.route(job);
    scheduler_.settle(job, Attempt::none, {}, executor_.wall_seconds(), 0);
    table_.drop(job);
}

// Lookup has died, or its settings have changed: what was asked is asked again.
void Routing::job_unrouted(Job& job) {
    wake();
    if (job.has_slot)
        return ask_again_.push_back(&job);
    QueuedMessage& message = *job.message;
    for_each_recipient(job, [&](uint32_t index) {
        if (message.recipients[index].stage == Stage::routing)
            table_.set_stage(message.recipients[index], Stage::waiting);
    });
    message.attempt_over();
    scheduler_.update(message);
    table_.drop(job);
}

void Routing::job_routed(Job& job, std::vector<RoutedRecipient> recipients) {
    QueuedMessage& message = *job.message;
    const StoredMessage stored = message.read();
    const uint64_t random = random_();
    std::vector<RoutedRecipient> accepted;
    for (RoutedRecipient& recipient : recipients) {
        if (message.recipients[recipient.index].stage == Stage::finished || // removed meanwhile
            suspended(message, stored, recipient)) {
            table_.routes.release(recipient.route);
        } else if (recipient.verdict == ipc::RouteVerdict::accepted) {
            reroute(message, stored, recipient);
            accepted.push_back(std::move(recipient));
        } else if (recipient.verdict == ipc::RouteVerdict::expanded) {
            expand(message, stored, recipient, random);
        } else {
            not_routed(message, stored, recipient, random);
        }
    }
    enqueue(message, stored, accepted, job);
    message.attempt_over();
    scheduler_.update(message);
    // After enqueueing: a destination that has nothing is forgotten, with its hold.
    scheduler_.settle(job, Attempt::none, {}, executor_.wall_seconds(), 0);
    const uint64_t id = message.id;
    table_.drop(job);
    handlers_.routed(id);
    wake();
}

void Routing::enqueue(QueuedMessage& message, const StoredMessage& stored,
                      std::vector<RoutedRecipient>& recipients, const Job& from) {
    struct Group {
        Job* job;
        Place place;
        uint32_t count;
    };
    const uint16_t sender = sender_key(stored.envelope, sender_seed_);
    std::vector<Group> groups;
    std::map<uint32_t, size_t> open; // route → the group of it that has room
    for (size_t i = recipients.size(); i-- > 0;) {
        RoutedRecipient& recipient = recipients[i];
        auto [place, added] = open.try_emplace(recipient.route, groups.size());
        // A mailbox has its own delivery: the next recipient's may take long.
        if (added || recipient.place.local ||
            groups[place->second].count == recipients_per_delivery) {
            place->second = groups.size();
            Job& job = table_.make_job(message);
            job.route = recipient.route;
            job.routed_at = std::max(executor_.now(), good_since_);
            job.losses = from.losses;
            const auto ttl = table_.routes.get(job.route).ttl.value_or(ttl_);
            job.expires_at = to_seconds(expires_at(stored.envelope, ttl));
            job.gives_up = gives_up(stored.envelope);
            job.rank = rank_of(stored.envelope);
            job.sender = sender;
            job.retry = true;
            groups.push_back({&job, std::move(recipient.place), 0});
        } else {
            table_.routes.release(recipient.route);
        }
        Group& group = groups[place->second];
        ++group.count;
        QueuedRecipient& queued = message.recipients[recipient.index];
        table_.set_stage(queued, Stage::ready);
        MailTable::add_to(*group.job, recipient.index);
        group.job->retry &= queued.attempts > 0;
        queued.urgent = false;
    }
    for (Group& group : groups)
        scheduler_.enqueue(*group.job, group.place, from.has_slot);
}

// What an operator has released by its name goes.
bool Routing::suspended(QueuedMessage& message, const StoredMessage& stored,
                        const RoutedRecipient& recipient) {
    if (message.recipients[recipient.index].released)
        return false;
    const StandingOrders::Order* order = orders_.find(
        ipc::OrderKind::suspend, as_mail(message, stored, recipient), executor_.wall_seconds());
    if (!order)
        return false;
    settlement_.held({message, stored}, recipient.index,
                     own_words("4.3.0", suspended_by(order->number), order->reason), order->until);
    return true;
}

void Routing::reroute(const QueuedMessage& message, const StoredMessage& stored,
                      RoutedRecipient& recipient) {
    const StandingOrders::Order* order = orders_.find(
        ipc::OrderKind::reroute, as_mail(message, stored, recipient), executor_.wall_seconds());
    if (!order)
        return;
    ipc::Route route = table_.routes.get(recipient.route);
    route.kind = ActionKind::relay;
    route.host = order->host;
    route.label.clear();
    route.others.clear();
    route.domain.clear();
    route.backup_name.clear();
    route.user.clear();
    table_.routes.release(recipient.route);
    recipient.route = table_.routes.intern(route);
    recipient.place = place_of(route, stored.envelope.recipients[recipient.index]);
}

void Routing::expand(QueuedMessage& message, const StoredMessage& stored,
                     RoutedRecipient& recipient, uint64_t random) {
    if (const std::string why = leads_back(stored, recipient.expanded.size(), {}); !why.empty()) {
        if (expansions_.reports_loop(message, stored, recipient.index, why))
            settlement_.failed({message, stored}, recipient.index, own_error("5.4.6", why.c_str()));
        return;
    }
    if (expansions_.refused()) // nothing more is held in memory for it
        return settlement_.deferred({message, stored, expires_at(stored.envelope, ttl_), random},
                                    recipient.index,
                                    own_error("4.3.1", "the disk takes no mail at present"));
    if (expansions_.full()) { // it stays due, and is asked for again when there is room
        table_.set_stage(message.recipients[recipient.index], Stage::waiting);
        return;
    }
    ExpandedFrom from;
    from.index = recipient.index;
    from.recipients = std::move(recipient.expanded);
    expansions_.expand(message, std::move(from));
}

void Routing::not_routed(QueuedMessage& message, const StoredMessage& stored,
                         const RoutedRecipient& recipient, uint64_t random) {
    const Settlement::Attempted attempted{message, stored, expires_at(stored.envelope, ttl_),
                                          random};
    switch (recipient.verdict) {
    case ipc::RouteVerdict::accepted:
    case ipc::RouteVerdict::expanded:
        break; // not here
    case ipc::RouteVerdict::refused:
        return settlement_.failed(
            attempted, recipient.index,
            words_of(recipient, own_error("5.7.1", "a rule refuses this recipient")));
    case ipc::RouteVerdict::no_mailbox:
        return settlement_.failed(attempted, recipient.index,
                                  own_error("5.1.1", "there is no such mailbox here"));
    case ipc::RouteVerdict::no_rule:
        // The configuration may have changed since it was accepted, and may change back.
        return settlement_.deferred(attempted, recipient.index,
                                    own_error("4.4.4", "no rule says where it goes"));
    case ipc::RouteVerdict::temporary:
        return settlement_.deferred(
            attempted, recipient.index,
            words_of(recipient,
                     own_error("4.4.3", "where it goes cannot be found out at present")));
    }
}

} // namespace postern
