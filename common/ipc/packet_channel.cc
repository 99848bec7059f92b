#include "common/ipc/packet_channel.h"

#include <array>
#include <cstring>
#include <stdexcept>
#include <sys/socket.h>

#include "common/base/log.h"
#include "common/base/secret.h"

namespace postern::ipc {

namespace {

constexpr size_t frame_header = 4; // the length of what follows, little-endian
constexpr unsigned packets_per_call = 4;
constexpr int calls_per_event = 8;       // then others have their turn
constexpr size_t wiped_packet = 4096;    // what is reserved for one that may hold a secret
constexpr size_t asides_per_packet = 64; // with what is between them far less than IOV_MAX

// What recvmmsg(2) puts a packet into.
struct Incoming {
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * descriptors_per_packet)];
    iovec piece;
};

std::vector<FileDescriptor> take_descriptors(msghdr& header) {
    std::vector<FileDescriptor> descriptors;
    for (cmsghdr* c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        const size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; ++i) {
            int fd;
            std::memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            descriptors.emplace_back(fd);
        }
    }
    return descriptors;
}

iovec piece_of(const char* bytes, size_t size) { return {const_cast<char*>(bytes), size}; }

// The order in which the parts of the packet are sent. Returns their number.
size_t lay_out(const Packet& packet, std::span<iovec> pieces) {
    size_t count = 0, position = 0;
    for (const Packet::Aside& aside : packet.asides) {
        pieces[count++] = piece_of(packet.bytes.data() + position, aside.position - position);
        pieces[count++] = piece_of(aside.blob.data(), aside.blob.size());
        position = aside.position;
    }
    pieces[count++] = piece_of(packet.bytes.data() + position, packet.bytes.size() - position);
    return count;
}

void wipe_packet(Packet& packet) {
    wipe(packet.bytes);
    for (Packet::Aside& aside : packet.asides)
        wipe(aside.blob);
}

// Why a call failed. A peer that ends before it has read everything is no other case than one that
// has.
std::string why_failed(const char* call) {
    return errno == EPIPE || errno == ECONNRESET ? peer_closed : system_error(call).message;
}

} // namespace

void log_closed_channel(std::string_view peer, const std::string& reason) {
    const log::Level level = reason == peer_closed ? log::Level::debug : log::Level::warning;
    if (level != log::Level::debug || log::verbose())
        log::write(level, "a channel closed", {{"peer", peer}, {"reason", reason}});
}

Result<SocketPair> try_pair() {
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
        return system_error("socketpair");
    SocketPair pair{FileDescriptor(fds[0]), FileDescriptor(fds[1])};
    // The default of net.core.wmem_max suffices (it is doubled).
    enlarge_send_buffer(pair.first, packet_limit);
    enlarge_send_buffer(pair.second, packet_limit);
    return pair;
}

SocketPair make_pair() {
    Result<SocketPair> pair = try_pair();
    if (!pair)
        throw std::runtime_error(pair.error().message);
    return std::move(*pair);
}

void enlarge_send_buffer(const FileDescriptor& socket, int bytes) {
    if (setsockopt(socket.get(), SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) < 0)
        setsockopt(socket.get(), SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

PacketChannel::PacketChannel(EventLoop& loop, FileDescriptor socket, OnFrame on_frame,
                             OnClosed on_closed)
    : loop_(loop), socket_(std::move(socket)),
      on_frame_(std::make_shared<OnFrame>(std::move(on_frame))), on_closed_(std::move(on_closed)),
      flush_(*this), closing_(*this),
      watch_(loop, socket_.get(), [this](short events) { on_events(events); }) {
    static_assert(EventLoop::scratch_size >= packet_limit * packets_per_call);
    update_watch();
}

PacketChannel::~PacketChannel() {
    if (destroyed_)
        *destroyed_ = true;
    shutdown(socket_.get(), SHUT_RDWR); // for whoever holds a duplicate
}

void PacketChannel::Closing::call() {
    OnClosed on_closed = std::move(channel_.on_closed_); // may destroy the channel
    std::string reason = channel_.reason_;
    if (on_closed)
        on_closed(reason);
}

void PacketChannel::fail(std::string reason) {
    if (closed_)
        return;
    closed_ = true;
    reason_ = std::move(reason);
    for (Packet& packet : outgoing_)
        wipe_packet(packet);
    outgoing_.clear();
    unsent_ = 0;
    watch_.want(Watch::none);
    shutdown(socket_.get(), SHUT_RDWR);
    loop_.schedule(closing_);
}

void PacketChannel::update_watch() {
    if (closed_)
        return;
    watch_.want(static_cast<short>(Watch::readable | (blocked_ ? Watch::writable : Watch::none)));
}

void PacketChannel::on_events(short events) {
    if (events & Watch::writable) {
        blocked_ = false;
        flush();
    }
    if ((events & Watch::readable) && !closed_)
        receive();
}

void PacketChannel::receive() {
    bool gone = false;
    destroyed_ = &gone;
    for (int i = 0; i < calls_per_event; ++i) {
        const bool more = receive_packets();
        if (gone)
            return;
        if (!more)
            break;
    }
    destroyed_ = nullptr;
}

// False when there is nothing more to read now, or this is gone.
bool PacketChannel::receive_packets() {
    const Scratch scratch(loop_);
    std::array<Incoming, packets_per_call> incoming;
    std::array<mmsghdr, packets_per_call> headers{};
    for (size_t i = 0; i < packets_per_call; ++i) {
        incoming[i].piece = {scratch.bytes().data() + i * packet_limit, packet_limit};
        msghdr& header = headers[i].msg_hdr;
        header.msg_iov = &incoming[i].piece;
        header.msg_iovlen = 1;
        header.msg_control = incoming[i].control;
        header.msg_controllen = sizeof incoming[i].control;
    }
    const int count = recvmmsg(socket_.get(), headers.data(), packets_per_call,
                               MSG_CMSG_CLOEXEC | MSG_DONTWAIT, nullptr);
    if (count < 0) {
        if (errno != EAGAIN && errno != EINTR)
            fail(why_failed("recvmmsg"));
        return false;
    }
    // Whatever becomes of the packets, their descriptors are ours.
    std::array<std::vector<FileDescriptor>, packets_per_call> descriptors;
    for (int i = 0; i < count; ++i)
        descriptors[i] = take_descriptors(headers[i].msg_hdr);
    const bool wiping = wiping_; // the handler may destroy this
    bool good = true;
    for (int i = 0; i < count; ++i) {
        const std::span<char> packet(static_cast<char*>(incoming[i].piece.iov_base),
                                     headers[i].msg_len);
        if (good)
            good = take(packet, headers[i].msg_hdr.msg_flags, descriptors[i]);
        if (wiping)
            explicit_bzero(packet.data(), packet.size());
    }
    return good && count == packets_per_call;
}

// False if the channel has failed, or is gone.
bool PacketChannel::take(std::span<const char> packet, int flags,
                         std::vector<FileDescriptor>& descriptors) {
    if (packet.empty()) {
        fail(peer_closed);
        return false;
    }
    if (flags & (MSG_TRUNC | MSG_CTRUNC)) {
        fail("an oversized packet");
        return false;
    }
    return dispatch({packet.data(), packet.size()}, descriptors);
}

bool PacketChannel::dispatch(std::string_view packet, std::vector<FileDescriptor>& descriptors) {
    bool* gone = destroyed_;
    std::shared_ptr<OnFrame> on_frame = on_frame_;
    size_t next = 0;
    while (!packet.empty()) {
        uint32_t size = 0;
        if (packet.size() >= frame_header)
            std::memcpy(&size, packet.data(), sizeof size);
        if (packet.size() < frame_header || size > packet.size() - frame_header) {
            fail("a broken frame");
            return false;
        }
        bool good = (*on_frame)(packet.substr(frame_header, size), descriptors, next);
        if (*gone)
            return false;
        if (!good) {
            fail("a malformed message");
            return false;
        }
        if (closed_)
            return false;
        packet.remove_prefix(frame_header + size);
    }
    if (next != descriptors.size()) {
        fail("surplus descriptors");
        return false;
    }
    return true;
}

// The first packet of the list may be half-way refused by the kernel; a packet is sent whole or
// not at all, so frames can join any that still waits.
bool PacketChannel::joins_last(const Packet& frame) const {
    if (outgoing_.empty())
        return false;
    const Packet& last = outgoing_.back();
    return last.size() + frame.size() <= packet_limit / 4 &&
           last.descriptors.size() + frame.descriptors.size() <= descriptors_per_packet &&
           last.asides.size() + frame.asides.size() <= asides_per_packet &&
           (!wiping_ || last.bytes.size() + frame.bytes.size() <= last.bytes.capacity());
}

void PacketChannel::send(const std::function<void(Packet&)>& write) {
    if (closed_)
        return;
    Packet frame;
    if (wiping_)
        frame.bytes.reserve(wiped_packet); // so that it leaves no copies behind where it grows
    frame.bytes.assign(frame_header, '\0');
    write(frame);
    if (frame.size() > packet_limit || frame.descriptors.size() > descriptors_per_packet ||
        frame.asides.size() > asides_per_packet)
        throw std::length_error("a message larger than a packet");
    const uint32_t size = static_cast<uint32_t>(frame.size() - frame_header);
    std::memcpy(frame.bytes.data(), &size, sizeof size);
    unsent_ += frame.size();
    if (unsent_ > unsent_limit)
        return fail("the peer does not read");
    if (joins_last(frame)) {
        Packet& last = outgoing_.back();
        for (Packet::Aside& aside : frame.asides)
            last.asides.push_back({last.bytes.size() + aside.position, std::move(aside.blob)});
        last.bytes += frame.bytes;
        for (FileDescriptor& descriptor : frame.descriptors)
            last.descriptors.push_back(std::move(descriptor));
        if (wiping_)
            wipe(frame.bytes);
    } else {
        outgoing_.push_back(std::move(frame));
    }
    if (!blocked_)
        loop_.flush_soon(flush_);
}

void PacketChannel::flush() {
    log::flush(); // what the peer is told has been logged before
    size_t done = 0;
    while (done < outgoing_.size() && !closed_ && transmit(outgoing_[done])) {
        unsent_ -= outgoing_[done].size();
        if (wiping_)
            wipe_packet(outgoing_[done]);
        ++done;
    }
    if (closed_)
        return;
    outgoing_.erase(outgoing_.begin(), outgoing_.begin() + static_cast<ptrdiff_t>(done));
    blocked_ = !outgoing_.empty();
    update_watch();
}

// False when the packet has to wait, or the channel has failed.
bool PacketChannel::transmit(const Packet& packet) {
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * descriptors_per_packet)];
    std::array<iovec, 2 * asides_per_packet + 1> pieces;
    msghdr header{};
    header.msg_iov = pieces.data();
    header.msg_iovlen = lay_out(packet, pieces);
    if (size_t count = packet.descriptors.size()) {
        header.msg_control = control;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        cmsghdr* c = CMSG_FIRSTHDR(&header);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * count);
        for (size_t i = 0; i < count; ++i) {
            int fd = packet.descriptors[i].get();
            std::memcpy(CMSG_DATA(c) + i * sizeof fd, &fd, sizeof fd);
        }
    }
    ssize_t size = sendmsg(socket_.get(), &header, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (size >= 0)
        return true;
    // ETOOMANYREFS: too many descriptors in flight; the peer has to take some first.
    if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS && errno != ETOOMANYREFS)
        fail(why_failed("sendmsg"));
    return false;
}

} // namespace postern::ipc
