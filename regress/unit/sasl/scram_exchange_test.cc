// SCRAM-SHA-256 as a dialogue: the example of RFC 7677 3, channels, and clients that do it wrong.
#include "common/sasl/scram_exchange.h"

#include <gtest/gtest.h>

#include "regress/unit/sasl/scram_client.h"

namespace postern {
namespace {

using State = ScramExchange::State;
using test::ScramClient;
using namespace std::string_literals; // for strings with a NUL inside

constexpr const char* stored = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
                               "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
                               "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

class Exchange : public testing::Test {
  protected:
    ScramExchange begin(bool plus = false, ChannelBindings bindings = {}) {
        return ScramExchange(plus, std::move(bindings), "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
                             [this](std::string_view user) {
                                 asked_ += std::string(user) + ";";
                                 ScramExchange::Account account;
                                 account.user = "the user";
                                 account.secret = *parse_scram_secret(stored);
                                 account.exists = exists_;
                                 return account;
                             });
    }
    // How far `client` comes.
    static State run(ScramExchange exchange, const ScramClient& client) {
        if (State state = exchange.respond(client.first()); state != State::asking)
            return state;
        const std::string server_first = exchange.challenge();
        if (State state = exchange.respond(client.final(server_first)); state != State::asking)
            return state;
        return exchange.respond("");
    }

    bool exists_ = true;
    std::string asked_;
};

TEST_F(Exchange, OfTheRfc) {
    ScramExchange exchange = begin();
    EXPECT_EQ(exchange.respond("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"), State::asking);
    EXPECT_EQ(exchange.challenge(), "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                                    "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
    EXPECT_EQ(exchange.user(), "user");
    EXPECT_EQ(exchange.respond("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                               "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="),
              State::asking);
    EXPECT_EQ(exchange.challenge(), "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    EXPECT_EQ(exchange.respond(""), State::complete);
    EXPECT_EQ(exchange.user(), "the user");
    EXPECT_EQ(asked_, "user;");
    EXPECT_EQ(exchange.respond(""), State::malformed) << "it is over";
}

TEST_F(Exchange, AnotherPasswordAndNobody) {
    ScramClient client;
    client.password = "pen";
    EXPECT_EQ(run(begin(), client), State::failed);
    client.password = "pencil";
    EXPECT_EQ(run(begin(), client), State::complete);
    exists_ = false;
    EXPECT_EQ(run(begin(), client), State::failed) << "with proof for it";
}

struct First {
    const char* message;
    State state;
    const char* user = "";
};

TEST_F(Exchange, FirstMessages) {
    const First rows[] = {
        {"n,,n=user,r=x", State::asking, "user"},
        {"y,,n=user,r=x", State::asking, "user"},
        {"n,a=user,n=user,r=x", State::asking, "user"},
        {"n,a=USER,n=user,r=x", State::asking, "user"},
        {"n,,n=user,r=x,a=extension,b=another", State::asking, "user"},
        {"n,,n=a=2Cb=3Dc,r=x", State::asking, "a,b=c"},
        {"n,,n=\u2168,r=x", State::asking, "IX"},
        {"n,,n=user@x.example,r=!+~", State::asking, "user@x.example"},
        // Well-formed, but nobody.
        {"n,a=root,n=user,r=x", State::failed, "user"},
        {"n,,n=\u0627\u0031,r=x", State::failed, "\u0627\u0031"},
        {"n,,n=us\x07"
         "er,r=x",
         State::failed,
         "us\x07"
         "er"},
        {"n,,n=us\xff"
         "er,r=x",
         State::failed,
         "us\xff"
         "er"},
        // Of SCRAM-SHA-256-PLUS, which this is not.
        {"p=tls-exporter,,n=user,r=x", State::failed, "user"},
        {"p=tls-unique,,n=user,r=x", State::failed, "user"},
        {"p=,,n=user,r=x", State::failed, "user"},
        {"", State::malformed},
        {"n", State::malformed},
        {"n,", State::malformed},
        {"n,,", State::malformed},
        {"n,,n=user", State::malformed},
        {"n,,n=user,", State::malformed},
        {"n,,n=user,r=", State::malformed},
        {"n,,n=user,r=x,", State::malformed},
        {"n,,n=user,r=x,a", State::malformed},
        {"n,,n=user,r=x,a=", State::malformed},
        {"n,,n=user,r=x,m=must", State::malformed},
        {"n,,m=must,n=user,r=x", State::malformed},
        {"n,,r=x,n=user", State::malformed},
        {"n,,n=,r=x", State::malformed},
        {"n,,n=us=er,r=x", State::malformed},
        {"n,,n=us=2c,r=x", State::malformed},
        {"n,,n=us=,r=x", State::malformed},
        {"n,,n=user,r=x y", State::malformed},
        {"n,,n=user,r=x\xc3\xa9", State::malformed},
        {"n,a=,n=user,r=x", State::malformed},
        {"n,b=user,n=user,r=x", State::malformed},
        {"x,,n=user,r=x", State::malformed, "user"},
        {",,n=user,r=x", State::malformed, "user"},
        {"n=user,r=x", State::malformed},
    };
    for (const First& row : rows) {
        ScramExchange exchange = begin();
        EXPECT_EQ(exchange.respond(row.message), row.state) << row.message;
        if (row.state != State::malformed) {
            EXPECT_EQ(exchange.user(), row.user) << row.message;
        }
    }
    ScramExchange exchange = begin();
    EXPECT_EQ(exchange.respond("n,,n=us\0er,r=x"s), State::malformed);
}

TEST_F(Exchange, LongMessages) {
    const std::string longest(255, 'u');
    EXPECT_EQ(begin().respond("n,,n=" + longest + ",r=x"), State::asking);
    EXPECT_EQ(begin().respond("n,,n=" + longest + "u,r=x"), State::failed);
    EXPECT_EQ(begin().respond("n,,n=u,r=" + std::string(256, 'x')),
              State::asking);
    EXPECT_EQ(begin().respond("n,,n=u,r=" + std::string(257, 'x')),
              State::malformed);
}

struct Final {
    const char* message; // NONCE and PROOF are put in
    State state;
};

TEST_F(Exchange, FinalMessages) {
    const Final rows[] = {
        {"c=biws,r=NONCE,p=PROOF", State::asking},
        {"c=biws,r=NONCE,x=extension,p=PROOF", State::asking},
        {"c=biws,r=NONCEx,p=PROOF", State::failed},
        {"c=biws,r=rOprNGfwEbeRWgbNEkqO,p=PROOF", State::failed},
        {"c=biws,r=,p=PROOF", State::failed},
        {"c=eSws,r=NONCE,p=PROOF", State::failed}, // "y,,"
        {"c=,r=NONCE,p=PROOF", State::failed},
        {"c=biws,r=NONCE,p=AAAA", State::failed},
        {"c=biws,r=NONCE,p=", State::failed},
        {"c=biws,r=NONCE", State::malformed},
        {"c=biws,p=PROOF", State::malformed},
        {"r=NONCE,c=biws,p=PROOF", State::malformed},
        {"r=NONCE,p=PROOF", State::malformed},
        {"c=biws,r=NONCE,p=PROOF,x=y", State::malformed},
        {"c=biws,r=NONCE,m=must,p=PROOF", State::malformed},
        {"c=biws,r=NONCE,p=*", State::malformed},
        {"c=biw,r=NONCE,p=PROOF", State::malformed},
        {"p=PROOF", State::malformed},
        {"", State::malformed},
        {",", State::malformed},
    };
    for (const Final& row : rows) {
        ScramExchange exchange = begin();
        const ScramClient client;
        ASSERT_EQ(exchange.respond(client.first()), State::asking);
        const std::string server_first = exchange.challenge();
        std::string message = row.message;
        if (const size_t at = message.find("NONCE"); at != message.npos)
            message.replace(at, 5, ScramClient::field(server_first, "r="));
        if (const size_t at = message.find(",p=PROOF"); at != message.npos)
            message =
                client.final_with(message.substr(0, at), server_first) + message.substr(at + 8);
        EXPECT_EQ(exchange.respond(message), row.state) << row.message;
        if (row.state != State::asking) {
            EXPECT_EQ(exchange.respond(client.final(server_first)), State::malformed)
                << "there is no second try";
        }
    }
}

TEST_F(Exchange, TheClientHasToAgree) {
    ScramExchange exchange = begin();
    const ScramClient client;
    exchange.respond(client.first());
    const std::string server_first = exchange.challenge();
    EXPECT_EQ(exchange.respond(client.final(server_first)), State::asking);
    EXPECT_EQ(exchange.respond("x"), State::malformed);
    EXPECT_EQ(exchange.respond(""), State::malformed);
}

// What was overheard once is of no use: the server's part of the nonce is another one.
TEST_F(Exchange, ReplayedMessages) {
    const ScramClient client;
    ScramExchange first = begin();
    first.respond(client.first());
    const std::string overheard = client.final(first.challenge());
    ScramExchange second(false, {}, "another", [](std::string_view) {
        ScramExchange::Account account;
        account.secret = *parse_scram_secret(stored);
        account.exists = true;
        return account;
    });
    second.respond(client.first());
    EXPECT_EQ(second.respond(overheard), State::failed);
}

struct Channel {
    bool plus;
    const char* flag;
    const char* data;
    State state;
};

TEST_F(Exchange, Channels) {
    const ChannelBindings bindings{"exported", "certificate", "finished"};
    const Channel rows[] = {
        {true, "p=tls-exporter", "exported", State::complete},
        {true, "p=tls-server-end-point", "certificate", State::complete},
        {true, "p=tls-exporter", "certificate", State::failed},
        {true, "p=tls-exporter", "", State::failed},
        {true, "p=tls-exporter", "exportedx", State::failed},
        {true, "p=tls-server-end-point", "exported", State::failed},
        {true, "p=tls-unique", "finished", State::complete},
        {true, "p=tls-unique", "exported", State::failed},
        {true, "p=tls-other", "exported", State::failed},
        {true, "p=tls-other", "", State::failed},
        {true, "n", "", State::failed},
        {true, "y", "", State::failed},
        {false, "n", "", State::complete},
        {false, "n", "exported", State::failed},
        // Somebody between has taken SCRAM-SHA-256-PLUS out of what we offered.
        {false, "y", "", State::failed},
        {false, "p=tls-exporter", "exported", State::failed},
    };
    for (const Channel& row : rows) {
        ScramClient client;
        client.gs2_header = std::string(row.flag) + ",,";
        client.binding = row.data;
        EXPECT_EQ(run(begin(row.plus, bindings), client), row.state)
            << row.plus << " " << row.flag << " " << row.data;
    }
    ScramClient client;
    client.gs2_header = "p=tls-exporter,,";
    EXPECT_EQ(run(begin(true, {"", "certificate", ""}), client), State::failed)
        << "this connection has no such binding";
    client.gs2_header = "p=tls-unique,,";
    EXPECT_EQ(run(begin(true, {"exported", "certificate", ""}), client), State::failed)
        << "TLS 1.3 has none";
}

} // namespace
} // namespace postern
