// How we log in by SCRAM, against our own server's part of it: which mechanism, and to whom.
#include "deliver/relay/authentication.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <set>

#include "common/base/base64.h"
#include "common/sasl/scram_exchange.h"
#include "common/sasl/scram_keys.h"
#include "regress/support/memory_stream.h"
#include "regress/unit/relay/next_hop.h"

namespace postern::relay {
namespace {

using namespace std::chrono_literals;
using test::MemoryStream;
using test::SimulatedTime;

std::string next_nonce() {
    static int last = 0;
    return "nonce" + std::to_string(++last);
}

struct FixedChannel final : Encryption {
    explicit FixedChannel(std::string exporter) : exporter(std::move(exporter)) {}
    Task<Result<TlsFacts>> begin(Stream&, Duration) override {
        TlsFacts facts;
        facts.bindings.tls_exporter = exporter;
        co_return facts;
    }
    std::string exporter;
};

// A server that encrypts from the first byte, and knows SCRAM-SHA-256 with and without -PLUS.
struct Login {
    SimulatedTime time;
    std::string offered;
    std::string servers_channel;
    std::string our_channel;
    bool encrypted = true;
    std::string tried; // mechanisms, with what was said of binding
    std::set<std::string> nonces;
    bool done = false;

    static ScramExchange::Account find(std::string_view user) {
        ScramExchange::Account account;
        account.user = user;
        account.secret = *scram::make_secret(Secret("secret"), "salt", 4096);
        account.exists = true;
        return account;
    }
    static std::string decoded(std::string_view text) {
        return decode_base64(text).value_or("not base64");
    }
    // One AUTH command.
    Task<void> authenticate_client(MemoryStream& stream, std::string line) {
        const size_t space = line.find(' ', 5);
        const std::string mechanism = line.substr(5, space - 5);
        const std::string first = decoded(std::string_view(line).substr(space + 1));
        tried += mechanism + ":" + first.substr(0, first.find(',')) + " ";
        nonces.insert(first.substr(first.find("r=")));
        const bool plus = mechanism.ends_with("-PLUS");
        ChannelBindings bindings;
        if (offered.find("-PLUS") != std::string::npos)
            bindings.tls_exporter = servers_channel;
        ScramExchange exchange(plus, bindings, "server", find);
        ScramExchange::State state = exchange.respond(first);
        while (state == ScramExchange::State::asking) {
            stream.write("334 " + encode_base64(exchange.challenge()) + "\r\n");
            Line answer = co_await stream.read_line(4096, 60s);
            const std::string message = decoded(answer.text);
            state = exchange.respond(message);
        }
        stream.write(state == ScramExchange::State::complete ? "235 2.7.0 ok\r\n"
                                                             : "535 5.7.8 no\r\n");
    }
    Task<void> serve(MemoryStream& stream) {
        stream.write("220 mx\r\n");
        for (;;) {
            Line line = co_await stream.read_line(4096, 600s);
            if (line.status != StreamStatus::ok)
                co_return;
            const std::string text(line.text);
            if (text.starts_with("EHLO "))
                stream.write("250-mx\r\n250 AUTH " + offered + "\r\n");
            else if (text.starts_with("AUTH "))
                co_await authenticate_client(stream, text);
            else
                stream.write("221 bye\r\n");
        }
    }
    Task<void> log_in(std::unique_ptr<MemoryStream> stream) {
        SessionOptions options("relay.example", false, "mx.example[192.0.2.1]:465");
        options.tls.level = encrypted ? TlsLevel::encrypted : TlsLevel::never;
        options.tls.implicit = encrypted;
        options.encryption = std::make_unique<FixedChannel>(our_channel);
        ClientSession session(*stream, std::move(options));
        SaslCredentials credentials;
        credentials.user = "bob";
        credentials.password = Secret("secret");
        const bool opened = co_await session.open();
        if (opened)
            done = co_await authenticate(session, credentials, next_nonce);
        co_await session.quit();
    }
    bool run() {
        auto [client, server] = MemoryStream::make_pair(time);
        TaskGroup group;
        group.spawn(serve(*server));
        return test::run_to_end(time, log_in(std::move(client)));
    }
};

TEST(Authentication, IsBoundToTheChannelWhereBothEndsKnowHow) {
    struct Row {
        const char* offered;
        const char* servers_channel;
        const char* ours;
        const char* tried;
    };
    const char* both = "SCRAM-SHA-256-PLUS SCRAM-SHA-256";
    const Row rows[] = {
        {both, "channel", "channel", "SCRAM-SHA-256-PLUS:p=tls-exporter "},
        // It may know another kind of binding.
        {both, "other", "channel", "SCRAM-SHA-256-PLUS:p=tls-exporter SCRAM-SHA-256:n "},
        {both, "channel", "", "SCRAM-SHA-256:n "},
        {"SCRAM-SHA-256", "", "channel", "SCRAM-SHA-256:y "},
    };
    for (const Row& row : rows) {
        Login login;
        login.offered = row.offered;
        login.servers_channel = row.servers_channel;
        login.our_channel = row.ours;
        ASSERT_TRUE(login.run());
        EXPECT_EQ(login.tried, row.tried);
        EXPECT_TRUE(login.done) << row.tried;
        const std::string tried = row.tried;
        EXPECT_EQ(login.nonces.size(),
                  static_cast<size_t>(std::count(tried.begin(), tried.end(), ':')));
    }
}

TEST(Authentication, SaysNothingInPlain) {
    Login login;
    login.offered = "SCRAM-SHA-256 PLAIN LOGIN";
    login.encrypted = false;
    ASSERT_TRUE(login.run());
    EXPECT_EQ(login.tried, "");
    EXPECT_FALSE(login.done);
}

} // namespace
} // namespace postern::relay
