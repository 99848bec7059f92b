#include "queue/queue.h"

#include <algorithm>
#include <map>

#include "common/base/log.h"
#include "common/mail/message_id.h"
#include "queue/failure.h"

namespace postern {

namespace {

// The wall clock may be set: it is looked at this often, if anything waits at all.
constexpr WallTime longest_alarm = 60;
// Seconds. It was set back, and neither corrected a little nor read late in a long turn.
constexpr WallTime clock_tolerance = 60;
// A job whose deliverers die again and again may be what they die of: then it is put off like one
// that failed, so that the others get through, and expires.
constexpr uint8_t losses_limit = 3;
constexpr uint32_t capacity_limit = 10'000;

SchedulerSettings scheduler_settings(const ipc::QueueSettings& settings) {
    return {settings.relays, Allowances(settings)};
}

AttemptError own_error(const char* enhanced, std::string diagnostic) {
    AttemptError error;
    error.enhanced = enhanced;
    error.diagnostic = std::move(diagnostic);
    return error;
}

} // namespace

Queue::Queue(Executor& executor, Spool& spool, Counters& counters,
             const ipc::QueueSettings& settings, Random random)
    : executor_(executor), spool_(spool), counters_(counters), random_(std::move(random)),
      clock_offset_(clock_offset(executor.wall_seconds())), orders_(spool.files()),
      scheduler_(scheduler_settings(settings)),
      recorder_(executor, spool, table_,
                {[this] { bouncer_.write_pending(); },
                 [this](QueuedMessage& message) { parking_.consider(message); }}),
      bouncer_(executor, spool, table_, recorder_,
               [this](uint64_t id, std::string payload, StoredMessage message, uint64_t size) {
                   accept(id, payload, message, size);
               }),
      settlement_(executor, table_, recorder_, bouncer_, counters),
      notices_(executor, table_, scheduler_, settlement_, bouncer_),
      loader_(executor, spool, table_, parked_, recorder_,
              {[this](QueuedMessage& message, const StoredMessage& stored, Loader::From from) {
                   notices_.begin(message, stored, from != Loader::From::parked);
               },
               [this](QueuedMessage& message) { parking_.consider(message); },
               [this] { schedule_all(); }, [this](QueuedMessage& message) { reschedule(message); },
               [this](QueuedMessage& message, uint32_t index) { remove(message, index); },
               [this](QueuedMessage& message) { bouncer_.resume(message); }}),
      parking_(executor, table_, parked_, scheduler_, loader_),
      routing_(executor, table_, scheduler_, settlement_, orders_, random_,
               {[this] { wake(); }, [this](QueuedMessage& message) { notices_.look(message); },
                [this] { parking_.recall(); }, [this](uint64_t id) { routed(id); }}),
      content_check_(
          executor, spool,
          [this](Job& job, const Result<void>& result) { content_checked(job, result); }),
      dispatch_(spool, table_,
                {[this](Job& job, bool down, std::vector<ipc::RecipientOutcome> outcomes) {
                     job_settled(job, down, std::move(outcomes));
                 },
                 [this](Job& job) { job_lost(job); }}),
      intake_(
          executor, spool, recorder_,
          [this](uint64_t id, std::string payload, StoredMessage message, uint64_t size) {
              ++counters_["queue.accepted"];
              accept(id, payload, message, size);
          },
          [this](const ipc::Wake& question, Waker::Answer answer) {
              waker_.wake(question, std::move(answer));
          }) {
    configure(settings);
}

void Queue::configure(const ipc::QueueSettings& settings) {
    settings_ = settings;
    scheduler_.configure(scheduler_settings(settings));
    const RetrySchedule schedule(settings);
    settlement_.configure(schedule);
    bouncer_.set_hostname(settings.hostname);
    intake_.set_size_limit(settings.max_message_size);
    loader_.set_longest_wait(schedule.longest());
    routing_.set_ttl(settings.ttl);
    parking_.set_limit(settings.max_in_memory);
    if (notices_.configure(settings.warn_delays, settings.ttl))
        for (QueuedMessage* message = table_.after(0); message; message = table_.after(message->id))
            reconsider(*message);
    routing_.changed();
}

void Queue::reconsider(QueuedMessage& message) {
    notices_.reconsider(message);
    if (loaded() || message.heap_position != UINT32_MAX)
        scheduler_.update(message);
}

void Queue::schedule_all() {
    for (QueuedMessage* message = table_.after(0); message; message = table_.after(message->id))
        scheduler_.update(*message);
    wake();
}

void Queue::accept(uint64_t id, const std::string& payload, const StoredMessage& message,
                   uint64_t size) {
    QueuedMessage& queued = table_.add(id, payload, message, size);
    notices_.begin(queued, message, false);
    scheduler_.update(queued);
    parking_.consider_new(queued);
    wake();
}

void Queue::routed(uint64_t id) {
    if (!parking_.full())
        return;
    if (QueuedMessage* message = table_.find(id))
        parking_.consider(*message);
}

void Queue::collect() {
    recorder_.collect();
    loader_.look();
    check_drained();
}

// -- What is done in each turn of the loop in which something happened.

void Queue::wake() { executor_.schedule(turn_); }

void Queue::turn() {
    const WallTime now = executor_.wall_seconds();
    follow_clock(now);
    for (uint32_t destination : scheduler_.release_holds(now))
        expire_held(destination, now);
    scheduler_.refill(executor_.now());
    if (!draining_) {
        if (parking_.bring_back(now))
            wake();
        routing_.start(now);
        hand_out();
    }
    arm_alarm(now);
    check_drained();
}

void Queue::arm_alarm(WallTime now) {
    const WallTime next = std::min(scheduler_.next_event(now), parking_.next_event(now));
    TimePoint when = scheduler_.next_refill();
    if (next != INT64_MAX)
        when = std::min<TimePoint>(
            when, executor_.now() + std::chrono::seconds(std::min(next - now, longest_alarm)));
    if (when == TimePoint::max())
        return alarm_.disarm();
    alarm_.arm(executor_, when);
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
    parked_.turn_back(back);
    for (QueuedMessage* message = table_.after(0); message; message = table_.after(message->id)) {
        for (uint32_t index = 0; index < message->count; ++index) {
            QueuedRecipient& recipient = message->recipients[index];
            // What waits for its release, or is held, does so by the clock.
            if (recipient.attempts && !recipient.held)
                recipient.next_attempt = to_seconds(recipient.next_attempt - back);
        }
        if (message->heap_position != UINT32_MAX)
            scheduler_.update(*message);
    }
    scheduler_.lift_all();
}

void Queue::hand_out() {
    for (uint16_t deliverer = 0; deliverer < scheduler_.deliverers(); ++deliverer) {
        if (!dispatch_.connected(deliverer))
            continue;
        while (Job* job = scheduler_.next(deliverer, executor_.now()))
            hand_over(*job);
    }
}

// An operator has removed all its recipients while somebody had it: then it is gone.
bool Queue::drop_if_removed(Job& job) {
    if (MailTable::prune(job))
        return false;
    scheduler_.settle(job, Attempt::none, {}, executor_.wall_seconds(), 0);
    table_.drop(job);
    return true;
}

// The job, which has a slot and credit, to its deliverer.
void Queue::hand_over(Job& job) {
    if (drop_if_removed(job))
        return;
    const WallTime now = executor_.wall_seconds();
    if (job.gives_up && job.expires_at <= now)
        return give_up(job, now);
    if (!routing_.fresh(job))
        return routing_.again(job);
    if (ContentCheck::needed(*job.message)) {
        for_each_recipient(job, [&](uint32_t index) {
            table_.set_stage(job.message->recipients[index], Stage::in_flight);
        });
        return content_check_.check(job);
    }
    if (Result<void> handed = dispatch_.deliver(job, now); !handed)
        content_unreadable(job, handed.error());
}

void Queue::content_checked(Job& job, const Result<void>& result) {
    if (drop_if_removed(job))
        return wake(); // and so its content may be missing
    if (!result)
        content_unreadable(job, result.error());
    else if (draining_ || !dispatch_.connected(job.deliverer))
        put_back(job);
    else
        hand_over(job);
    wake();
}

void Queue::content_unreadable(Job& job, const Error& error) {
    log::error("the content of a message cannot be read",
               {{"message", to_string(MessageId{job.message->id})}, {"reason", error.message}});
    if (error.code == EBADMSG) {
        Result<std::string> aside = spool_.set_content_aside(job.message->id);
        if (aside) {
            log::error("a damaged message is set aside, its sender is told",
                       {{"message", to_string(MessageId{job.message->id})}, {"file", *aside}});
            return fail(job, own_error("5.3.0", "the message was damaged in the server's storage"));
        }
        log::error("a damaged message cannot be set aside",
                   {{"message", to_string(MessageId{job.message->id})},
                    {"reason", aside.error().message}});
    }
    defer(job, own_error("4.3.0", "the content cannot be read at present"));
}

// The job, which nobody has, failed for now, and not for its destination's sake.
void Queue::defer(Job& job, const AttemptError& error) {
    QueuedMessage& message = *job.message;
    const StoredMessage stored = message.read();
    const Settlement::Attempted attempted{message, stored, job.expires_at, random_()};
    MailTable::prune(job);
    for_each_recipient(job, [&](uint32_t index) { settlement_.deferred(attempted, index, error); });
    message.attempt_over();
    scheduler_.update(message);
    scheduler_.settle(job, Attempt::none, {}, executor_.wall_seconds(), 0);
    table_.drop(job);
}

// The same, for good.
void Queue::fail(Job& job, const AttemptError& error) {
    const StoredMessage stored = job.message->read();
    const Settlement::Attempted attempted{*job.message, stored, job.expires_at, 0};
    MailTable::prune(job);
    for_each_recipient(job, [&](uint32_t index) { settlement_.failed(attempted, index, error); });
    scheduler_.update(*job.message);
    scheduler_.settle(job, Attempt::none, {}, executor_.wall_seconds(), 0);
    table_.drop(job);
}

// The job has expired before it could be tried.
void Queue::give_up(Job& job, WallTime now) {
    QueuedMessage& message = *job.message;
    const StoredMessage stored = message.read();
    const Settlement::Attempted attempted{message, stored, job.expires_at, 0};
    for_each_recipient(job, [&](uint32_t index) {
        settlement_.expired(attempted, index, table_.errors.get(message.recipients[index].error));
    });
    scheduler_.update(message);
    scheduler_.settle(job, Attempt::none, {}, now, 0);
    table_.drop(job);
}

// -- What deliverers say.

void Queue::job_settled(Job& job, bool down, std::vector<ipc::RecipientOutcome> outcomes) {
    QueuedMessage& message = *job.message;
    const StoredMessage stored = message.read();
    const WallTime now = executor_.wall_seconds();
    const Settlement::Attempted attempted{message, stored, job.expires_at, random_()};
    const uint32_t destination = job.destination;
    const Attempt attempt = attempt_of(down, outcomes);
    const std::string reason = attempt == Attempt::answered
                                   ? std::string()
                                   : outcomes.front().enhanced + " " + outcomes.front().diagnostic;
    const bool held = scheduler_.settle(job, attempt, reason, now, random_());
    for (ipc::RecipientOutcome& outcome : outcomes) {
        if (message.recipients[outcome.index].stage == Stage::finished)
            continue; // removed by an operator meanwhile
        if (outcome.status == ipc::RecipientStatus::delivered)
            settlement_.delivered(attempted, outcome.index, outcome);
        else if (outcome.status == ipc::RecipientStatus::temporary)
            settlement_.deferred(attempted, outcome.index, error_of(std::move(outcome)));
        else
            settlement_.failed(attempted, outcome.index, error_of(std::move(outcome)));
    }
    message.attempt_over();
    scheduler_.update(message);
    table_.drop(job);
    if (held) {
        const Scheduler::Hold* hold = scheduler_.hold(destination);
        log::warning("a destination is held", {{"destination", hold->destination},
                                               {"seconds", hold->until - now},
                                               {"waiting", hold->waiting},
                                               {"reason", hold->reason}});
        expire_held(destination, now);
        parking_.destination_held(destination);
    }
    wake();
}

// Mail that waits for a destination which cannot be reached has failed with it.
void Queue::expire_held(uint32_t destination, WallTime now) {
    for (Job* job : scheduler_.expired(destination, now)) {
        QueuedMessage& message = *job->message;
        const StoredMessage stored = message.read();
        const AttemptError error = error_of(*scheduler_.hold(destination));
        const Settlement::Attempted attempted{message, stored, job->expires_at, 0};
        MailTable::prune(*job);
        for_each_recipient(*job,
                           [&](uint32_t index) { settlement_.deferred(attempted, index, error); });
        scheduler_.update(message); // should the clock say by now that it has not expired
        table_.drop(*job);
    }
}

void Queue::job_lost(Job& job) {
    if (drop_if_removed(job))
        return;
    if (++job.losses >= losses_limit) {
        log::warning("deliveries of a message end with their process, it is put off",
                     {{"message", to_string(MessageId{job.message->id})}});
        return defer(job,
                     own_error("4.3.0", "the process that delivered it ended before it was done"));
    }
    put_back(job);
}

// The job was not tried: it is the next of its destination.
void Queue::put_back(Job& job) {
    MailTable::prune(job);
    for_each_recipient(job, [&](uint32_t index) {
        table_.set_stage(job.message->recipients[index], Stage::ready);
    });
    job.message->attempt_over();
    scheduler_.update(*job.message);
    scheduler_.put_back(job);
}

// -- Peers.

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
    if (loaded() || message.heap_position != UINT32_MAX)
        scheduler_.update(message);
    wake();
}

void Queue::remove(QueuedMessage& message, uint32_t index) {
    table_.finish(message, index);
    recorder_.changed(message); // before its jobs go: the message stays
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
    wake();
}

// -- The end.

void Queue::drain(Duration limit, std::function<void()> drained) {
    draining_ = true;
    drained_ = std::move(drained);
    drain_limit_.arm(executor_, executor_.now() + limit);
    content_check_.give_back();
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
    counters_["queue.messages"] = table_.messages() + parked_.messages();
    counters_["queue.recipients"] = table_.recipients() + parked_.recipients();
    counters_["queue.parked"] = parked_.messages();
    counters_["queue.inflight"] = table_.recipients(Stage::in_flight);
    counters_["queue.deliveries"] = dispatch_.open();
    counters_["queue.destinations"] = scheduler_.destinations();
    counters_["queue.loading"] = !loaded();
    counters_["queue.orders"] = orders_.standing(executor_.wall_seconds()).size();
    counters_["queue.refused"] = intake_.refused();
    counters_["queue.bounces"] = bouncer_.bounces();
    counters_["queue.notices"] = bouncer_.notices();
    counters_["queue.unreadable"] = loader_.unread().size();
    counters_["queue.deferred"] = table_.recipients(Stage::waiting) + parked_.recipients();
    counters_["queue.ready"] = table_.recipients(Stage::ready);
    const SpoolStatistics spool = spool_.statistics();
    counters_["queue.commits"] = spool.batches;
    counters_["queue.spool.segments"] = spool.segments;
    counters_["queue.spool.bytes"] = spool.segment_bytes;
    counters_["queue.spool.live_bytes"] = spool.live_bytes;
    counters_["queue.spool.failures"] = spool.write_failures;
}

} // namespace postern
