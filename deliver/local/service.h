// The process around the deliverer: its settings, its queue, its end.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "common/ipc/channel.h"
#include "common/ipc/delivery.h"
#include "common/ipc/local_settings.h"
#include "common/ipc/supervision.h"
#include "common/loop/event_loop.h"
#include "common/process/operator_port.h"
#include "deliver/local/deliverer.h"

namespace postern {

class LocalService : Timer {
  public:
    LocalService(EventLoop& loop, const ipc::LocalSettings& settings,
                 std::function<void(ipc::ToSupervisor)> to_supervisor);

    void configure(const ipc::LocalSettings& settings);
    void connect(ipc::Connect connect);
    void exited(ipc::Exited exited) { deliverer_.exited(std::move(exited)); }
    // `on_drained` is called once what is under way is done, at the latest after this time: what is
    // not done then has no outcome, and the queue keeps it.
    void drain(std::chrono::seconds limit, std::function<void()> on_drained);

  private:
    using Channel = ipc::Channel<ipc::QueueToDeliverer, ipc::DelivererToQueue>;

    void lose_queue(const std::string& reason);
    void expired() override { on_drained_(); }

    EventLoop& loop_;
    Counters counters_;
    OperatorPort operator_port_;
    std::unique_ptr<Channel> queue_;
    Deliverer deliverer_;
    std::function<void()> on_drained_;
};

} // namespace postern
