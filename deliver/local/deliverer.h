// Local deliveries: each recipient's copy is stored by a helper, which the supervisor runs as the
// recipient's user.
//
// Owns the deliveries that are open. Each ends with one outcome, whatever its helper does: one that
// takes too long is ended. What the queue handed over before it died is finished, but told to
// nobody: the new queue knows of it itself.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>

#include "common/ipc/delivery.h"
#include "common/ipc/local_settings.h"
#include "common/ipc/supervision.h"
#include "common/loop/completion.h"
#include "common/loop/task.h"
#include "common/process/operator_port.h"
#include "deliver/local/exit_status.h"

namespace postern {

class Deliverer {
  public:
    struct Limits {
        uint32_t helpers = 1; // at once
        Duration run_time = ipc::helper_run_time;
        Duration end_time = ipc::helper_end_time; // after a helper was told to end
    };
    struct Peers {
        std::function<void(ipc::ToSupervisor)> to_supervisor;
        std::function<void(ipc::DelivererToQueue)> to_queue; // of the present queue
    };

    // Counts local.delivered, local.temporary and local.permanent.
    Deliverer(Executor& executor, Counters& counters, Limits limits, Peers peers);

    // There is a new queue: it is told the capacity.
    void queue_connected();
    // The queue is gone.
    void queue_lost();
    // More or fewer at once, from now on.
    void set_helpers(uint32_t helpers);

    // False: the queue hands over more than the capacity that it was granted, and is not to be
    // talked to any more.
    [[nodiscard]] bool deliver(ipc::Deliver order);
    void exited(ipc::Exited exited);

    // Calls back once nothing is open, if so at once.
    void drain(std::function<void()> on_drained);
    size_t running() const { return running_; }

  private:
    using Ended = Completion<ipc::Exited>;
    struct Spawned {
        std::string user;
        Method method;
        bool looks_at_forward; // and may say who is to have the message instead
    };

    void start_waiting();
    Task<void> run(uint64_t queue, ipc::Deliver order);
    Task<ipc::RecipientOutcome> store(const ipc::Deliver& order,
                                      const ipc::DeliveryRecipient& recipient,
                                      const FileDescriptor& content);
    Task<ipc::RecipientOutcome> wait_for(uint32_t request, Ended& ended,
                                         const FileDescriptor& output, const Spawned& spawned);
    void count(ipc::RecipientStatus status);
    void finish(uint64_t queue, ipc::Outcome outcome);

    Executor& executor_;
    uint64_t& delivered_;
    uint64_t& forwarded_;
    uint64_t& temporary_;
    uint64_t& permanent_;
    Limits limits_;
    Peers peers_;
    uint64_t queue_ = 0;   // counts the queues that there have been
    uint32_t granted_ = 0; // the most that this queue may have open
    uint32_t open_ = 0;    // what it has open
    size_t running_ = 0;   // whoever asked for it
    uint32_t next_request_ = 1;
    std::deque<ipc::Deliver> waiting_; // of the present queue, until helpers of a former one end
    std::map<uint32_t, Ended*> helpers_;
    std::function<void()> on_drained_;
    TaskGroup tasks_;
};

} // namespace postern
