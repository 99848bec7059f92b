// Notices that a process has been cut off: a peer closed their channel, and no new one came.
//
// A peer that died is started again and hands over a new channel soon. A peer that lives but found
// us in breach of the protocol does not: then nothing but a new start mends us.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "common/base/file_descriptor.h"
#include "common/ipc/supervision.h"
#include "common/loop/event_loop.h"

namespace postern {

// Longer than the supervisor waits at most before it starts a process again.
inline constexpr std::chrono::seconds cut_off_limit{20};

// Whether a process of this role is of no use without its channel to `peer`. Those that are asked
// (the queue by its listeners, say) live on without one of their askers.
bool depends_on(ipc::Role self, ipc::Role peer);

class PeerWatch {
  public:
    using CutOff = std::function<void(ipc::Role peer)>;
    PeerWatch(EventLoop& loop, CutOff cut_off, Duration limit = cut_off_limit)
        : loop_(loop), cut_off_(std::move(cut_off)), limit_(limit) {}

    // This is the channel to the peer from now on. It keeps a duplicate of the descriptor: closing
    // a channel shuts its socket down, so that both ends and their duplicates see it.
    void watch(ipc::Role role, uint32_t index, const FileDescriptor& channel);

    // Channels that are closed and not replaced so far.
    size_t pending() const;

  private:
    struct Entry final : Timer {
        Entry(PeerWatch& all, ipc::Role role, FileDescriptor channel);
        void expired() override { all_.cut_off_(role_); }
        PeerWatch& all_;
        ipc::Role role_;
        FileDescriptor channel_;
        Watch watch_;
    };

    EventLoop& loop_;
    CutOff cut_off_;
    Duration limit_;
    std::map<std::pair<ipc::Role, uint32_t>, std::unique_ptr<Entry>> entries_;
};

} // namespace postern
