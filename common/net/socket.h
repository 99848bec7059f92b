// Sockets: connecting, listening, and a Stream over a connected one.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "common/base/file_descriptor.h"
#include "common/base/ip_address.h"
#include "common/base/result.h"
#include "common/loop/event_loop.h"
#include "common/loop/task.h"
#include "common/net/stream.h"

namespace postern {

// What the bytes of a stream pass through on their way from and to the socket: TLS.
class StreamLayer {
  public:
    virtual ~StreamLayer() = default;
    // As recv(2) and send(2) do: -1 with EAGAIN until the socket is ready again.
    virtual ssize_t receive(char* buffer, size_t size) = 0;
    virtual ssize_t transmit(const char* bytes, size_t size) = 0;
    // receive() may have more to give although nothing more comes from the socket.
    virtual bool may_have_more() const = 0;
};

class SocketStream final : public Stream {
  public:
    // Takes a connected, non-blocking socket.
    SocketStream(EventLoop& loop, FileDescriptor socket);
    ~SocketStream() override;

    int fd() const { return socket_.get(); }
    EventLoop& loop() const { return loop_; }
    // From now on everything passes through `layer`. Input that was taken in before stays what it
    // is: whoever calls this sees to it that there is none.
    void add_layer(std::unique_ptr<StreamLayer> layer);

  protected:
    ssize_t receive(char* buffer, size_t size) override;
    ssize_t transmit(const char* bytes, size_t size) override;
    void watch(bool input, bool output) override;

  private:
    void read();

    // Reads what the layer holds back, from the loop.
    struct Rest final : Callback {
        explicit Rest(SocketStream& stream) : stream_(stream) {}
        void call() override { stream_.read(); }
        SocketStream& stream_;
    };

    EventLoop& loop_;
    FileDescriptor socket_;
    std::unique_ptr<StreamLayer> layer_; // null: the bytes are those of the socket
    Rest rest_;
    Watch watch_;
};

// A non-blocking connection, from `source` where given. Error::code is the errno (ETIMEDOUT when
// the limit passed).
Task<Result<FileDescriptor>> connect_to(EventLoop& loop, Endpoint peer,
                                        std::optional<IpAddress> source, Duration limit);
Task<Result<FileDescriptor>> connect_to_unix(EventLoop& loop, std::string path, Duration limit);

// A bound, listening, non-blocking socket with SO_REUSEADDR (and IPV6_V6ONLY).
Result<FileDescriptor> listen_on(const Endpoint& endpoint, int backlog);

// Accepts connections until destroyed or paused. When descriptors or memory run out it waits a
// second before it tries again, instead of spinning.
class Acceptor {
  public:
    // The peer on a Unix socket has no address, but is a program of this host: 127.0.0.1, port 0.
    using Handler = std::function<void(FileDescriptor socket, Endpoint peer)>;
    // `exhausted` is called when they have run out.
    Acceptor(EventLoop& loop, FileDescriptor listening, Handler handler,
             std::function<void()> exhausted = {});
    void pause(bool paused);
    int fd() const { return socket_.get(); }

  private:
    struct Retry final : Timer {
        explicit Retry(Acceptor& acceptor) : acceptor_(acceptor) {}
        void expired() override;
        Acceptor& acceptor_;
    };
    void accept_ready();
    void update();

    EventLoop& loop_;
    FileDescriptor socket_;
    Handler handler_;
    std::function<void()> exhausted_;
    bool paused_ = false;
    Retry retry_;
    Watch watch_;
};

} // namespace postern
