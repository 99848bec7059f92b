// The process around the checks: its settings, its one peer, its end.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "common/ipc/channel.h"
#include "common/loop/event_loop.h"
#include "smtpd/pam/checks.h"

namespace postern::pam {

class Service : Timer {
  public:
    Service(EventLoop& loop, std::function<void(ipc::ToSupervisor)> to_supervisor,
            Checks::Limits limits = {});

    void configure(const ipc::PamSettings& settings) { checks_.configure(settings); }
    void connect(ipc::Connect connect);
    void exited(const ipc::Exited& exited) { checks_.exited(exited); }
    // `on_drained` is called once what is under way is done, at the latest after this time.
    void drain(std::chrono::seconds limit, std::function<void()> on_drained);

  private:
    void lose_lookup(const std::string& reason);
    void expired() override { on_drained_(); }

    EventLoop& loop_;
    std::unique_ptr<ipc::Channel<ipc::LookupToPam, ipc::PamToLookup>> lookup_;
    Checks checks_;
    std::function<void()> on_drained_;
};

} // namespace postern::pam
