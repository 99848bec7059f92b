#include "queue/queue.h"

#include <algorithm>
#include <map>

#include "common/base/log.h"
#include "queue/names.h"

namespace postern {

namespace {

// A route is asked for anew when it has become older than this before it could be used.
constexpr auto route_lifetime = std::chrono::seconds(60);
// Recipients of one delivery: what every SMTP server takes (RFC 5321 4.5.3.1.8).
constexpr uint32_t recipients_per_delivery = 100;
// However long a destination has been away: to try it costs a connection, and mail that was
// accepted today waits for it.
constexpr auto longest_hold = std::chrono::minutes(30);
// The wall clock may be set: it is looked at this often, if anything waits at all.
constexpr WallTime longest_alarm = 60;
// Seconds. It was set back, and neither corrected a little nor read late in a long turn.
constexpr WallTime clock_tolerance = 60;
// A job whose deliverers die again and again may be what they die of: then it is put off like one
// that failed, so that the others get through, and expires.
constexpr uint8_t losses_limit = 3;
constexpr size_t loaded_per_turn = 500;
constexpr uint32_t capacity_limit = 10'000;

SchedulerSettings scheduler_settings(const ipc::QueueSettings& settings) {
    SchedulerSettings result;
    result.max_per_destination = settings.max_per_destination;
    result.relays = settings.relays;
    result.hold.first = settings.retry_delay;
    result.hold.most = std::min<std::chrono::seconds>(
        settings.retry_max, std::max<std::chrono::seconds>(settings.retry_delay, longest_hold));
    return result;
}

AttemptError own_error(const char* enhanced, std::string diagnostic) {
    AttemptError error;
    error.enhanced = enhanced;
    error.diagnostic = std::move(diagnostic);
    return error;
}

AttemptError error_of(ipc::RecipientOutcome& outcome) {
    AttemptError error;
    error.enhanced = std::move(outcome.enhanced);
    error.diagnostic = std::move(outcome.diagnostic);
    error.from_remote = outcome.from_remote;
    error.remote = std::move(outcome.remote);
    return error;
}

} // namespace

Queue::Queue(Executor& executor, Spool& spool, Counters& counters,
             const ipc::QueueSettings& settings, Random random)
    : executor_(executor), spool_(spool), counters_(counters), random_(std::move(random)),
      clock_offset_(clock_offset(executor.wall_seconds())),
      scheduler_(scheduler_settings(settings)),
      recorder_(executor, spool, table_, [this] { bouncer_.write_pending(); }),
      bouncer_(executor, spool, table_, recorder_,
               [this](uint64_t id, std::string payload, StoredMessage message, uint64_t size) {
                   accept(id, payload, message, size);
               }),
      settlement_(executor, table_, recorder_, bouncer_, counters),
      router_(executor, table_,
              {[this](Job& job, std::vector<RoutedRecipient> recipients) {
                   job_routed(job, std::move(recipients));
               },
               [this](Job& job) { job_unrouted(job); }}),
      dispatch_(spool, table_,
                {[this](Job& job, bool down, std::vector<ipc::RecipientOutcome> outcomes) {
                     job_settled(job, down, std::move(outcomes));
                 },
                 [this](Job& job) { job_lost(job); }}),
      intake_(executor, spool, recorder_,
              [this](uint64_t id, std::string payload, StoredMessage message, uint64_t size) {
                  ++counters_["queue.accepted"];
                  accept(id, payload, message, size);
              }) {
    configure(settings);
}

void Queue::configure(const ipc::QueueSettings& settings) {
    settings_ = settings;
    routes_good_since_ = executor_.now();
    scheduler_.configure(scheduler_settings(settings));
    settlement_.configure({settings.retry_delay, settings.retry_max});
    bouncer_.set_hostname(settings.hostname);
    intake_.set_size_limit(settings.max_message_size);
    wake();
}

// -- Start-up.

void Queue::load() { loading_.arm(executor_, executor_.now()); }

void Queue::load_some() {
    const size_t left = spool_.load(
        loaded_per_turn, [this](RecoveredMessage&& found) { recover(std::move(found)); });
    if (left == 0)
        return finish_loading();
    // A nanosecond later is the next turn of the loop: what else is ready comes first.
    loading_.arm(executor_, executor_.now() + Duration(1));
}

void Queue::recover(RecoveredMessage&& found) {
    Result<StoredMessage> message = decode_message(found.envelope);
    if (!message) {
        // It stays in the spool, for a version that understands it.
        ++unreadable_;
        log::error("a message in the spool cannot be read",
                   {{"message", message_name(found.id)}, {"reason", message.error().message}});
        return;
    }
    QueuedMessage& queued = table_.add(found.id, found.envelope, *message, found.content_length);
    if (message->cause)
        causes_.push_back(std::move(*message->cause));
    if (!found.has_progress)
        return;
    Result<StoredProgress> progress = decode_progress(found.progress, queued.count);
    if (!progress) {
        log::error("what happened to a message is unreadable: it is sent to all its recipients",
                   {{"message", message_name(found.id)}, {"reason", progress.error().message}});
        return;
    }
    for (const RecipientProgress& one : progress->recipients) {
        QueuedRecipient& recipient = queued.recipients[one.index];
        recipient.attempts = static_cast<uint16_t>(std::min<uint32_t>(one.attempts, UINT16_MAX));
        // No later than a fresh failure would have it: the clock may have been wrong.
        recipient.next_attempt = to_seconds(std::min<WallTime>(
            one.next_attempt, executor_.wall_seconds() + settings_.retry_max.count()));
        if (one.error)
            table_.set_error(recipient, progress->errors[one.error - 1]);
    }
    for (uint32_t index = 0; index < queued.count; ++index)
        if (progress->is_finished(index))
            table_.finish(queued, index);
    if (!queued.unfinished)
        recorder_.changed(queued);
}

void Queue::finish_loading() {
    for (const BounceCause& cause : std::exchange(causes_, {})) {
        QueuedMessage* message = table_.find(cause.message);
        if (!message)
            continue;
        for (uint32_t index : cause.recipients)
            if (index < message->count)
                table_.finish(*message, index);
        recorder_.changed(*message);
    }
    for (QueuedMessage* message = table_.after(0); message; message = table_.after(message->id))
        scheduler_.update(*message);
    loaded_ = true;
    log::info("the spool is loaded", {{"messages", table_.messages()},
                                      {"recipients", table_.recipients()},
                                      {"unreadable", unreadable_}});
    wake();
}

void Queue::accept(uint64_t id, const std::string& payload, const StoredMessage& message,
                   uint64_t size) {
    scheduler_.update(table_.add(id, payload, message, size));
    wake();
}

void Queue::collect() {
    recorder_.collect();
    check_drained();
}

// -- What is done in each turn of the loop in which something happened.

void Queue::wake() { executor_.schedule(turn_); }

void Queue::turn() {
    const WallTime now = executor_.wall_seconds();
    follow_clock(now);
    for (uint32_t destination : scheduler_.release_holds(now))
        expire_held(destination, now);
    if (!draining_) {
        start_routing(now);
        hand_out(now);
    }
    arm_alarm(now);
    check_drained();
}

void Queue::arm_alarm(WallTime now) {
    const WallTime next = scheduler_.next_event(now);
    if (next == INT64_MAX)
        return alarm_.disarm();
    alarm_.arm(executor_,
               executor_.now() + std::chrono::seconds(std::min(next - now, longest_alarm)));
}

WallTime Queue::clock_offset(WallTime now) const {
    return now -
           std::chrono::floor<std::chrono::seconds>(executor_.now().time_since_epoch()).count();
}

// What was to wait for minutes would wait for them and for as long as the clock was set back.
void Queue::follow_clock(WallTime now) {
    const WallTime before = std::exchange(clock_offset_, clock_offset(now));
    const WallTime back = before - clock_offset_;
    if (back <= clock_tolerance)
        return;
    log::warning("the clock was set back, waiting mail follows it", {{"seconds", back}});
    for (QueuedMessage* message = table_.after(0); message; message = table_.after(message->id)) {
        for (uint32_t index = 0; index < message->count; ++index) {
            uint32_t& next = message->recipients[index].next_attempt;
            next = to_seconds(next - back);
        }
        if (message->heap_position != UINT32_MAX)
            scheduler_.update(*message);
    }
    scheduler_.lift_all();
}

void Queue::start_routing(WallTime now) {
    while (!ask_again_.empty() && router_.room() >= recipients_per_delivery) {
        Job& job = *ask_again_.front();
        ask_again_.pop_front();
        ask_again(job);
    }
    while (size_t room = ask_again_.empty() ? router_.room() : 0) {
        QueuedMessage* message = scheduler_.due(now);
        if (!message)
            break;
        Job& job = table_.make_job(*message);
        for (uint32_t i = message->count; i-- > 0 && room > 0;) {
            QueuedRecipient& recipient = message->recipients[i];
            if (recipient.stage != Stage::waiting || recipient.next_attempt > now)
                continue;
            table_.set_stage(recipient, Stage::routing);
            MailTable::add_to(job, i);
            --room;
        }
        scheduler_.update(*message);
        router_.route(job);
    }
}

// False: nobody is left in the job, and it is gone.
bool Queue::ask_again(Job& job) {
    if (!MailTable::prune(job)) {
        scheduler_.settle(job, Attempt::none, {}, executor_.wall_seconds(), 0);
        drop(job);
        return false;
    }
    router_.route(job);
    return true;
}

// Lookup has died: its questions are asked again when there is a new one.
void Queue::job_unrouted(Job& job) {
    if (job.has_slot) {
        ask_again_.push_back(&job);
        return;
    }
    QueuedMessage& message = *job.message;
    for_each_recipient(job, [&](uint32_t index) {
        if (message.recipients[index].stage == Stage::routing)
            table_.set_stage(message.recipients[index], Stage::waiting);
    });
    scheduler_.update(message);
    drop(job);
}

void Queue::job_routed(Job& job, std::vector<RoutedRecipient> recipients) {
    QueuedMessage& message = *job.message;
    const StoredMessage stored = message.read();
    const uint64_t random = random_();
    std::vector<RoutedRecipient> accepted;
    for (RoutedRecipient& recipient : recipients) {
        if (message.recipients[recipient.index].stage == Stage::finished)
            table_.routes.release(recipient.route); // removed meanwhile
        else if (recipient.verdict == ipc::RouteVerdict::accepted)
            accepted.push_back(std::move(recipient));
        else
            not_routed(message, stored, recipient, random);
    }
    enqueue_routed(message, stored, accepted, job);
    scheduler_.update(message);
    // After enqueueing: a destination that has nothing is forgotten, with its hold.
    scheduler_.settle(job, Attempt::none, {}, executor_.wall_seconds(), 0);
    drop(job);
    wake();
}

void Queue::enqueue_routed(QueuedMessage& message, const StoredMessage& stored,
                           std::vector<RoutedRecipient>& recipients, const Job& from) {
    struct Group {
        Job* job;
        Place place;
        uint32_t count;
    };
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
            job.routed_at = executor_.now();
            job.losses = from.losses;
            const auto ttl = table_.routes.get(job.route).ttl.value_or(settings_.ttl);
            job.expires_at = to_seconds(stored.envelope.accepted_at + ttl.count());
            groups.push_back({&job, std::move(recipient.place), 0});
        } else {
            table_.routes.release(recipient.route);
        }
        Group& group = groups[place->second];
        ++group.count;
        QueuedRecipient& queued = message.recipients[recipient.index];
        table_.set_stage(queued, Stage::ready);
        MailTable::add_to(*group.job, recipient.index);
        queued.urgent = false;
    }
    for (Group& group : groups)
        scheduler_.enqueue(*group.job, group.place.destination, group.place.local, from.has_slot);
}

void Queue::not_routed(QueuedMessage& message, const StoredMessage& stored,
                       const RoutedRecipient& recipient, uint64_t random) {
    const Settlement::Attempted attempted{
        message, stored, stored.envelope.accepted_at + settings_.ttl.count(), random};
    switch (recipient.verdict) {
    case ipc::RouteVerdict::accepted:
        break; // not here
    case ipc::RouteVerdict::refused:
        return settlement_.failed(attempted, recipient.index,
                                  own_error("5.7.1", "a rule refuses this recipient"));
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
            own_error("4.4.3", "where it goes cannot be found out at present"));
    }
}

void Queue::hand_out(WallTime now) {
    for (uint16_t deliverer = 0; deliverer < scheduler_.deliverers(); ++deliverer) {
        if (!dispatch_.connected(deliverer))
            continue;
        while (Job* job = scheduler_.next(deliverer)) {
            if (!MailTable::prune(*job)) {
                scheduler_.settle(*job, Attempt::none, {}, now, 0);
                drop(*job);
            } else if (job->routed_at <
                       std::max<TimePoint>(executor_.now() - route_lifetime, routes_good_since_)) {
                for_each_recipient(*job, [&](uint32_t index) {
                    table_.set_stage(job->message->recipients[index], Stage::routing);
                });
                scheduler_.return_credit(*job);
                ask_again_.push_back(job);
            } else {
                hand_over(*job);
            }
        }
    }
    if (!ask_again_.empty() && router_.room() >= recipients_per_delivery)
        wake();
}

void Queue::hand_over(Job& job) {
    Result<void> handed = dispatch_.deliver(job);
    if (handed)
        return;
    log::error("the content of a message cannot be read",
               {{"message", message_name(job.message->id)}, {"reason", handed.error().message}});
    defer(job, own_error("4.3.0", "the content cannot be read at present"));
}

// The job, which nobody has, failed for now, and not for its destination's sake.
void Queue::defer(Job& job, const AttemptError& error) {
    QueuedMessage& message = *job.message;
    const StoredMessage stored = message.read();
    const Settlement::Attempted attempted{message, stored, job.expires_at, random_()};
    for_each_recipient(job, [&](uint32_t index) { settlement_.deferred(attempted, index, error); });
    scheduler_.update(message);
    scheduler_.settle(job, Attempt::none, {}, executor_.wall_seconds(), 0);
    drop(job);
}

// -- What deliverers say.

void Queue::job_settled(Job& job, bool down, std::vector<ipc::RecipientOutcome> outcomes) {
    QueuedMessage& message = *job.message;
    const StoredMessage stored = message.read();
    const WallTime now = executor_.wall_seconds();
    const Settlement::Attempted attempted{message, stored, job.expires_at, random_()};
    const uint32_t destination = job.destination;
    const std::string reason =
        down ? outcomes.front().enhanced + " " + outcomes.front().diagnostic : std::string();
    const bool held =
        scheduler_.settle(job, down ? Attempt::down : Attempt::answered, reason, now, random_());
    for (ipc::RecipientOutcome& outcome : outcomes) {
        if (message.recipients[outcome.index].stage == Stage::finished)
            continue; // removed by an operator meanwhile
        if (outcome.status == ipc::RecipientStatus::delivered)
            settlement_.delivered(attempted, outcome.index, outcome);
        else if (outcome.status == ipc::RecipientStatus::temporary)
            settlement_.deferred(attempted, outcome.index, error_of(outcome));
        else
            settlement_.failed(attempted, outcome.index, error_of(outcome));
    }
    scheduler_.update(message);
    drop(job);
    if (held) {
        const Scheduler::Hold* hold = scheduler_.hold(destination);
        log::warning("a destination is held", {{"destination", hold->destination},
                                               {"seconds", hold->until - now},
                                               {"waiting", hold->waiting},
                                               {"reason", hold->reason}});
        expire_held(destination, now);
    }
    wake();
}

// Mail that waits for a destination which cannot be reached has failed with it.
void Queue::expire_held(uint32_t destination, WallTime now) {
    for (Job* job : scheduler_.expired(destination, now)) {
        QueuedMessage& message = *job->message;
        const StoredMessage stored = message.read();
        const Scheduler::Hold* hold = scheduler_.hold(destination);
        std::string_view reason = hold->reason; // "4.4.1 connection refused"
        AttemptError error = own_error("4.4.1", {});
        const size_t space = reason.find(' ');
        error.enhanced = reason.substr(0, space);
        error.diagnostic = reason.substr(std::min(reason.size(), space + 1));
        const Settlement::Attempted attempted{message, stored, job->expires_at, 0};
        MailTable::prune(*job);
        for_each_recipient(*job,
                           [&](uint32_t index) { settlement_.deferred(attempted, index, error); });
        scheduler_.update(message); // should the clock say by now that it has not expired
        drop(*job);
    }
}

void Queue::job_lost(Job& job) {
    if (!MailTable::prune(job)) {
        scheduler_.settle(job, Attempt::none, {}, executor_.wall_seconds(), 0);
        return drop(job);
    }
    if (++job.losses >= losses_limit) {
        log::warning("deliveries of a message end with their process, it is put off",
                     {{"message", message_name(job.message->id)}});
        return defer(job,
                     own_error("4.3.0", "the process that delivered it ended before it was done"));
    }
    for_each_recipient(job, [&](uint32_t index) {
        table_.set_stage(job.message->recipients[index], Stage::ready);
    });
    scheduler_.put_back(job);
}

void Queue::drop(Job& job) {
    QueuedMessage& message = *job.message;
    table_.drop(job);
    table_.release(message);
}

// -- Peers.

void Queue::connect_lookup(Router::Ask ask) {
    router_.connect(std::move(ask));
    wake();
}

void Queue::disconnect_lookup() { router_.disconnect(); }

bool Queue::routed(ipc::RouteAnswer answer) {
    const bool sane = router_.answer(std::move(answer));
    wake();
    return sane;
}

void Queue::connect_deliverer(uint16_t deliverer, Dispatch::Send send) {
    scheduler_.set_capacity(deliverer, 0);
    dispatch_.connect(deliverer, std::move(send));
}

void Queue::disconnect_deliverer(uint16_t deliverer) {
    scheduler_.set_capacity(deliverer, 0);
    dispatch_.disconnect(deliverer);
    wake();
}

void Queue::capacity(uint16_t deliverer, const ipc::Capacity& capacity) {
    scheduler_.set_capacity(deliverer, std::min(capacity.deliveries, capacity_limit));
    wake();
}

bool Queue::outcome(uint16_t deliverer, ipc::Outcome outcome) {
    return dispatch_.outcome(deliverer, std::move(outcome));
}

// -- Administration.

void Queue::reschedule(QueuedMessage& message) {
    // While the spool loads, what it found is not scheduled yet.
    if (loaded_ || message.heap_position != UINT32_MAX)
        scheduler_.update(message);
    wake();
}

void Queue::remove(QueuedMessage& message, uint32_t index) {
    table_.finish(message, index);
    for (Job* job = message.jobs; job;) {
        Job* next = job->sibling;
        // Others are dropped when the router or the deliverer gives them back.
        if (job->listed && !MailTable::prune(*job)) {
            scheduler_.withdraw(*job);
            table_.drop(*job);
        }
        job = next;
    }
    if (message.heap_position != UINT32_MAX)
        scheduler_.update(message);
    recorder_.changed(message);
    wake();
}

// -- The end.

void Queue::drain(Duration limit, std::function<void()> drained) {
    draining_ = true;
    drained_ = std::move(drained);
    drain_limit_.arm(executor_, executor_.now() + limit);
    wake();
}

void Queue::check_drained() {
    if (draining_ && dispatch_.open() == 0 && recorder_.waiting() == 0)
        finish_drain();
}

void Queue::finish_drain() {
    if (!drained_)
        return;
    drain_limit_.disarm();
    recorder_.finish();
    intake_.close();
    if (Result<void> closed = spool_.close(); !closed)
        log::error("the spool was not closed in order", {{"reason", closed.error().message}});
    recorder_.collect();
    std::exchange(drained_, nullptr)();
}

void Queue::refresh_counters() {
    counters_["queue.messages"] = table_.messages();
    counters_["queue.recipients"] = table_.recipients();
    counters_["queue.inflight"] = table_.recipients(Stage::in_flight);
    counters_["queue.deliveries"] = dispatch_.open();
    counters_["queue.destinations"] = scheduler_.destinations();
    counters_["queue.refused"] = intake_.refused();
    counters_["queue.bounces"] = bouncer_.written();
    counters_["queue.unreadable"] = unreadable_;
    counters_["queue.deferred"] = table_.recipients(Stage::waiting);
    counters_["queue.ready"] = table_.recipients(Stage::ready);
    const SpoolStatistics spool = spool_.statistics();
    counters_["queue.commits"] = spool.batches;
    counters_["queue.spool.segments"] = spool.segments;
    counters_["queue.spool.bytes"] = spool.segment_bytes;
    counters_["queue.spool.live_bytes"] = spool.live_bytes;
    counters_["queue.spool.failures"] = spool.write_failures;
}

} // namespace postern
