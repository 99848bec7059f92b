#include "queue/queue.h"

#include <algorithm>

#include "common/base/log.h"

namespace postern {

namespace {

// The wall clock may be set: it is looked at this often, if anything waits at all.
constexpr WallTime longest_alarm = 60;
// Seconds. It was set back, and neither corrected a little nor read late in a long turn.
constexpr WallTime clock_tolerance = 60;
constexpr uint32_t capacity_limit = 10'000;

SchedulerSettings scheduler_settings(const ipc::QueueSettings& settings) {
    return {settings.relays, Allowances(settings)};
}

} // namespace

Queue::Queue(Executor& executor, Spool& spool, Counters& counters,
             const ipc::QueueSettings& settings, Random random)
    : executor_(executor), spool_(spool), counters_(counters), random_(std::move(random)),
      clock_offset_(clock_offset(executor.wall_seconds())), orders_(spool.files()),
      scheduler_(scheduler_settings(settings)),
      recorder_(executor, spool, table_,
                {[this] {
                     expansions_.write_pending();
                     bouncer_.write_pending();
                 },
                 [this](QueuedMessage& message) { parking_.consider(message); }}),
      bouncer_(executor, spool, table_, recorder_,
               [this](uint64_t id, std::string payload, StoredMessage message, uint64_t size) {
                   accept(id, payload, message, size);
               }),
      settlement_(executor, table_, recorder_, bouncer_, counters),
      expansions_(executor, spool, table_, recorder_, bouncer_, counters,
                  {[this](uint64_t id, std::string payload, StoredMessage message, uint64_t size) {
                       accept(id, payload, message, size);
                   },
                   [this](QueuedMessage& message, const std::vector<uint32_t>& indexes,
                          const Error& error) { not_expanded(message, indexes, error); },
                   [this] { wake(); }}),
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
      routing_(executor, table_, scheduler_, settlement_, expansions_, orders_, random_,
               {[this] { wake(); }, [this](QueuedMessage& message) { notices_.look(message); },
                [this] { parking_.recall(); }, [this](uint64_t id) { routed(id); }}),
      content_check_(
          executor, spool,
          [this](Job& job, const Result<void>& result) { content_checked(job, result); }),
      dispatch_(spool, fresh_, table_,
                {[this](Job& job, bool down, std::vector<ipc::RecipientOutcome> outcomes) {
                     job_settled(job, down, std::move(outcomes));
                 },
                 [this](Job& job) { job_lost(job); }}),
      intake_(
          executor, spool, fresh_, recorder_,
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
    // One after the other: what a source may send is not all of the first one's.
    for (bool any = true; any;) {
        any = false;
        for (uint16_t deliverer = 0; deliverer < scheduler_.deliverers(); ++deliverer) {
            if (!dispatch_.connected(deliverer))
                continue;
            Job* job = scheduler_.next(deliverer, executor_.now());
            if (job)
                hand_over(*job);
            any |= job != nullptr;
        }
    }
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
    if (draining_ && dispatch_.open() == 0 && recorder_.waiting() == 0 && !bouncer_.has_pending() &&
        !expansions_.has_pending())
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
