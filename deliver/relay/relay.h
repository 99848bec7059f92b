// The relay process between its channels: takes deliveries from the queue, answers each with an
// outcome, and ends when it is told to and nothing is under way.
//
// It keeps nothing: when the queue dies or the relay does, what was in flight is the queue's to
// send again.
#pragma once

#include <functional>
#include <memory>
#include <random>

#include "common/ipc/channel.h"
#include "common/ipc/delivery.h"
#include "common/ipc/relay_settings.h"
#include "common/ipc/supervision.h"
#include "common/process/operator_port.h"
#include "deliver/relay/delivery.h"
#include "deliver/relay/system_network.h"

namespace postern::relay {

class Relay {
  public:
    // `descriptors`: how many this process may have open. `done` is called after drain().
    Relay(EventLoop& loop, const ipc::RelaySettings& settings, size_t descriptors,
          std::function<void()> done);

    void configure(const ipc::RelaySettings& settings);
    void connect(ipc::Connect connect);
    // Finishes what is under way, within `limit`.
    void drain(std::chrono::seconds limit);

  private:
    using QueueChannel = ipc::Channel<ipc::QueueToDeliverer, ipc::DelivererToQueue>;
    struct DrainTimer final : Timer {
        explicit DrainTimer(Relay& relay) : relay_(relay) {}
        void expired() override { relay_.done_(); }
        Relay& relay_;
    };

    void connect_queue(FileDescriptor channel);
    void take(ipc::Deliver order);
    Task<void> run_delivery(ipc::Deliver order);
    void count(const ipc::Outcome& outcome);
    void refresh_gauges(Counters& counters);
    Task<void> finish();

    EventLoop& loop_;
    std::function<void()> done_;
    const uint32_t capacity_;
    bool draining_ = false;
    std::mt19937_64 generator_;
    Random random_;
    std::shared_ptr<const Identity> identity_;
    SystemNetwork network_;
    SlowAddresses slow_;
    TlsRecord tls_;
    Destinations destinations_;
    Counters counters_;
    OperatorPort operator_;
    DrainTimer drain_timer_;
    std::unique_ptr<QueueChannel> queue_;
    TaskGroup deliveries_; // they use all of the above
    TaskGroup ending_;
};

} // namespace postern::relay
