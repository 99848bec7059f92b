// Streams that become encrypted: over real sockets, against OpenSSL's client in a thread.
#include "common/tls/accept.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <fcntl.h>
#include <functional>
#include <sys/socket.h>
#include <thread>

#include "common/tls/certificate.h"
#include "regress/support/test_certificate.h"

namespace postern::test {
namespace {

using namespace std::chrono_literals;

// A signer with an ECDSA key at hand, which may take its time.
class LocalSigner final : public Signer {
  public:
    LocalSigner(EventLoop& loop, EVP_PKEY* key) : loop_(loop), key_(key) {}
    Duration delay{0};
    int asked = 0;

    Task<std::string> sign(ipc::SignQuery query, Duration limit) override {
        ++asked;
        co_await loop_.sleep(std::min(delay, limit));
        if (delay >= limit)
            co_return "";
        EvpDigestContext context(EVP_MD_CTX_new());
        EVP_DigestSignInit_ex(context.get(), nullptr, "SHA256", nullptr, nullptr, key_, nullptr);
        size_t length = 256;
        std::string signature(length, '\0');
        EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &length,
                       reinterpret_cast<const unsigned char*>(query.content.data()),
                       query.content.size());
        signature.resize(length);
        co_return signature;
    }

  private:
    EventLoop& loop_;
    EVP_PKEY* key_;
};

class AcceptTest : public testing::Test {
  public:
    AcceptTest() {
        std::signal(SIGPIPE, SIG_IGN); // as every process of ours does
        int ends[2];
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        fcntl_nonblocking(ends[0]);
        stream = std::make_unique<SocketStream>(loop, FileDescriptor(ends[0]));
        client_socket = FileDescriptor(ends[1]);
        Result<EvpKey> key = make_remote_key(*own.key);
        SSL_CTX_use_certificate(context.get(), own.certificate.get());
        SSL_CTX_use_PrivateKey(context.get(), key->get());
        SSL_CTX_set_read_ahead(context.get(), 1);
    }
    ~AcceptTest() override {
        stream.reset();
        if (client.joinable())
            client.join();
    }
    static void fcntl_nonblocking(int fd) { fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK); }

    // What a client does with its end, blocking, in a thread of its own.
    void play(std::function<void(int fd)> part) {
        client = std::thread([this, part = std::move(part)] {
            part(client_socket.get());
            client_socket.reset();
        });
    }
    static SslSession connect(int fd) {
        SslContext made(SSL_CTX_new(TLS_client_method()));
        SslSession ssl(SSL_new(made.get()));
        SSL_set_fd(ssl.get(), fd);
        return SSL_connect(ssl.get()) == 1 ? std::move(ssl) : SslSession();
    }
    void run(Task<void> task) {
        tasks.spawn([](EventLoop& loop, Task<void> task) -> Task<void> {
            co_await std::move(task);
            loop.stop();
        }(loop, std::move(task)));
        loop.run();
    }

    EventLoop loop;
    TestCertificate own = make_certificate();
    SslContext context{SSL_CTX_new(TLS_server_method())};
    LocalSigner signer{loop, own.key.get()};
    std::unique_ptr<SocketStream> stream;
    FileDescriptor client_socket;
    std::thread client;
    TaskGroup tasks;
};

TEST_F(AcceptTest, TheGoAheadIsPlainAndEverythingAfterItEncrypted) {
    std::string plain, secret;
    play([&](int fd) {
        char buffer[64];
        const ssize_t got = read(fd, buffer, sizeof buffer);
        plain.assign(buffer, static_cast<size_t>(std::max<ssize_t>(got, 0)));
        SslSession ssl = connect(fd);
        ASSERT_TRUE(ssl);
        SSL_write(ssl.get(), "EHLO client.example\r\n", 21);
        const int size = SSL_read(ssl.get(), buffer, sizeof buffer);
        secret.assign(buffer, static_cast<size_t>(std::max(size, 0)));
        // The end is said, not only done.
        EXPECT_EQ(SSL_read(ssl.get(), buffer, sizeof buffer), 0);
        EXPECT_EQ(SSL_get_shutdown(ssl.get()) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
    });
    std::string line;
    run([](AcceptTest& t, std::string& line) -> Task<void> {
        SslSession ssl(SSL_new(t.context.get()));
        Result<TlsFacts> facts =
            co_await accept_tls(*t.stream, std::move(ssl), t.signer, "220 go ahead\r\n", 5s);
        EXPECT_TRUE(facts) << facts.error().message;
        EXPECT_EQ(facts ? facts->protocol : "", "TLSv1.3");
        Line read = co_await t.stream->read_line(512, 5s);
        line = read.text;
        t.stream->write("250 mx.test.example\r\n");
        co_await t.stream->drain(5s);
        t.stream.reset();
    }(*this, line));
    client.join();
    EXPECT_EQ(plain, "220 go ahead\r\n");
    EXPECT_EQ(line, "EHLO client.example");
    EXPECT_EQ(secret, "250 mx.test.example\r\n");
    EXPECT_EQ(signer.asked, 1);
}

// More than a record, a read and the stream's buffer hold, both ways: nothing is left lying in a
// layer where no event would fetch it.
TEST_F(AcceptTest, LargeAmountsPassBothWays) {
    constexpr size_t amount = 3'000'000;
    std::string echoed;
    play([&](int fd) {
        SslSession ssl = connect(fd);
        ASSERT_TRUE(ssl);
        const std::string sent(amount, 'x');
        size_t done = 0;
        while (done < amount) {
            const int size = SSL_write(ssl.get(), sent.data() + done,
                                       static_cast<int>(std::min<size_t>(amount - done, 50'000)));
            ASSERT_GT(size, 0);
            done += static_cast<size_t>(size);
        }
        char buffer[20'000];
        while (echoed.size() < amount) {
            const int size = SSL_read(ssl.get(), buffer, sizeof buffer);
            ASSERT_GT(size, 0);
            echoed.append(buffer, static_cast<size_t>(size));
        }
    });
    run([](AcceptTest& t) -> Task<void> {
        SslSession ssl(SSL_new(t.context.get()));
        Result<TlsFacts> facts = co_await accept_tls(*t.stream, std::move(ssl), t.signer, "", 5s);
        EXPECT_TRUE(facts) << facts.error().message;
        std::string got;
        while (got.size() < amount) {
            if (t.stream->input().empty()) {
                const StreamStatus status = co_await t.stream->read_more(5s);
                EXPECT_EQ(status, StreamStatus::ok) << "after " << got.size();
                if (status != StreamStatus::ok)
                    co_return;
            }
            // In small bites, so that the stream's buffer is full most of the time.
            const size_t bite = std::min<size_t>(t.stream->input().size(), 30'000);
            got += t.stream->input().substr(0, bite);
            t.stream->consume(bite);
        }
        t.stream->write(got);
        const StreamStatus sent = co_await t.stream->drain(5s);
        EXPECT_EQ(sent, StreamStatus::ok);
    }(*this));
    client.join();
    EXPECT_EQ(echoed, std::string(amount, 'x'));
}

TEST_F(AcceptTest, AClientThatSaysNothingIsGivenUp) {
    std::string reason;
    run([](AcceptTest& t, std::string& reason) -> Task<void> {
        SslSession ssl(SSL_new(t.context.get()));
        Result<TlsFacts> facts = co_await accept_tls(*t.stream, std::move(ssl), t.signer, "", 20ms);
        reason = facts ? "" : facts.error().message;
    }(*this, reason));
    EXPECT_EQ(reason, "the client kept the handshake waiting");
}

TEST_F(AcceptTest, ASignatureThatDoesNotComeEndsTheHandshakeInTime) {
    signer.delay = 10s;
    play([](int fd) { EXPECT_FALSE(connect(fd)); });
    std::string reason;
    run([](AcceptTest& t, std::string& reason) -> Task<void> {
        SslSession ssl(SSL_new(t.context.get()));
        Result<TlsFacts> facts =
            co_await accept_tls(*t.stream, std::move(ssl), t.signer, "", 300ms);
        reason = facts ? "" : facts.error().message;
        t.stream.reset();
    }(*this, reason));
    EXPECT_EQ(reason, "there is no signature of the key of our certificate");
}

} // namespace
} // namespace postern::test
