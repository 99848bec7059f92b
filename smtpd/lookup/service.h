// The process around the router: its settings, its peers, its end.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "common/base/result.h"
#include "common/ipc/channel.h"
#include "common/ipc/lookup_settings.h"
#include "common/ipc/supervision.h"
#include "common/loop/event_loop.h"
#include "common/process/operator_port.h"
#include "smtpd/lookup/route.h"

namespace postern {

class LookupService : Timer {
  public:
    // `on_drained` is called once, after drain().
    LookupService(EventLoop& loop, std::function<void()> on_drained);
    ~LookupService();

    // Takes new settings, at the start and at a reload, and tells everybody. On failure the former
    // ones stay.
    Result<void> configure(const ipc::LookupSettings& settings);
    void connect(ipc::Connect connect);
    // Whoever is still finishing work needs answers for it: serves until all peers have gone, at
    // most for this time.
    void drain(std::chrono::seconds limit);

  private:
    using Channel = ipc::Channel<ipc::ToLookup, ipc::FromLookup>;
    using PeerKey = std::pair<ipc::Role, uint32_t>;

    void answer(PeerKey key, const ipc::RouteQuery& query);
    void disconnect(PeerKey key);
    void expired() override { finish(); }
    void finish();

    EventLoop& loop_;
    std::function<void()> on_drained_;
    Counters counters_;
    OperatorPort operator_port_;
    std::optional<Router> router_;
    std::map<PeerKey, std::unique_ptr<Channel>> peers_;
    bool draining_ = false;
};

} // namespace postern
