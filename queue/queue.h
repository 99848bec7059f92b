// The queue: mail that was answered for, until it is delivered, reported, or removed.
//
// It ties the spool, the table of mail, the scheduler and the peers together, and knows neither
// sockets nor a real clock: peers are functions to send through, and a test drives it in simulated
// time.
//
//     intake → spool → table → routing → scheduler → dispatch → settlement → recorder → spool
//        └───────────── fresh contents ──────────────────↑
//     parking ← loader ──↑                   └──→ notices ──┐       │
//                        ├──────────────── bouncer ←────────┴───────┤
//                        └─────────────── expansions ←── routing ───┘
//
// Promises: every message in the spool is in the table exactly once, or parked; what is handed out
// comes back, if only because its deliverer died; nothing waits without a timer or a peer that will
// wake it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/ipc/queue_settings.h"
#include "common/loop/executor.h"
#include "common/process/operator_port.h"
#include "queue/bounce.h"
#include "queue/content_check.h"
#include "queue/dispatch.h"
#include "queue/expansions.h"
#include "queue/fresh_contents.h"
#include "queue/intake.h"
#include "queue/loader.h"
#include "queue/mail_table.h"
#include "queue/notices.h"
#include "queue/parked_messages.h"
#include "queue/parking.h"
#include "queue/recorder.h"
#include "queue/routing.h"
#include "queue/scheduler.h"
#include "queue/settlement.h"
#include "queue/spool/spool.h"
#include "queue/standing_orders.h"
#include "queue/waker.h"

namespace postern {

class Queue {
  public:
    using Random = Routing::Random;

    Queue(Executor& executor, Spool& spool, Counters& counters, const ipc::QueueSettings& settings,
          Random random);

    // A reload: mail that waits is routed anew.
    void configure(const ipc::QueueSettings& settings);

    // Takes in what the spool found at start-up. It goes out when all of it is known.
    void load() { loader_.start(); }
    bool loaded() const { return loader_.loaded(); }

    // To be called when the spool's completion_fd() is readable.
    void collect();

    Intake& intake() { return intake_; }

    // The end of lookup's channel.
    Routing& routing() { return routing_; }

    // Deliverers by the scheduler's number.
    void connect_deliverer(uint16_t deliverer, Dispatch::Send send);
    void disconnect_deliverer(uint16_t deliverer);
    void capacity(uint16_t deliverer, const ipc::Capacity& capacity);
    // False: cut it off.
    bool outcome(uint16_t deliverer, ipc::Outcome outcome);

    // Hands out nothing more and calls `drained` when all deliveries are back and recorded, at the
    // latest after `limit`. The spool is closed then.
    void drain(Duration limit, std::function<void()> drained);

    // Sets the gauges.
    void refresh_counters();

    // -- For administration.
    MailTable& table() { return table_; }
    ParkedMessages& parked() { return parked_; }
    Parking& parking() { return parking_; }
    Scheduler& scheduler() { return scheduler_; }
    Recorder& recorder() { return recorder_; }
    Settlement& settlement() { return settlement_; }
    Bouncer& bouncer() { return bouncer_; }
    Loader& loader() { return loader_; }
    Spool& spool() { return spool_; }
    Executor& executor() { return executor_; }
    std::chrono::seconds ttl() const { return settings_.ttl; }
    // Waiting recipients of the message have changed.
    void reschedule(QueuedMessage& message);
    // Forgets a recipient, whatever becomes of an attempt under way.
    void remove(QueuedMessage& message, uint32_t index);
    StandingOrders& orders() { return orders_; }
    // They are others now: mail that is routed already is routed anew.
    void orders_changed() { routing_.changed(); }
    // Something may have become possible: looked at before the turn of the loop ends.
    void wake();

  private:
    struct Turn final : Callback {
        explicit Turn(Queue& queue) : queue_(queue) {}
        void call() override { queue_.turn(); }
        Queue& queue_;
    };
    struct Alarm final : Timer {
        Alarm(Queue& queue, void (Queue::*member)()) : queue_(queue), member_(member) {}
        void expired() override { (queue_.*member_)(); }
        Queue& queue_;
        void (Queue::*member_)();
    };

    void reconsider(QueuedMessage& message);
    void schedule_all();
    void routed(uint64_t id);
    void accept(uint64_t id, const std::string& payload, const StoredMessage& message,
                uint64_t size);

    void turn();
    WallTime clock_offset(WallTime now) const;
    void follow_clock(WallTime now);
    void hand_out();
    bool drop_if_removed(Job& job);
    void hand_over(Job& job);
    void content_checked(Job& job, const Result<void>& result);
    void content_unreadable(Job& job, const Error& error);
    void defer(Job& job, const AttemptError& error);
    void give_up(Job& job, WallTime now);
    void fail(Job& job, const AttemptError& error);
    void job_settled(Job& job, bool down, std::vector<ipc::RecipientOutcome> outcomes);
    void forward(const Settlement::Attempted& attempted, const ipc::RecipientOutcome& outcome,
                 const std::string& user);
    bool set_aside_damaged(uint64_t message, const Error& error);
    void not_expanded(QueuedMessage& message, const std::vector<uint32_t>& indexes,
                      const Error& error);
    void job_lost(Job& job);
    void put_back(Job& job, bool tried);
    void expire_held(uint32_t destination, WallTime now);
    void arm_alarm(WallTime now);
    void check_drained();
    void finish_drain();

    Executor& executor_;
    Spool& spool_;
    Counters& counters_;
    ipc::QueueSettings settings_;
    Random random_;
    WallTime clock_offset_; // of the wall clock against the one that nobody sets
    MailTable table_;
    ParkedMessages parked_;
    StandingOrders orders_;
    Scheduler scheduler_;
    Recorder recorder_;
    Bouncer bouncer_;
    Settlement settlement_;
    Expansions expansions_;
    Notices notices_;
    Loader loader_;
    Parking parking_;
    Routing routing_;
    ContentCheck content_check_;
    FreshContents fresh_{4u << 20};
    Dispatch dispatch_;
    Intake intake_;
    Waker waker_{*this};
    std::function<void()> drained_;
    bool draining_ = false;
    Turn turn_{*this};
    Alarm alarm_{*this, &Queue::turn};
    Alarm drain_limit_{*this, &Queue::finish_drain};
};

} // namespace postern
