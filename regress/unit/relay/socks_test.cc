// SOCKS (RFC 1928, RFC 1929): what is said to a proxy, and what its answers mean.
#include "deliver/relay/socks.h"

#include <cerrno>
#include <gtest/gtest.h>

#include "regress/support/memory_stream.h"
#include "regress/unit/relay/next_hop.h"

namespace postern::relay {
namespace {

using namespace std::string_literals;
using namespace std::chrono_literals;
using test::MemoryStream;
using test::SimulatedTime;

struct Proxy {
    SimulatedTime time;
    std::optional<SaslCredentials> credentials;
    std::string said;      // by us
    std::string left;      // of what came, for the session
    bool agreed = false;   // on who we are
    std::string error;     // empty: we are through
    int code = 0;

    Task<void> talk(std::unique_ptr<MemoryStream> client) {
        Result<void> done = co_await open_socks(*client, credentials, 60s);
        agreed = static_cast<bool>(done);
        if (agreed)
            done = co_await connect_by_socks(
                *client, Endpoint{*IpAddress::parse("192.0.2.1"), 25}, 60s);
        if (!done) {
            error = done.error().message;
            code = done.error().code;
        }
        left = client->take();
        co_await time.sleep(1s); // what was written leaves
    }
    Task<void> listen(MemoryStream& server) {
        StreamStatus status = StreamStatus::ok;
        while (status == StreamStatus::ok) {
            status = co_await server.read_more(std::chrono::hours(1));
            said += server.take();
        }
    }
    void run(const std::string& answers) {
        auto [client, server] = MemoryStream::make_pair(time);
        const bool closes = answers.ends_with('!');
        server->write(answers.substr(0, answers.size() - closes));
        if (closes)
            server->end_output();
        said.clear();
        TaskGroup group;
        group.spawn(listen(*server));
        ASSERT_TRUE(test::run_to_end(time, talk(std::move(client))));
        time.run();
    }
};

const std::string request = "\5\1\0\1\xc0\0\2\1\0\x19"s;
const std::string through = "\5\0\0\1\0\0\0\0\0\0"s;

TEST(Socks, Requests) {
    EXPECT_EQ(socks_request(Endpoint{*IpAddress::parse("192.0.2.1"), 25}), request);
    EXPECT_EQ(socks_request(Endpoint{*IpAddress::parse("2001:db8::7"), 465}),
              "\5\1\0\4\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7\1\xd1"s);
}

TEST(Socks, WithAndWithoutAPassword) {
    Proxy open;
    open.run("\5\0"s + through + "220 mx");
    EXPECT_EQ(open.error, "");
    EXPECT_EQ(open.said, "\5\1\0"s + request);
    EXPECT_EQ(open.left, "220 mx") << "which is the server's already";

    Proxy closed;
    closed.credentials.emplace();
    closed.credentials->user = "bob";
    closed.credentials->password = Secret("secret");
    closed.run("\5\2\1\0"s + through);
    EXPECT_EQ(closed.error, "");
    EXPECT_EQ(closed.said, "\5\1\2\1\3bob\6secret"s + request);

    // The proxy says by which address it has connected: of any kind.
    for (const std::string& place : {"\1\0\0\0\0\0\0"s, "\4"s + std::string(18, '\0'), "\3\2ab\0\0"s}) {
        Proxy proxy;
        proxy.run("\5\0\5\0\0"s + place + "2");
        EXPECT_EQ(proxy.error, "");
        EXPECT_EQ(proxy.left, "2");
    }
}

TEST(Socks, Failures) {
    struct Row {
        std::string answers;
        const char* error;
        int code;
    };
    const Row rows[] = {
        {"\5\xff"s, "the proxy wants a password", 0},
        {"\4\0"s, "the proxy does not speak SOCKS5", 0},
        {"HTTP/1.1"s, "the proxy does not speak SOCKS5", 0},
        {"\5\0\5\1\0\1"s, "the proxy has failed", EPERM},
        {"\5\0\5\2\0\1"s, "the proxy's rules forbid it", EPERM},
        {"\5\0\5\3\0\1"s, "network unreachable, says the proxy", ENETUNREACH},
        {"\5\0\5\4\0\1"s, "host unreachable, says the proxy", EHOSTUNREACH},
        {"\5\0\5\5\0\1"s, "connection refused, says the proxy", ECONNREFUSED},
        {"\5\0\5\x63\0\1"s, "the proxy refuses with 99", 0},
        {"\5\0\4\0\0\1"s, "the proxy's answer makes no sense", 0},
        {"\5\0\5\0\0\2"s, "the proxy's answer makes no sense", 0},
        {"\5\0\5\0\0\1\0\0"s, "timed out while waiting for the proxy", ETIMEDOUT},
        {"\5\0"s, "timed out while waiting for the proxy", ETIMEDOUT}, // it waits for the target
        {"\5"s, "timed out while waiting for the proxy", ETIMEDOUT},
        {""s, "timed out while waiting for the proxy", ETIMEDOUT},
        // It breaks off, at any point: RFC 1928 6 has it say so if the target is to blame.
        {"\5!"s, "connection closed while waiting for the proxy", 0},
        {"\5\0!"s, "connection closed while waiting for the proxy", 0},
        {"\5\0\5\0\0\1\0!"s, "connection closed while waiting for the proxy", 0},
    };
    for (const Row& row : rows) {
        Proxy proxy;
        proxy.run(row.answers);
        EXPECT_EQ(proxy.error, row.error);
        EXPECT_EQ(proxy.code, row.code) << row.error;
        EXPECT_EQ(proxy.agreed, row.answers.starts_with("\5\0"s)) << row.error;
    }
    Proxy refuses;
    refuses.credentials.emplace();
    refuses.credentials->user = "bob";
    refuses.credentials->password = Secret("wrong");
    refuses.run("\5\2\1\1"s);
    EXPECT_EQ(refuses.error, "the proxy refuses the password");
    refuses.run("\5\0"s);
    EXPECT_EQ(refuses.error, "the proxy takes no password");
    refuses.credentials->user = std::string(256, 'u');
    refuses.run("\5\2"s);
    EXPECT_EQ(refuses.error, "the password is too long for a proxy");
}

} // namespace
} // namespace postern::relay
