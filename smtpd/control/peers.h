// The other processes as control sees them: each can be asked, and each may be away.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "common/ipc/administration.h"
#include "common/ipc/channel.h"
#include "common/ipc/requests.h"
#include "common/ipc/supervision.h"

namespace postern {

inline constexpr std::chrono::seconds answer_limit{10}; // then a process counts as away

class Peer {
  public:
    explicit Peer(EventLoop& loop) : loop_(loop), requests_(loop, 64) {}

    // Takes the channel of a Connect, in place of the former.
    void connect(FileDescriptor channel);
    // Nothing: the process is away, or does not answer.
    Task<std::optional<ipc::Answer>> ask(ipc::Question question);
    // Nobody waits for the answer.
    void tell(ipc::Question question);

  private:
    EventLoop& loop_;
    ipc::Requests<ipc::Answer> requests_;
    std::unique_ptr<ipc::Channel<ipc::Answer, ipc::Question>> channel_;
};

class Peers {
  public:
    explicit Peers(EventLoop& loop) : loop_(loop) {}

    Peer& connect(ipc::Role role, uint32_t index, FileDescriptor channel);
    std::vector<Peer*> all();
    std::vector<Peer*> of(ipc::Role role);

  private:
    EventLoop& loop_;
    std::map<std::pair<ipc::Role, uint32_t>, std::unique_ptr<Peer>> peers_;
};

} // namespace postern
