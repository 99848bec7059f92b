// What operators do to mail that waits: recipients of one message, as they want it.
//
// Owner: the queue's Admin. What is under way (with the router or a deliverer) is left alone, but
// for its removal. Each tells how many recipients it reached.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "common/ipc/administration.h"
#include "queue/queue.h"

namespace postern {

class Changes {
  public:
    explicit Changes(Queue& queue) : queue_(queue) {}

    // As `change` says; `recipients` are indexes, not of finished ones. The message may be gone
    // after it, when the turn of the loop is over.
    uint32_t apply(const ipc::Change& change, QueuedMessage& message,
                   const std::vector<uint32_t>& recipients);
    // All recipients of a parked message are tried now; where it waits for a destination, that is.
    void schedule_parked(const ParkedMessage& message);
    // To be called when that is done for all: destinations at which some of it waits are tried.
    void finish();

  private:
    using Recipients = std::vector<uint32_t>;

    // `named`: the message, not a filter: it ends the hold of its destination, and is tried
    // although its sender wanted it later (RFC 4865).
    uint32_t schedule(QueuedMessage& message, const Recipients& recipients, bool named);
    uint32_t remove(QueuedMessage& message, const Recipients& recipients);
    uint32_t bounce(QueuedMessage& message, const Recipients& recipients,
                    const std::string& reason);
    uint32_t hold(QueuedMessage& message, const Recipients& recipients, const std::string& reason,
                  WallTime until);
    // `named`: it goes although an order suspends it.
    uint32_t release(QueuedMessage& message, const Recipients& recipients, bool named);
    // What is in a job that waits at its destination waits without one.
    void take_back(QueuedMessage& message, const Recipients& recipients);

    Queue& queue_;
    std::set<uint32_t> wanted_; // destinations
};

} // namespace postern
