// The client of Dovecot's authentication service in simulated time; Dovecot is played.
#include "smtpd/lookup/dovecot_client.h"

#include <gtest/gtest.h>

#include <optional>

#include "common/base/base64.h"
#include "regress/support/memory_stream.h"
#include "regress/support/simulated_time.h"

namespace postern {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals; // for strings with a NUL inside
using ipc::SaslVerdict;
using test::MemoryStream;

constexpr const char* greeting = "VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\tplaintext\n"
                                 "MECH\tCRAM-MD5\tdictionary\nMECH\tSCRAM-SHA-256-PLUS\n"
                                 "MECH\tOAUTHBEARER\nSPID\t17\nCUID\t1\nCOOKIE\t0123abcd\nDONE\n";

class DovecotTest : public testing::Test {
  protected:
    DovecotTest() { client_ = make(); }
    std::shared_ptr<DovecotClient> make() {
        return std::make_shared<DovecotClient>(
            time_, "/run/auth", [this] { return connect(); }, [this] { ++announced_; });
    }
    Task<DovecotClient::Connected> connect() {
        ++connects_;
        if (!there_)
            co_return Error{"No such file or directory"};
        auto [ours, theirs] = MemoryStream::make_pair(time_);
        dovecot_ = std::move(theirs);
        std::unique_ptr<Stream> stream = std::move(ours);
        co_return stream;
    }
    void greet(const char* text = greeting) {
        time_.run();
        heard();
        say(text);
    }
    void say(const std::string& text) {
        dovecot_->write(text);
        time_.run();
    }
    std::string heard() {
        time_.run();
        return dovecot_->take();
    }
    void begin(SaslMechanism mechanism, const std::string& message) {
        exchange_.emplace(client_, mechanism, *IpAddress::parse("192.0.2.7"));
        respond(message);
    }
    void respond(const std::string& message) {
        outcome_.reset();
        exchange_->respond(Secret(message), [this](SaslServer::Outcome outcome) {
            EXPECT_FALSE(outcome_) << "one answer for one message";
            outcome_ = std::move(outcome);
        });
        time_.run();
    }
    void check(const char* user, const char* password) {
        outcome_.reset();
        check_password_with(*client_, user, Secret(password), *IpAddress::parse("2001:db8::1"),
                            [this](SaslServer::Outcome outcome) { outcome_ = std::move(outcome); });
    }
    std::optional<SaslVerdict> verdict() const {
        return outcome_ ? std::optional(outcome_->verdict) : std::nullopt;
    }

    test::SimulatedTime time_;
    bool there_ = true;
    int connects_ = 0;
    int announced_ = 0;
    std::unique_ptr<MemoryStream> dovecot_;
    std::shared_ptr<DovecotClient> client_;
    std::optional<DovecotExchange> exchange_;
    std::optional<SaslServer::Outcome> outcome_;
};

TEST_F(DovecotTest, ShakesHands) {
    const std::string hello = heard();
    EXPECT_TRUE(hello.starts_with("VERSION\t1\t1\nCPID\t")) << hello;
    EXPECT_TRUE(client_->mechanisms().empty());
    say(greeting);
    EXPECT_EQ(announced_, 1);
    EXPECT_EQ(client_->mechanisms(), (std::vector{SaslMechanism::oauthbearer, SaslMechanism::plain,
                                                  SaslMechanism::login}));
}

TEST_F(DovecotTest, Passwords) {
    greet();
    check("Alice", "secret");
    EXPECT_EQ(heard(), "AUTH\t1\tPLAIN\tservice=smtp\tnologin\tsecured\trip=2001:db8::1\tresp=" +
                           encode_base64("\0Alice\0secret"s) + "\n");
    EXPECT_EQ(verdict(), std::nullopt);
    say("OK\t1\tuser=Alice@X.example\textra\n");
    EXPECT_EQ(verdict(), SaslVerdict::ok);
    EXPECT_EQ(outcome_->user, "alice@x.example") << "as Dovecot knows it";
    check("alice", "wrong");
    say("FAIL\t2\tuser=alice\n");
    EXPECT_EQ(verdict(), SaslVerdict::failed);
    EXPECT_EQ(client_->open(), 0u);
}

struct Answer {
    const char* line;
    SaslVerdict verdict;
    const char* user = "";
};

TEST_F(DovecotTest, Answers) {
    greet();
    const Answer rows[] = {
        {"OK\tN\tuser=a\x01tb\n", SaslVerdict::temporary}, // a name with a TAB
        {"OK\tN\tuser="
         "a\x01x\n",
         SaslVerdict::ok, "ax"},
        {"OK\tN\n", SaslVerdict::temporary},
        {"OK\tN\tuser=\n", SaslVerdict::temporary},
        {"OK\tN\towner=alice\tuser=bob\n", SaslVerdict::ok, "bob"},
        // "OK does not mean access granted."
        {"OK\tN\tuser=alice\tnologin\n", SaslVerdict::failed, "alice"},
        {"OK\tN\tuser=alice\tnologin=y\n", SaslVerdict::failed, "alice"},
        {"OK\tN\tuser=alice\tproxy\thost=192.0.2.1\n", SaslVerdict::failed, "alice"},
        {"OK\tN\tproxy=y\tuser=alice\n", SaslVerdict::failed, "alice"},
        {"OK\tN\tuser=alice\tproxy_timeout=5\n", SaslVerdict::ok, "alice"},
        {"OK\tN\tuser=a\x01nb\n", SaslVerdict::temporary}, // with a LF
        {"FAIL\tN\tuser=alice\n", SaslVerdict::failed, "alice"},
        {"FAIL\tN\n", SaslVerdict::failed},
        {"FAIL\tN\tuser=alice\tauthz\n", SaslVerdict::failed, "alice"},
        {"FAIL\tN\tuser=alice\ttemp\n", SaslVerdict::temporary, "alice"},
        {"FAIL\tN\tcode=temp_fail\n", SaslVerdict::temporary},
        {"FAIL\tN\tcode=user_disabled\n", SaslVerdict::failed},
        {"CONT\tN\tYWJj\n", SaslVerdict::temporary}, // PLAIN has no such thing
    };
    uint32_t number = 0;
    for (const Answer& row : rows) {
        check("alice", "secret");
        std::string line = row.line;
        line.replace(line.find("\tN") + 1, 1, std::to_string(++number));
        say("UNKNOWN\tx\nOK\t999\tuser=eve\n" + line);
        EXPECT_EQ(verdict(), row.verdict) << row.line;
        EXPECT_EQ(outcome_->user, row.user) << row.line;
        EXPECT_EQ(client_->open(), 0u);
    }
    EXPECT_EQ(connects_, 1);
}

TEST_F(DovecotTest, AnExchange) {
    greet();
    begin(SaslMechanism::oauthbearer, "n,a=alice,\1auth=Bearer token\1\1");
    EXPECT_EQ(heard(),
              "AUTH\t1\tOAUTHBEARER\tservice=smtp\tnologin\tsecured\trip=192.0.2.7\tresp=" +
                  encode_base64("n,a=alice,\1auth=Bearer token\1\1") + "\n");
    say("CONT\t1\t" + encode_base64("{\"status\":\"invalid_token\"}") + "\n");
    EXPECT_EQ(verdict(), SaslVerdict::challenge);
    EXPECT_EQ(outcome_->challenge, "{\"status\":\"invalid_token\"}");
    respond("\1");
    EXPECT_EQ(heard(), "CONT\t1\tAQ==\n");
    say("FAIL\t1\tuser=alice\n");
    EXPECT_EQ(verdict(), SaslVerdict::failed);
    exchange_.reset();
    EXPECT_EQ(heard(), "") << "there is nothing left to cancel";
}

TEST_F(DovecotTest, ACancelledExchange) {
    greet();
    begin(SaslMechanism::oauthbearer, "x");
    heard();
    exchange_.reset();
    EXPECT_EQ(heard(), "CANCEL\t1\n");
    say("OK\t1\tuser=alice\n");
    EXPECT_EQ(verdict(), std::nullopt);
    EXPECT_EQ(client_->open(), 0u);
}

TEST_F(DovecotTest, LongMessages) {
    greet();
    begin(SaslMechanism::oauthbearer, std::string(dovecot::message_limit, 'x'));
    EXPECT_LE(heard().size(), dovecot::line_limit);
    begin(SaslMechanism::oauthbearer, std::string(dovecot::message_limit + 1, 'x'));
    EXPECT_EQ(verdict(), SaslVerdict::malformed);
}

// What Dovecot would close the connection of all over is not sent.
TEST_F(DovecotTest, WhatItWouldNotTake) {
    greet();
    check("alice", "");
    EXPECT_LE(heard().size(), dovecot::line_limit);
    check("", std::string(dovecot::message_limit - 2, 'x').c_str());
    EXPECT_EQ(verdict(), std::nullopt);
    EXPECT_LE(heard().size(), dovecot::line_limit);
    check("", std::string(dovecot::message_limit - 1, 'x').c_str());
    EXPECT_EQ(verdict(), SaslVerdict::temporary);
    begin(SaslMechanism::xoauth2, "x"); // it has not announced it
    EXPECT_EQ(verdict(), SaslVerdict::temporary);
    EXPECT_EQ(heard(), "");
    EXPECT_FALSE(dovecot_->peer_gone());
}

TEST_F(DovecotTest, NoAnswerInTime) {
    greet();
    check("alice", "secret");
    time_.advance(DovecotClient::patience - 1s);
    EXPECT_EQ(verdict(), std::nullopt);
    time_.advance(1s);
    EXPECT_EQ(verdict(), SaslVerdict::temporary);
    EXPECT_TRUE(heard().ends_with("CANCEL\t1\n"));
    say("OK\t1\tuser=alice\n");
    EXPECT_EQ(verdict(), SaslVerdict::temporary);
    check("alice", "secret");
    say("OK\t2\tuser=alice\n");
    EXPECT_EQ(verdict(), SaslVerdict::ok);
}

// It goes and comes back, and has other mechanisms then.
TEST_F(DovecotTest, ItsDeathAndReturn) {
    greet();
    begin(SaslMechanism::oauthbearer, "x");
    say("CONT\t1\tYWJj\n");
    check("alice", "secret");
    there_ = false;
    dovecot_.reset();
    time_.run();
    EXPECT_EQ(verdict(), SaslVerdict::temporary);
    respond("y");
    EXPECT_EQ(verdict(), SaslVerdict::temporary);
    check("alice", "secret");
    EXPECT_EQ(verdict(), SaslVerdict::temporary) << "at once";
    EXPECT_EQ(client_->mechanisms().size(), 3u) << "what it has said last still counts";
    time_.advance(1min);
    EXPECT_EQ(connects_, 31);
    there_ = true;
    time_.advance(2s);
    EXPECT_TRUE(heard().starts_with("VERSION\t1\t1\n"));
    check("alice", "secret");
    EXPECT_EQ(verdict(), SaslVerdict::temporary) << "before the handshake";
    say("VERSION\t1\t1\nMECH\tPLAIN\nMECH\tXOAUTH2\nDONE\n");
    EXPECT_EQ(client_->mechanisms(), (std::vector{SaslMechanism::xoauth2, SaslMechanism::plain}));
    EXPECT_EQ(announced_, 2);
    check("alice", "secret");
    EXPECT_NE(heard().find("AUTH\t"), std::string::npos);
}

TEST_F(DovecotTest, WhatIsNoDovecot) {
    const std::string endless = [] {
        std::string text = "VERSION\t1\t1\n";
        for (size_t i = 0; i < DovecotClient::handshake_lines; ++i)
            text += "MECH\tPLAIN\n";
        return text + "DONE\n";
    }();
    for (const std::string& text :
         {"VERSION\t2\t0\nMECH\tPLAIN\nDONE\n"s, "MECH\tPLAIN\nDONE\n"s, "VERSION\nDONE\n"s,
          "VERSION\tx\t1\nDONE\n"s, "VERSION\t1\t1\nMECH\nDONE\n"s, "OK\n"s,
          "VERSION\t1\t1\n"s + std::string(dovecot::line_limit, 'x') + "\n", endless}) {
        const int before = connects_;
        time_.run();
        say(text);
        EXPECT_TRUE(dovecot_->peer_gone()) << text.substr(0, 40);
        time_.advance(DovecotClient::retry);
        EXPECT_EQ(connects_, std::max(before, 1) + 1);
    }
    EXPECT_TRUE(client_->mechanisms().empty());
    time_.advance(DovecotClient::handshake);
    EXPECT_TRUE(dovecot_->peer_gone()) << "it says nothing";
}

TEST_F(DovecotTest, AMalformedAnswerEndsTheConnection) {
    for (const char* line : {"OK\n", "OK\tx\n", "FAIL\t\n", "CONT\tN\t***\n", "OK\t9999999999\n"}) {
        there_ = true;
        time_.advance(DovecotClient::retry);
        greet();
        check("alice", "secret");
        std::string text = line;
        if (const size_t at = text.find("\tN"); at != text.npos)
            text[at + 1] = '1';
        say(text);
        EXPECT_EQ(verdict(), SaslVerdict::temporary) << line;
        EXPECT_TRUE(dovecot_->peer_gone()) << line;
    }
}

TEST_F(DovecotTest, RequestsAreBounded) {
    greet();
    size_t refused = 0;
    for (size_t i = 0; i < DovecotClient::max_requests + 5; ++i) {
        check("alice", "secret");
        refused += outcome_.has_value();
        heard();
    }
    EXPECT_EQ(refused, 5u);
    // One that does not read is asked no more.
    time_.advance(DovecotClient::patience);
    dovecot_->stop_reading(true);
    const std::string password(500, 'x');
    for (size_t i = 0; i < DovecotClient::max_requests; ++i)
        check("alice", password.c_str());
    EXPECT_EQ(verdict(), SaslVerdict::temporary);
    EXPECT_LT(client_->open(), 2000u);
}

TEST_F(DovecotTest, ItIsNoLongerWanted) {
    greet();
    check("alice", "secret");
    client_.reset();
    EXPECT_EQ(verdict(), SaslVerdict::temporary);
    EXPECT_TRUE(dovecot_->peer_gone());
    client_ = make();
    greet();
    begin(SaslMechanism::oauthbearer, "x");
    client_.reset();
    EXPECT_EQ(verdict(), SaslVerdict::temporary);
    respond("y");
    EXPECT_EQ(verdict(), SaslVerdict::temporary);
    EXPECT_TRUE(dovecot_->peer_gone());
}

} // namespace
} // namespace postern
