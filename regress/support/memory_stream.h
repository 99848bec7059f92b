// The two ends of a connection that exists in memory only. One is given to what is tested, the
// other is played by the test, by a coroutine or by hand:
//
//     auto [client, server] = MemoryStream::make_pair(time);
//     client->write("EHLO client.example\r\n");
//     time.run();
//     EXPECT_EQ(client->take(), "250-...");
//
// Destroying an end is closing it: the other one reads what was sent before, and then the end.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "common/net/stream.h"

namespace postern::test {

class MemoryStream final : public Stream {
  public:
    using Pair = std::pair<std::unique_ptr<MemoryStream>, std::unique_ptr<MemoryStream>>;

    // Between the two are at most `capacity` bytes in either direction, as in a socket's buffers.
    static Pair make_pair(Executor& executor, size_t capacity = 64 * 1024);
    ~MemoryStream() override;

    // Takes all that has come in and was not taken yet.
    std::string take();

    // Ends our direction, after what was written: shutdown(SHUT_WR).
    void end_output();
    // The connection breaks, for both: what is under way is lost, reading gives ECONNRESET.
    void reset();
    // Takes no more from the connection, so that the other end's writing comes to a halt.
    void stop_reading(bool stopped);
    // Whether the other end is gone for good.
    bool peer_gone() const;
    // One read gives at most so many bytes, so that lines arrive in pieces. 0: as many as there
    // are.
    void limit_reads(size_t bytes) { read_limit_ = bytes; }
    // What the other end has sent and we have not read yet, in bytes.
    size_t under_way() const;

  protected:
    ssize_t receive(char* buffer, size_t size) override;
    ssize_t transmit(const char* bytes, size_t size) override;
    void watch(bool input, bool output) override;

  private:
    // One direction.
    struct Pipe {
        std::string bytes;
        size_t capacity = 0;
        bool ended = false;  // the writer will send no more
        bool broken = false; // the connection was reset, or nobody reads any more
        MemoryStream* reader = nullptr;
        MemoryStream* writer = nullptr;
    };
    struct Event final : Callback {
        explicit Event(MemoryStream& stream) : stream_(stream) {}
        void call() override { stream_.dispatch(); }
        MemoryStream& stream_;
    };

    MemoryStream(Executor& executor, std::shared_ptr<Pipe> incoming,
                 std::shared_ptr<Pipe> outgoing);
    bool readable() const;
    bool writable() const;
    // Level-triggered, as the sockets of the loop are.
    void notify();
    static void notify(MemoryStream* stream);
    void dispatch();

    std::shared_ptr<Pipe> incoming_;
    std::shared_ptr<Pipe> outgoing_;
    size_t read_limit_ = 0;
    bool want_input_ = true;
    bool want_output_ = false;
    bool stopped_ = false;
    bool ending_ = false; // end_output() was called
    Event event_;
};

} // namespace postern::test
