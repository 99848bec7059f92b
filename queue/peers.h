// The channels to the queue's peers: they carry messages between the Queue and other processes,
// and are cut when a peer breaks the protocol. What a peer had under way is void then.
#pragma once

#include <map>
#include <memory>

#include "common/ipc/channel.h"
#include "common/ipc/delivery.h"
#include "common/ipc/routing.h"
#include "common/ipc/submission.h"
#include "common/ipc/supervision.h"
#include "common/loop/event_loop.h"
#include "common/process/operator_port.h"
#include "queue/queue.h"

namespace postern {

class Peers {
  public:
    Peers(EventLoop& loop, Queue& queue, OperatorPort& operators);

    // Takes a new channel, in place of the former to the same peer.
    void connect(ipc::Connect connect);

  private:
    using Listener = ipc::Channel<ipc::ListenerToQueue, ipc::QueueToListener>;
    using Deliverer = ipc::Channel<ipc::DelivererToQueue, ipc::QueueToDeliverer>;
    using Lookup = ipc::Channel<ipc::FromLookup, ipc::ToLookup>;

    void connect_listener(uint32_t index, FileDescriptor channel);
    void connect_deliverer(uint16_t number, FileDescriptor channel);
    void connect_lookup(FileDescriptor channel);
    bool from_lookup(ipc::FromLookup&& message);
    bool from_deliverer(uint16_t number, ipc::DelivererToQueue&& message);
    void lose_listener(uint32_t index, const std::string& reason);
    void lose_deliverer(uint16_t number, const std::string& reason);
    void lose_lookup(const std::string& reason);

    EventLoop& loop_;
    Queue& queue_;
    OperatorPort& operators_;
    std::map<uint32_t, std::unique_ptr<Listener>> listeners_;
    std::map<uint16_t, std::unique_ptr<Deliverer>> deliverers_;
    std::unique_ptr<Lookup> lookup_;
};

} // namespace postern
