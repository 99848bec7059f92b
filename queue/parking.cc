#include "queue/parking.h"

#include <algorithm>
#include <utility>

namespace postern {

namespace {

constexpr WallTime shortest_wait = 60; // seconds
// Each may wait for the disk, on the loop.
constexpr size_t brought_back_per_turn = 100;
constexpr WallTime try_again = 1; // seconds, when there was no room
// Jobs that wait at one destination and make a crowd: while the table has at most twice as many
// messages as it should, or more.
constexpr size_t usual_crowd = 1000;
constexpr size_t small_crowd = 20;
constexpr size_t parked_per_hold = 2 * usual_crowd; // messages

// All that is known of it is on disk, and nobody has its recipients but jobs that wait.
bool may_be_parked(const QueuedMessage& message) {
    if (message.changed || message.report_pending || message.notice_missed || !message.unfinished)
        return false;
    for (const Job* job = message.jobs; job; job = job->sibling)
        if (!job->listed || job->losses || job->urgent || job->rank == 0)
            return false;
    for (uint32_t index = 0; index < message.count; ++index) {
        const QueuedRecipient& recipient = message.recipients[index];
        const bool rests = recipient.stage == Stage::waiting || recipient.stage == Stage::ready ||
                           recipient.stage == Stage::finished;
        if (!rests || recipient.urgent || recipient.released)
            return false;
    }
    return true;
}

} // namespace

Parking::Parking(Executor& executor, MailTable& table, ParkedMessages& parked, Scheduler& scheduler,
                 Loader& loader)
    : executor_(executor), table_(table), parked_(parked), scheduler_(scheduler), loader_(loader) {}

bool Parking::has_time(const QueuedMessage& message) const {
    const WallTime soon = executor_.wall_seconds() + shortest_wait;
    for (const Job* job = message.jobs; job; job = job->sibling)
        if (job->expires_at <= soon || !scheduler_.crowded(*job))
            return false;
    return next_time(message) > soon || !loader_.loaded();
}

bool Parking::consider(QueuedMessage& message) {
    if (!full() || !may_be_parked(message) || !has_time(message))
        return false;
    park(message, false);
    return true;
}

void Parking::consider_new(QueuedMessage& message) {
    if (full() && table_.recipients(Stage::waiting) >= 2 * limit_ && may_be_parked(message) &&
        scheduler_.due(executor_.wall_seconds()))
        park(message, false);
}

// `oldest`: of those that wait at its destination.
void Parking::park(QueuedMessage& message, bool oldest) {
    ParkedMessage parked{message.id, next_time(message), message.unfinished};
    parked.content_returned = message.content_returned;
    while (Job* job = message.jobs) {
        parked.due = std::min(parked.due, job->expires_at);
        parked.destination = job->destination;
        for_each_recipient(*job, [&](uint32_t index) {
            QueuedRecipient& recipient = message.recipients[index];
            parked.at_once |= recipient.attempts && !recipient.next_attempt;
            if (recipient.stage == Stage::ready)
                table_.set_stage(recipient, Stage::waiting);
        });
        scheduler_.leave_behind(*job, oldest);
        table_.drop(*job);
    }
    scheduler_.forget(message);
    table_.set_aside(message);
    parked_.park(parked);
}

void Parking::destination_held(uint32_t destination) {
    if (!full())
        return;
    // By their ids: a message goes with all of its jobs.
    std::vector<uint64_t> ids;
    for (const Job* job : scheduler_.waiting_jobs(destination, parked_per_hold))
        ids.push_back(job->message->id);
    for (uint64_t id : ids) {
        QueuedMessage* message = table_.find(id);
        if (message && may_be_parked(*message) && has_time(*message))
            park(*message, true);
    }
}

void Parking::recall() {
    for (uint64_t id : scheduler_.forget_left_behind())
        if (is_left_behind(id))
            recalled_.push_back(id);
    parked_.forget_destinations();
}

// Else it has come back since, or waits for something else now.
bool Parking::is_left_behind(uint64_t id) const {
    const ParkedMessage* message = parked_.find(id);
    return message && message->destination != 0;
}

// Something that waits longer than what is due goes.
bool Parking::make_room() {
    if (!full())
        return true;
    QueuedMessage* late = scheduler_.late();
    return late && consider(*late);
}

// Some come back every second even if there is no room, whatever it is that fills the table.
bool Parking::spare(WallTime now) {
    if (std::exchange(spared_at_, now) != now)
        spared_ = 0;
    return spared_++ < brought_back_per_turn;
}

bool Parking::bring_back_recalled() {
    for (size_t i = 0; i < brought_back_per_turn && !recalled_.empty(); ++i) {
        if (parked_.find(recalled_.front()))
            loader_.find(recalled_.front());
        recalled_.pop_front();
    }
    return !recalled_.empty();
}

bool Parking::bring_back(WallTime now) {
    // What came back before, and new mail, is routed first.
    if (!loader_.loaded() || scheduler_.due(now))
        return false;
    // Between the two nothing changes, so that what is fetched is not parked again at once.
    if (table_.messages() >= 2 * limit_)
        scheduler_.set_crowd(small_crowd);
    else if (table_.messages() < limit_ + limit_ / 2)
        scheduler_.set_crowd(usual_crowd);
    bool more = bring_back_recalled();
    const std::vector<uint64_t> wanted = scheduler_.take_left_behind(brought_back_per_turn);
    for (uint64_t id : wanted)
        if (is_left_behind(id))
            loader_.find(id);
    more |= !wanted.empty();
    size_t count = 0;
    for (uint64_t id; count < brought_back_per_turn && (id = parked_.due(now)) != 0; ++count) {
        if (!make_room() && !spare(now))
            return more;
        loader_.find(id);
    }
    return more || count == brought_back_per_turn;
}

WallTime Parking::next_event(WallTime now) {
    if (!loader_.loaded())
        return INT64_MAX;
    const WallTime next = parked_.next_due();
    return next <= now || scheduler_.wishes() || !recalled_.empty() ? now + try_again : next;
}

} // namespace postern
