// AUTH with mechanisms whose server's part is lookup's (SCRAM); that part is played by the real
// exchange, with the nonce of RFC 7677 3.
#include "common/base/base64.h"
#include "regress/unit/listener/dialogue.h"
#include "regress/unit/sasl/scram_client.h"

namespace postern::listener::test {
namespace {

using postern::test::ScramClient;

constexpr const char* stored = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
                               "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
                               "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
// The messages of RFC 7677 3, in base64.
#define CLIENT_FIRST "biwsbj11c2VyLHI9ck9wck5HZndFYmVSV2diTkVrcU8="
#define SERVER_FIRST                                                                               \
    "cj1yT3ByTkdmd0ViZVJXZ2JORWtxTyVodllEcFdVYTJSYVRDQWZ1eEZJbGopaE5sRiRrMCxzPVcyMlphSjBTTlk3c2"   \
    "9Fc1VFamI2Z1E9PSxpPTQwOTY="
#define CLIENT_FINAL                                                                               \
    "Yz1iaXdzLHI9ck9wck5HZndFYmVSV2diTkVrcU8laHZZRHBXVWEyUmFUQ0FmdXhGSWxqKWhObEYkazAscD1kSHpiWm"   \
    "FwV0lrNGpVaE4rVXRlOXl0YWc5empmTUhnc3FtbWl6N0FuZFZRPQ=="
#define SERVER_FINAL "dj02cnJpVFJCaTIzV3BSUi93dHVwK21NaFVaVW4vZEI1bkxUSlJzamw5NUc0PQ=="

class AuthScram : public Dialogue {
  public:
    AuthScram() {
        encryption.emplace();
        settings->addresses[0].tls.mode = TlsMode::implicit;
        settings->addresses[0].auth.mode = AuthMode::optional;
        settings->addresses[0].auth.credentials = "users";
        settings->addresses[0].mechanisms = {SaslMechanism::scram_sha_256_plus,
                                             SaslMechanism::scram_sha_256, SaslMechanism::plain,
                                             SaslMechanism::login};
        settings->max_errors = 20;
        accounts.scram_secrets["user"] = stored;
    }
    void greet() { play("S: 220 *\nC: EHLO client.example\noffers AUTH"); }
    // The line of EHLO's reply.
    std::string offered() {
        play("S: 220 *");
        send("EHLO client.example\r\n");
        const std::string reply = receive();
        const size_t at = reply.find("-AUTH ");
        return reply.substr(at + 1, reply.find("\r\n", at) - at - 1);
    }
    void prove(const char* mechanism, const ScramClient& client, const char* expected) {
        play("C: AUTH " + std::string(mechanism) + " " + encode_base64(client.first()) +
             "\nS: 334 " + encode_base64(first_challenge()) +
             "\nC: " + encode_base64(client.final(first_challenge())) + "\n" + expected);
    }
    static std::string first_challenge() { return *decode_base64(SERVER_FIRST); }
};

TEST_F(AuthScram, OfTheRfc) {
    greet();
    play("C: AUTH SCRAM-SHA-256 " CLIENT_FIRST "\nS: 334 " SERVER_FIRST "\nC: " CLIENT_FINAL
         "\nS: 334 " SERVER_FINAL "\nC:\nS: 235 2.7.0 Authentication succeeded");
    EXPECT_EQ(accounts.started, std::vector<std::string>{"users SCRAM-SHA-256 192.0.2.7"});
    EXPECT_EQ(accounts.cancelled, 0);
    EXPECT_EQ(counters.auth_successes, 1u);
    play("C: MAIL FROM:<user@client.example>\nS: 250 *\nC: RCPT TO:<b@dest.example>\nS: 250 *");
    EXPECT_EQ(lookup.queries.at(0).origin.authenticated, "user");
}

TEST_F(AuthScram, WithoutAnInitialResponse) {
    greet();
    play("C: AUTH scram-sha-256\nS: 334 \nC: " CLIENT_FIRST "\nS: 334 " SERVER_FIRST
         "\nC: " CLIENT_FINAL "\nS: 334 " SERVER_FINAL "\nC:\nS: 235 *");
}

TEST_F(AuthScram, IsOfferedWhereItCanBeDone) {
    EXPECT_EQ(offered(), "AUTH SCRAM-SHA-256 PLAIN LOGIN");
    play("C: AUTH SCRAM-SHA-256-PLUS " CLIENT_FIRST "\nS: 504 5.5.4 *");
    encryption->bindings.tls_exporter = "exported";
    connect();
    EXPECT_EQ(offered(), "AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN");
    settings->addresses[0].mechanisms = {SaslMechanism::plain, SaslMechanism::login};
    connect();
    EXPECT_EQ(offered(), "AUTH PLAIN LOGIN");
    play("C: AUTH SCRAM-SHA-256 " CLIENT_FIRST
         "\nS: 504 5.5.4 Authentication mechanism not supported");
    EXPECT_TRUE(accounts.started.empty());
}

TEST_F(AuthScram, BoundToTheConnection) {
    encryption->bindings.tls_exporter = "exported";
    greet();
    ScramClient client;
    client.gs2_header = "p=tls-exporter,,";
    client.binding = "that of another connection";
    prove("SCRAM-SHA-256-PLUS", client, "pass 1s\nS: 535 5.7.8 *");
    client.binding = "exported";
    prove("SCRAM-SHA-256-PLUS", client, "S: 334 *\nC:\nS: 235 *");
}

// The client would have bound itself, had it seen our offer: somebody has taken it away.
TEST_F(AuthScram, ADowngradeIsRefused) {
    encryption->bindings.tls_exporter = "exported";
    greet();
    ScramClient client;
    client.gs2_header = "y,,";
    play("C: AUTH SCRAM-SHA-256 " + encode_base64(client.first()) + "\npass 1s\nS: 535 5.7.8 *");
    encryption->bindings = {};
    connect();
    greet();
    prove("SCRAM-SHA-256", client, "S: 334 *\nC:\nS: 235 *");
}

// Whoever does not exist comes as far as whoever has another password, and hears the same, as late.
TEST_F(AuthScram, Failures) {
    greet();
    ScramClient client;
    client.password = "pen";
    prove("SCRAM-SHA-256", client, R"(
        silence
        pass 1s
        S: 535 5.7.8 Authentication credentials invalid
    )");
    client.bare = "n=nobody,r=rOprNGfwEbeRWgbNEkqO";
    prove("SCRAM-SHA-256", client, R"(
        pass 1s
        silence
        pass 1s
        S: 535 5.7.8 Authentication credentials invalid
    )");
    prove("SCRAM-SHA-256", client, R"(
        pass 3s
        silence
        pass 1s
        S: 421 4.7.0 mx.test.example Too many failed authentications
        closed
    )");
    EXPECT_EQ(counters.auth_failures, 3u);
    EXPECT_EQ(accounts.cancelled, 0);
}

TEST_F(AuthScram, CancelledAndMalformed) {
    greet();
    play("C: AUTH SCRAM-SHA-256\nS: 334 \nC: *\nS: 501 5.7.0 Authentication cancelled");
    EXPECT_TRUE(accounts.started.empty());
    const std::string begin = "C: AUTH SCRAM-SHA-256 " CLIENT_FIRST "\nS: 334 " SERVER_FIRST "\n";
    play(begin + "C: *\nS: 501 5.7.0 Authentication cancelled");
    EXPECT_EQ(accounts.cancelled, 1);
    play(begin + "C: not base64\nS: 501 5.5.2 Cannot decode as base64");
    play(begin + "C= " CLIENT_FINAL "\\n\nS: 500 5.5.2 *");
    play(begin + "C: " + std::string(12287, 'A') + "\nS: 500 5.5.6 *");
    EXPECT_EQ(accounts.cancelled, 4);
    play(begin + "C: AAAA\nS: 501 5.5.2 Not a response of this authentication mechanism");
    play(begin + "C:\nS: 501 5.5.2 *");
    play("C: AUTH SCRAM-SHA-256 =\nS: 501 5.5.2 *\nC: AUTH SCRAM-SHA-256 YWJj\nS: 501 5.5.2 *");
    // The end of it is the client's empty answer, and nothing else.
    play(begin + "C: " CLIENT_FINAL "\nS: 334 " SERVER_FINAL "\nC: eA==\nS: 501 5.5.2 *");
    play(begin + "C: " CLIENT_FINAL "\nS: 334 " SERVER_FINAL "\nC: *\nS: 501 5.7.0 *");
    EXPECT_EQ(accounts.cancelled, 5);
    EXPECT_TRUE(accounts.exchanges.empty());
    EXPECT_EQ(counters.auth_failures, 1u) << "who goes when the proof was judged, has tried it";
    EXPECT_EQ(counters.auth_successes, 0u);
    play("C: MAIL FROM:<user@client.example>\nS: 250 *");
}

TEST_F(AuthScram, TheClientLeavesOrKeepsUsWaiting) {
    const std::string begin = "C: AUTH SCRAM-SHA-256 " CLIENT_FIRST "\nS: 334 " SERVER_FIRST "\n";
    greet();
    play(begin + "pass 5m\nS: 421 4.4.2 *\nclosed");
    EXPECT_EQ(accounts.cancelled, 1);
    connect();
    greet();
    play(begin + "close\nclosed");
    EXPECT_EQ(accounts.cancelled, 2);
    connect();
    greet();
    play(begin);
    session->drain();
    play("S: 421 4.3.2 *\nclosed");
    connect();
    greet();
    play(begin);
    session.reset();
    EXPECT_TRUE(accounts.exchanges.empty());
}

// lookup dies, or has died meanwhile.
TEST_F(AuthScram, WithoutAnAnswerOfLookup) {
    greet();
    accounts.away = true;
    play("C: AUTH SCRAM-SHA-256 " CLIENT_FIRST
         "\nS: 454 4.7.0 Temporary authentication failure: try again later");
    accounts.away = false;
    accounts.forgetful = true;
    play("C: AUTH SCRAM-SHA-256 " CLIENT_FIRST "\nS: 454 4.7.0 *");
    accounts.forgetful = false;
    play("C: AUTH SCRAM-SHA-256 " CLIENT_FIRST "\nS: 334 *");
    accounts.forgetful = true;
    play("C: " CLIENT_FINAL "\nS: 454 4.7.0 *");
    accounts.forgetful = false;
    play("C: AUTH SCRAM-SHA-256 " CLIENT_FIRST "\nS: 334 *");
    accounts.silent = true;
    play("C: " CLIENT_FINAL "\npass 60s\nS: 454 4.7.0 *");
    accounts.silent = false;
    EXPECT_TRUE(accounts.exchanges.empty());
    EXPECT_EQ(counters.auth_temporary, 4u);
    EXPECT_EQ(counters.auth_failures, 0u);
    play("C: AUTH SCRAM-SHA-256 " CLIENT_FIRST "\nS: 334 *\nC: " CLIENT_FINAL
         "\nS: 334 *\nC:\nS: 235 *");
}

} // namespace
} // namespace postern::listener::test
