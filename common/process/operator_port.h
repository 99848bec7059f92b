// The end of the channel from control that each process has: what an operator may ask of it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "common/ipc/administration.h"
#include "common/ipc/channel.h"
#include "common/loop/event_loop.h"

namespace postern {

// Counts by name, such as "smtp.sessions.total". References stay valid.
class Counters {
  public:
    uint64_t& operator[](const std::string& name) { return values_[name]; }
    const std::map<std::string, uint64_t>& values() const { return values_; }

  private:
    std::map<std::string, uint64_t> values_;
};

class OperatorPort {
  public:
    // Gets every question but StatsQuery and LogLevel, which are answered here. Returns the answer,
    // or nothing when it will call answer() itself later.
    using Handler = std::function<std::optional<ipc::Answer>(ipc::Question&)>;
    // Called before counters are read, to set those that are gauges. May be empty.
    using Refresh = std::function<void(Counters&)>;

    OperatorPort(EventLoop& loop, Counters& counters, Refresh refresh = {}, Handler handler = {});

    // Takes the channel of a Connect from Role::control, in place of the former.
    void connect(FileDescriptor channel);
    void answer(ipc::Answer answer);

  private:
    void dispatch(ipc::Question&& question);
    ipc::Stats stats(uint32_t request);

    EventLoop& loop_;
    Counters& counters_;
    Refresh refresh_;
    Handler handler_;
    std::unique_ptr<ipc::Channel<ipc::Question, ipc::Answer>> channel_;
};

} // namespace postern
