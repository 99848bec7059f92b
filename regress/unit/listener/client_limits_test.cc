// What clients may do by address, network and in all, in simulated time.
#include "smtpd/listener/client_limits.h"

#include <gtest/gtest.h>

#include <map>
#include <sstream>

#include "regress/unit/listener/dialogue.h"
#include "smtpd/listener/replies.h"

namespace postern::listener::test {
namespace {

using AccountPointer = std::unique_ptr<ClientLimits::Account>;

std::string describe(const std::optional<Excess>& excess) {
    if (!excess)
        return "ok";
    return to_line(replies::too_fast(*excess)).substr(10);
}

// A scenario, a step a line:
//   NAME in ADDRESS      a session begins
//   NAME out             it ends
//   NAME mails|recipients|commands  one more
//   NAME errors N, NAME bytes N     have happened
//   NAME full errors|bytes          is the limit reached?
//   pass SECONDS
// "= TEXT" behind a step is its outcome, where it is not "ok".
class Scenario {
  public:
    explicit Scenario(const ipc::ClientPolicy& policy) : limits(0x0123456789abcdefu) {
        limits.configure(policy, 0);
    }

    void play(const std::string& script) {
        std::istringstream lines(script);
        for (std::string line; std::getline(lines, line);) {
            const size_t equal = line.find('=');
            const std::string expected = equal == std::string::npos ? "ok" : line.substr(equal + 2);
            std::istringstream words(line.substr(0, equal));
            std::string name, what, value;
            words >> name >> what >> value;
            if (name.empty())
                continue;
            EXPECT_EQ(step(name, what, value), expected) << line;
        }
    }

    ClientLimits limits;

  private:
    static Measure measure(const std::string& name) {
        static const std::map<std::string, Measure> names{{"commands", Measure::commands},
                                                          {"errors", Measure::errors},
                                                          {"mails", Measure::mails},
                                                          {"recipients", Measure::recipients},
                                                          {"bytes", Measure::bytes}};
        return names.at(name);
    }

    std::string step(const std::string& name, const std::string& what, const std::string& value) {
        if (name == "pass") {
            now_ += std::chrono::milliseconds(static_cast<int64_t>(std::stod(what) * 1000));
        } else if (what == "in") {
            auto admitted = limits.admit(*IpAddress::parse(value), now_);
            if (auto* excess = std::get_if<Excess>(&admitted))
                return describe(*excess);
            sessions_[name] = std::move(std::get<AccountPointer>(admitted));
        } else if (what == "out") {
            EXPECT_EQ(sessions_.erase(name), 1u) << name;
        } else if (what == "full") {
            return describe(sessions_.at(name)->excess(measure(value), now_));
        } else if (!value.empty()) {
            sessions_.at(name)->note(measure(what), std::stod(value), now_);
        } else {
            return describe(sessions_.at(name)->take(measure(what), now_));
        }
        return "ok";
    }

    TimePoint now_ = TimePoint() + std::chrono::hours(1000);
    std::map<std::string, AccountPointer> sessions_;
};

struct Example {
    const char* name;
    ipc::ClientPolicy policy;
    const char* script;
};

void PrintTo(const Example& example, std::ostream* out) { *out << example.name; }

ipc::ClientPolicy policy(ClientRates address, ClientRates network = {}, ClientRates all = {},
                         std::vector<Network> exempt = {}) {
    ipc::ClientPolicy result;
    result.per_address = address;
    result.per_network = network;
    result.in_all = all;
    result.exempt = std::move(exempt);
    return result;
}

class ClientLimitsTest : public testing::TestWithParam<Example> {};

TEST_P(ClientLimitsTest, Counts) { Scenario(GetParam().policy).play(GetParam().script); }

INSTANTIATE_TEST_SUITE_P(
    Table, ClientLimitsTest,
    testing::Values(Example{"none", policy({}), R"(
            a in 192.0.2.1
            b in 192.0.2.1
            a mails
            a errors 1000000
            a full errors
        )"},
                    Example{"sessions at once", policy({.sessions = 2}, {.sessions = 3}), R"(
            a in 192.0.2.1
            b in 192.0.2.1
            c in 192.0.2.1 = Too many sessions from your address at once: try again later
            c in 192.0.2.2
            d in 192.0.2.3 = Too many sessions from your network at once: try again later
            d in 192.0.3.3
            e in 2001:db8::1
            a out
            f in 192.0.2.3
            c out
            g in 192.0.2.1
            pass 3600
            h in 192.0.2.1 = Too many sessions from your address at once: try again later
        )"},
                    Example{"IPv6 networks are /64", policy({}, {.sessions = 1}), R"(
            a in 2001:db8:0:1::1
            b in 2001:db8:0:1:ffff::2 = Too many sessions from your network at once: try again later
            b in 2001:db8:0:2::1
        )"},
                    Example{"a rate lets so many through at once, and one for each that drains",
                            policy({.mail_rate = 3}), R"(
            a in 192.0.2.1
            b in 192.0.2.1
            c in 192.0.2.2
            a mails
            a mails
            b mails
            b mails = Too many messages from your address in a minute: try again later
            c mails
            pass 19.9
            a mails = Too many messages from your address in a minute: try again later
            pass 0.1
            a mails
            a mails = Too many messages from your address in a minute: try again later
            pass 60
            a mails
            a mails
            a mails
            a mails = Too many messages from your address in a minute: try again later
        )"},
                    Example{"rates outlive sessions", policy({.session_rate = 2}), R"(
            a in 192.0.2.1
            a out
            b in 192.0.2.1
            b out
            c in 192.0.2.1 = Too many sessions from your address in a minute: try again later
            pass 29
            c in 192.0.2.1 = Too many sessions from your address in a minute: try again later
            pass 1
            c in 192.0.2.1
        )"},
                    Example{"a refusal by one scope takes nothing from another",
                            policy({.rcpt_rate = 1}, {.rcpt_rate = 2}, {.rcpt_rate = 3}), R"(
            a in 192.0.2.1
            b in 192.0.2.2
            c in 198.51.100.1
            a recipients
            a recipients = Too many recipients from your address in a minute: try again later
            a recipients = Too many recipients from your address in a minute: try again later
            b recipients
            c recipients
            d in 198.51.100.2
            d recipients = Too many recipients in a minute: try again later
        )"},
                    Example{"errors keep the next session out", policy({}, {.error_rate = 10}), R"(
            a in 192.0.2.1
            a errors 9
            a full errors
            b in 192.0.2.2
            b errors 1
            a full errors = Too many errors from your network in a minute: try again later
            c in 192.0.2.3 = Too many errors from your network in a minute: try again later
            pass 6
            c in 192.0.2.3
        )"},
                    Example{"bytes may go over their limit", policy({.byte_rate = 1000}), R"(
            a in 192.0.2.1
            a bytes 3000
            a full bytes = Too many octets from your address in a minute: try again later
            pass 119
            a full bytes = Too many octets from your address in a minute: try again later
            pass 2
            a full bytes
        )"},
                    Example{"commands", policy({.command_rate = 1}), R"(
            a in 192.0.2.1
            a commands
            a commands = Too many commands from your address in a minute: try again later
        )"},
                    Example{
                        "the exempt",
                        policy({.sessions = 1, .mail_rate = 1}, {}, {.session_rate = 1},
                               {*Network::parse("192.0.2.0/28"), *Network::parse("2001:db8::/32")}),
                        R"(
            a in 192.0.2.1
            b in 192.0.2.1
            c in 2001:db8::1
            d in 2001:db8::1
            e in 127.0.0.1
            f in 127.0.0.1
            g in ::1
            a mails
            a mails
            h in 192.0.2.16
            i in 198.51.100.1 = Too many sessions in a minute: try again later
        )"}),
    [](const auto& example) {
        std::string name;
        for (char c : std::string_view(example.param.name))
            name += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
        return name;
    });

IpAddress address_number(uint32_t number) {
    IpAddress address;
    address.version = 4;
    address.low = 0x0b000000u + number;
    return address;
}

// Whatever comes and goes, an attacker's own counters stay while they are fuller than others'.
TEST(ClientTable, AFloodOfAddressesDoesNotMakeItForget) {
    ClientLimits limits(0x5ec7e7);
    limits.configure(policy({.sessions = 5, .session_rate = 100, .error_rate = 10}), 0);
    const TimePoint now = TimePoint() + std::chrono::hours(1);
    const IpAddress attacker = *IpAddress::parse("198.51.100.66");
    {
        auto session = std::get<AccountPointer>(limits.admit(attacker, now));
        session->note(Measure::errors, 10, now);
    }
    for (uint32_t i = 0; i < 1'000'000; ++i)
        ASSERT_TRUE(std::holds_alternative<AccountPointer>(limits.admit(address_number(i), now)));
    EXPECT_TRUE(std::holds_alternative<Excess>(limits.admit(attacker, now)));
}

// Those who are here are counted to the last, however many are.
TEST(ClientTable, SessionsAtOnceAreExact) {
    ClientLimits limits(0x5ec7e7);
    limits.configure(policy({.sessions = 1}), 5000);
    const TimePoint now = TimePoint() + std::chrono::hours(1);
    std::vector<AccountPointer> sessions;
    for (uint32_t i = 0; i < 5000; ++i)
        sessions.push_back(std::get<AccountPointer>(limits.admit(address_number(i * 257), now)));
    for (uint32_t i = 0; i < 5000; ++i)
        ASSERT_TRUE(std::holds_alternative<Excess>(limits.admit(address_number(i * 257), now)));
    sessions.clear();
    for (uint32_t i = 0; i < 5000; ++i)
        ASSERT_TRUE(
            std::holds_alternative<AccountPointer>(limits.admit(address_number(i * 257), now)));
}

// What a session says about it.
class ClientLimitReplies : public Dialogue {};

TEST_F(ClientLimitReplies, AtTheGreeting) {
    settings->clients.per_address.session_rate = 1;
    play("S: 220 *\nC: QUIT\nS: 221 *\nclosed");
    connect();
    play(R"(
        S: 421 4.7.0 mx.test.example Too many sessions from your address in a minute: *
        closed
    )");
    EXPECT_EQ(counters.limited_rates[0], 1u);
}

TEST_F(ClientLimitReplies, ToMail) {
    settings->clients.per_network.mail_rate = 1;
    begin_mail();
    play(R"(
        C: RSET
        S: 250 *
        C: MAIL FROM:<a@client.example>
        S: 451 4.7.1 Too many messages from your network in a minute: try again later
        pass 1m
        C: MAIL FROM:<a@client.example>
        S: 250 *
    )");
}

TEST_F(ClientLimitReplies, ToRecipientsInTheirOrder) {
    settings->clients.per_address.rcpt_rate = 2;
    lookup.delay = 1s;
    greet();
    play(R"(
        C: MAIL FROM:<a@client.example>
        C: RCPT TO:<a@dest.example>
        C: RCPT TO:<b@dest.example>
        C: RCPT TO:<c@dest.example>
        C: DATA
        S: 250 *
        pass 1s
        S: 250 *
        S: 250 *
        S: 451 4.7.1 Too many recipients from your address in a minute: try again later
        S: 354 *
        C: .
        S: 250 *
    )");
    EXPECT_EQ(queue.messages[0].submit.envelope.recipients.size(), 2u);
    EXPECT_EQ(lookup.queries.size(), 2u);
}

TEST_F(ClientLimitReplies, ToBadCommandsAndRefusedRecipients) {
    settings->clients.per_address.error_rate = 2;
    lookup.verdicts["nobody@dest.example"] = ipc::RouteVerdict::no_mailbox;
    greet();
    play(R"(
        C: FOO
        S: 500 *
        C: MAIL FROM:<a@client.example>
        S: 250 *
        C: RCPT TO:<nobody@dest.example>
        S: 550 *
        S: 421 4.7.0 mx.test.example Too many errors from your address in a minute: *
        closed
    )");
    connect();
    play("S: 421 4.7.0 *\nclosed");
}

TEST_F(ClientLimitReplies, ToCommands) {
    settings->clients.in_all.command_rate = 2;
    greet();
    play(R"(
        C: NOOP
        S: 250 *
        C: NOOP
        S: 421 4.7.0 mx.test.example Too many commands in a minute: *
        closed
    )");
}

TEST_F(ClientLimitReplies, ToBytes) {
    settings->clients.per_address.byte_rate = 1000;
    begin_mail();
    send("DATA\r\n" + std::string(1990, 'x') + "\r\n.\r\n");
    play(R"(
        S: 354 *
        S: 250 *
        C: MAIL FROM:<a@client.example>
        S: 451 4.7.1 Too many octets from your address in a minute: try again later
        pass 2m
        C: MAIL FROM:<a@client.example>
        S: 250 *
    )");
}

TEST_F(ClientLimitReplies, ToASessionOfTooManyCommands) {
    settings->max_commands = 2;
    greet();
    play("C: NOOP\nC: QUIT\nS: 250 *\nS: 421 4.7.0 *Too many commands in a session: *\nclosed");
    EXPECT_EQ(counters.limited_commands, 1u);
}

// What has begun is finished.
TEST_F(ClientLimitReplies, ToASessionOfTooManyBytes) {
    settings->max_bytes = 1000;
    begin_mail();
    send("DATA\r\n" + std::string(1990, 'x') + "\r\n.\r\nNOOP\r\n");
    play("S: 354 *\nS: 250 2.0.0 * queued\nS: 421 4.7.0 *Too much in a session: *\nclosed");
    EXPECT_EQ(counters.limited_bytes, 1u);
}

// A reload may allow more sessions than the table was made for. Nobody is turned away for that.
TEST(ClientLimitsTest, AFullTableTurnsNobodyAway) {
    const ipc::ClientPolicy no_limits;
    ClientLimits limits(1);
    limits.configure(no_limits, 5000);
    limits.configure(no_limits, 20000);
    std::vector<AccountPointer> accounts;
    for (int i = 0; i < 16000; ++i) {
        const std::string address =
            "10." + std::to_string(i / 256) + "." + std::to_string(i % 256) + ".1";
        auto admitted = limits.admit(*IpAddress::parse(address), TimePoint(1h));
        ASSERT_TRUE(std::holds_alternative<AccountPointer>(admitted)) << i;
        accounts.push_back(std::move(std::get<AccountPointer>(admitted)));
    }
}

} // namespace
} // namespace postern::listener::test
