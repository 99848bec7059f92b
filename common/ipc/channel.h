// A typed channel: In and Out are the variants of one of this folder's headers. The handler is
// called with each message and dispatches it exhaustively (std::visit with Overloaded).
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "common/ipc/codec.h"
#include "common/ipc/packet_channel.h"

namespace postern::ipc {

// `std::visit(Overloaded{[](Deliver& d) {…}, …}, message)`: a message nobody handles does not
// compile.
template <class... F> struct Overloaded : F... { using F::operator()...; };
template <class... F> Overloaded(F...) -> Overloaded<F...>;

template <class In, class Out> class Channel {
  public:
    using Handler = std::function<void(In&&)>;

    // The handler and `on_closed` may destroy the channel.
    Channel(EventLoop& loop, FileDescriptor socket, Handler handler,
            PacketChannel::OnClosed on_closed)
        : packets_(
              loop, std::move(socket),
              [handler = std::move(handler)](
                  std::string_view bytes, std::vector<FileDescriptor>& descriptors, size_t& next) {
                  In message;
                  Decoder decoder(bytes, descriptors, next);
                  if (!decoder.get(message) || !decoder.at_end())
                      return false;
                  next = decoder.next_descriptor();
                  handler(std::move(message));
                  return true;
              },
              std::move(on_closed)) {}

    void send(Out message) {
        packets_.send([&](Packet& frame) { Encoder(frame).put(message); });
    }
    bool closed() const { return packets_.closed(); }
    size_t unsent() const { return packets_.unsent(); }
    void wipe_packets() { packets_.wipe_packets(); }

  private:
    PacketChannel packets_;
};

} // namespace postern::ipc
