// postern-queue itself, started as the supervisor starts it, on a real spool and a real clock; the
// test is the supervisor and all other processes.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

#include "common/ipc/administration.h"
#include "common/ipc/channel.h"
#include "common/ipc/delivery.h"
#include "common/ipc/queue_settings.h"
#include "common/ipc/routing.h"
#include "common/ipc/submission.h"
#include "common/ipc/supervision.h"
#include "common/loop/event_loop.h"

namespace postern::test {

class QueueProcess {
  public:
    // `program`: its path. The spool is a new directory below `place`, and goes with this.
    explicit QueueProcess(std::string program, const std::string& place);
    ~QueueProcess();

    static ipc::QueueSettings default_settings();
    ipc::QueueSettings settings = default_settings();

    // False: it was not ready within ten seconds.
    bool start(ipc::Orders orders = {});
    // A listener, lookup, a relay with a credit of `capacity` deliveries, and control.
    void connect_everybody(uint32_t capacity = 10);
    void connect_listener();
    void submit(uint32_t request, const std::string& recipient = "b@dest.example",
                std::string content = "Subject: x\r\n\r\nhello\r\n");
    void answer(const ipc::Deliver& deliver, ipc::RecipientStatus status, bool down = false);
    void kill_queue();
    void forget_channels();
    int wait_for_queue(); // its status
    // Turns the loop until it is so; false when `limit` is over.
    bool until(const std::function<bool()>& holds, Duration limit = std::chrono::seconds(10));

    // Every recipient is routed to this; by default to dest.example.
    std::function<std::string(const ipc::RouteQuery&)> destination;
    // By default they are kept.
    std::function<void(ipc::Deliver&&)> on_delivery;
    std::function<void(ipc::QueueToListener&&)> on_answer;

    EventLoop loop;
    std::optional<ipc::Channel<ipc::ToSupervisor, ipc::FromSupervisor>> supervisor;
    std::optional<ipc::Channel<ipc::QueueToListener, ipc::ListenerToQueue>> listener;
    std::optional<ipc::Channel<ipc::ToLookup, ipc::FromLookup>> lookup;
    std::optional<ipc::Channel<ipc::QueueToDeliverer, ipc::DelivererToQueue>> relay;
    std::optional<ipc::Channel<ipc::Answer, ipc::Question>> control;
    std::vector<ipc::QueueToListener> answers;
    std::vector<ipc::Deliver> handed;
    std::vector<ipc::Answer> reports;
    bool ready = false, gone = false, listener_lost = false, relay_lost = false;
    pid_t pid() const { return pid_; }
    const std::string& directory() const { return directory_; } // of the spool

  private:
    FileDescriptor connect(ipc::Role role);

    std::string program_;
    std::string directory_;
    pid_t pid_ = 0;
};

} // namespace postern::test
