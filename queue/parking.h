// Mail that has long to wait is kept on disk alone, so that the queue's memory is bounded by the
// mail that is on its way, not by all that waits.
//
// Owner: the queue. A message is wholly in the table of mail, or parked (ParkedMessages), which
// costs a fraction of the memory. While the table has fewer messages than its limit, nothing is
// parked. Beyond it, these are, as soon as the spool has all that is known of them:
//
// - what waits for its time, for a minute at least;
// - what waits at a destination where others wait already that go before it (Scheduler::crowded):
//   its id is left behind there, so that it is fetched as soon as the destination has room;
// - all new mail, when twice as many wait to be routed: lookup has been away for long.
//
// A parked message comes back when its time has come, for a notice too, in the order of those times
// and as far as there is room; mail that is in the table goes first. It is then routed anew, and so
// follows the present configuration.
#pragma once

#include <deque>

#include "common/loop/executor.h"
#include "queue/loader.h"
#include "queue/mail_table.h"
#include "queue/parked_messages.h"
#include "queue/scheduler.h"

namespace postern {

class Parking {
  public:
    Parking(Executor& executor, MailTable& table, ParkedMessages& parked, Scheduler& scheduler,
            Loader& loader);

    void set_limit(size_t messages) { limit_ = messages; }
    // The table has as many messages as it should.
    bool full() const { return table_.messages() >= limit_; }

    // Parks the message, if that is called for and possible. True: it is in the table no longer.
    bool consider(QueuedMessage& message);
    // The same for one that was accepted now.
    void consider_new(QueuedMessage& message);

    // The destination is held from now on: what waits there is parked, but for one.
    void destination_held(uint32_t destination);

    // What was left behind at destinations is routed anew, little by little.
    void recall();

    // Brings back what is due. True: there is more that can be brought back, in the next turn.
    bool bring_back(WallTime now);
    // When bring_back() has something to do. INT64_MAX: never.
    WallTime next_event(WallTime now);

  private:
    bool has_time(const QueuedMessage& message) const;
    void park(QueuedMessage& message, bool oldest);
    bool is_left_behind(uint64_t id) const;
    bool make_room();
    bool spare(WallTime now);
    bool bring_back_recalled();

    Executor& executor_;
    MailTable& table_;
    ParkedMessages& parked_;
    Scheduler& scheduler_;
    Loader& loader_;
    size_t limit_ = SIZE_MAX;
    std::deque<uint64_t> recalled_; // ids
    WallTime spared_at_ = 0;
    size_t spared_ = 0; // in that second
};

} // namespace postern
