// One end of a SOCK_SEQPACKET pair: frames in, frames out, descriptors beside them.
//
// What is sent during a turn of the loop leaves at its end, as many frames to a packet as fit. A
// peer that breaks the framing, or sends more than it may, loses the channel; we never do.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/file_descriptor.h"
#include "common/base/result.h"
#include "common/ipc/codec.h"
#include "common/loop/event_loop.h"

namespace postern::ipc {

// The largest packet, in bytes: one message must fit. Sockets are given buffers for it (make_pair).
inline constexpr size_t packet_limit = 384 * 1024;
inline constexpr size_t descriptors_per_packet = 250; // the kernel takes 253 (SCM_MAX_FD)
// A peer that leaves so many bytes unread is taken for dead.
inline constexpr size_t unsent_limit = 256 * 1024 * 1024;

// The reason of a channel that its peer closed: it has ended, which the supervisor reports if it
// should not have, or it had enough of us, which it reports itself.
inline constexpr const char* peer_closed = "the peer closed the channel";

// Says in the log that a channel is of no more use: aloud only if it is not the peer's end.
void log_closed_channel(std::string_view peer, const std::string& reason);

using SocketPair = std::pair<FileDescriptor, FileDescriptor>;

// A connected pair, close-on-exec, non-blocking. An error if we or the system have no descriptors
// left.
Result<SocketPair> try_pair();
// The same; throws instead.
SocketPair make_pair();

// So many bytes may wait in what is sent by `socket`, or as many as the system grants: root may
// exceed net.core.wmem_max.
void enlarge_send_buffer(const FileDescriptor& socket, int bytes);

class PacketChannel {
  public:
    // Takes one frame and the packet's descriptors from `next` on (advancing it). False: the frame
    // is not a message.
    using OnFrame =
        std::function<bool(std::string_view, std::vector<FileDescriptor>&, size_t& next)>;
    // Called once, from the loop, when the channel is of no more use. It may destroy the channel.
    using OnClosed = std::function<void(const std::string& reason)>;

    PacketChannel(EventLoop& loop, FileDescriptor socket, OnFrame on_frame, OnClosed on_closed);
    ~PacketChannel();
    PacketChannel(const PacketChannel&) = delete;
    PacketChannel& operator=(const PacketChannel&) = delete;

    // `write` appends the frame. After the channel has closed it is dropped.
    void send(const std::function<void(Packet&)>& write);
    size_t unsent() const { return unsent_; } // bytes
    bool closed() const { return closed_; }
    // Overwrites each packet when it has been sent or dispatched: there are passwords among them.
    void wipe_packets() { wiping_ = true; }

  private:
    struct Flush final : Callback {
        explicit Flush(PacketChannel& channel) : channel_(channel) {}
        void call() override { channel_.flush(); }
        PacketChannel& channel_;
    };
    struct Closing final : Callback {
        explicit Closing(PacketChannel& channel) : channel_(channel) {}
        void call() override;
        PacketChannel& channel_;
    };

    void on_events(short events);
    void receive();
    bool receive_packets();
    bool take(std::span<const char> packet, int flags, std::vector<FileDescriptor>& descriptors);
    bool dispatch(std::string_view packet, std::vector<FileDescriptor>& descriptors);
    bool joins_last(const Packet& frame) const;
    void flush();
    bool transmit(const Packet& packet);
    void fail(std::string reason);
    void update_watch();

    EventLoop& loop_;
    FileDescriptor socket_;
    std::shared_ptr<OnFrame> on_frame_; // kept alive while it runs: it may destroy the channel
    OnClosed on_closed_;
    std::string reason_;
    bool closed_ = false;
    bool blocked_ = false;
    bool wiping_ = false;
    bool* destroyed_ = nullptr; // set while we call out, to learn that we are gone
    std::vector<Packet> outgoing_;
    size_t unsent_ = 0;
    Flush flush_;
    Closing closing_;
    Watch watch_;
};

} // namespace postern::ipc
