// Passwords and senders through the whole of the process but its main: questions of a listener over
// a channel, threads, answers back.
#include "smtpd/lookup/service.h"

#include <gtest/gtest.h>

#include <vector>

#include "regress/unit/sasl/scram_client.h"

namespace postern {
namespace {

using ipc::Authentication;
using ipc::SaslVerdict;
using test::ScramClient;

class AuthenticationTest : public testing::Test {
  protected:
    using Client = ipc::Channel<ipc::LookupToListener, ipc::ListenerToLookup>;

    AuthenticationTest() {
        ipc::LookupSettings settings;
        Table users;
        users.is_mapping = true;
        // "secret"; this one is cheap, the other takes a while
        users.pairs["alice"] = "$6$rounds=1000$saltsalt$LAV5VE5Y7w1d73x1mFNspYWUpazfmwv2SoepNXNKJ/"
                               "otop/Zok96Hr8Q13LEv0DRY/x8v0/crpIjl8NJSAqXV/";
        settings.tables["users"] = users;
        settings.tables["empty"] = Table();
        Table slow;
        slow.is_mapping = true;
        slow.pairs["alice"] = "$y$j8T$saltsaltsalt$vGGeOJE/nVevASGnPchg9NCQ8K5tvRRlhXaRnBm80g9";
        settings.tables["slow"] = slow;
        Table scram;
        scram.is_mapping = true;
        scram.pairs["user"] = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
                              "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
                              "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
        settings.tables["scram"] = scram;
        Table broken;
        broken.is_mapping = true;
        broken.pairs["alice"] = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$";
        settings.tables["broken"] = broken;
        Table senders;
        senders.is_mapping = true;
        senders.pairs["alice"] = "alice@x.example";
        settings.tables["senders"] = senders;
        settings.tables["elsewhere"].kind = TableKind::external;
        settings.credentials = {"users", "empty", "slow", "broken", "scram", "elsewhere"};
        settings.senders = {"senders", "elsewhere"};
        EXPECT_TRUE(service_->configure(settings).ok());
    }

    std::unique_ptr<Client> connect(std::vector<ipc::LookupToListener>& answers,
                                    ipc::Role role = ipc::Role::listener) {
        auto [ours, theirs] = ipc::make_pair();
        ipc::Connect connect;
        connect.role = role;
        connect.index = 0;
        connect.channel = std::move(theirs);
        service_->connect(std::move(connect));
        return std::make_unique<Client>(
            loop_, std::move(ours),
            [this, &answers](ipc::LookupToListener&& message) {
                answers.push_back(std::move(message));
                if (answers.size() >= expected_)
                    loop_.stop();
            },
            [this](const std::string&) {
                closed_ = true;
                loop_.stop();
            });
    }
    static ipc::ListenerToLookup question(uint32_t request, const char* table, const char* user,
                                          const char* password, const char* client = nullptr) {
        ipc::Authenticate question;
        if (client)
            question.client = *IpAddress::parse(client);
        question.request = request;
        question.table = table;
        question.user = user;
        question.password = Secret(password);
        return question;
    }
    void run_until(size_t answers) {
        expected_ = answers;
        loop_.run();
    }
    Authentication ask(const char* table, const char* user, const char* password) {
        std::vector<ipc::LookupToListener> answers;
        auto client = connect(answers);
        client->send(question(77, table, user, password));
        run_until(1);
        const auto& answer = std::get<ipc::AuthenticateAnswer>(answers.at(0));
        EXPECT_EQ(answer.request, 77u);
        EXPECT_EQ(answer.user, answer.verdict == Authentication::ok ? "alice" : "");
        return answer.verdict;
    }

    static ipc::ListenerToLookup start(uint64_t exchange, const char* table,
                                       const ScramClient& client,
                                       SaslMechanism mechanism = SaslMechanism::scram_sha_256) {
        ipc::SaslStart start;
        start.request = static_cast<uint32_t>(exchange);
        start.exchange = exchange;
        start.table = table;
        start.mechanism = mechanism;
        start.response = Secret(client.first());
        return start;
    }
    static ipc::ListenerToLookup response(uint64_t exchange, const std::string& message) {
        ipc::SaslResponse response;
        response.request = static_cast<uint32_t>(exchange);
        response.exchange = exchange;
        response.response = Secret(message);
        return response;
    }
    // The last answer to a client that tries to come to the end.
    ipc::SaslAnswer exchange(const char* table, const ScramClient& scram,
                             SaslMechanism mechanism = SaslMechanism::scram_sha_256) {
        std::vector<ipc::LookupToListener> answers;
        auto client = connect(answers);
        client->send(start(5, table, scram, mechanism));
        run_until(1);
        ipc::SaslAnswer answer = std::get<ipc::SaslAnswer>(answers.at(0));
        if (answer.verdict != SaslVerdict::challenge)
            return answer;
        client->send(response(5, scram.final(answer.challenge)));
        run_until(2);
        answer = std::get<ipc::SaslAnswer>(answers.at(1));
        if (answer.verdict != SaslVerdict::challenge)
            return answer;
        client->send(response(5, ""));
        run_until(3);
        return std::get<ipc::SaslAnswer>(answers.at(2));
    }

    EventLoop loop_;
    std::unique_ptr<LookupService> service_ =
        std::make_unique<LookupService>(loop_, [this] { loop_.stop(); });
    size_t expected_ = 0;
    bool closed_ = false;
};

TEST_F(AuthenticationTest, Verdicts) {
    EXPECT_EQ(ask("users", "alice", "secret"), Authentication::ok);
    EXPECT_EQ(ask("users", "ALICE", "secret"), Authentication::ok);
    EXPECT_EQ(ask("users", "alice", "Secret"), Authentication::failed);
    EXPECT_EQ(ask("users", "alice", ""), Authentication::failed);
    // Whoever does not exist is checked against alice's password, and must not get in by it.
    EXPECT_EQ(ask("users", "mallory", "secret"), Authentication::failed);
    EXPECT_EQ(ask("users", "mallory", "x"), Authentication::failed);
    EXPECT_EQ(ask("empty", "alice", "secret"), Authentication::failed);
    EXPECT_EQ(ask("broken", "alice", "secret"), Authentication::temporary);
    EXPECT_EQ(ask("nothing", "alice", "secret"), Authentication::temporary);
    EXPECT_EQ(ask("senders", "alice", "alice@x.example"), Authentication::temporary);
}

TEST_F(AuthenticationTest, MoreThanCanBeCheckedAreToldToTryLater) {
    std::vector<ipc::LookupToListener> answers;
    auto client = connect(answers);
    const size_t all = Logins::max_password_checks + 20;
    for (uint32_t i = 0; i < all; ++i)
        client->send(question(i, "users", "alice", "secret"));
    run_until(all);
    std::map<uint32_t, Authentication> verdicts;
    for (const ipc::LookupToListener& answer : answers)
        verdicts[std::get<ipc::AuthenticateAnswer>(answer).request] =
            std::get<ipc::AuthenticateAnswer>(answer).verdict;
    ASSERT_EQ(verdicts.size(), all);
    size_t later = 0;
    for (const auto& [request, verdict] : verdicts) {
        EXPECT_NE(verdict, Authentication::failed);
        later += verdict == Authentication::temporary;
    }
    EXPECT_GE(later, 1u);
    EXPECT_LE(later, 20u) << "those that fit are all checked";
}

// One network does not take the places of all others, in which there is somebody who may log in.
TEST_F(AuthenticationTest, ANetworkHasAShareOfTheChecks) {
    std::vector<ipc::LookupToListener> answers;
    auto client = connect(answers);
    constexpr uint32_t share = Logins::max_checks_of_network;
    uint32_t sent = 0;
    for (uint32_t i = 0; i < share + 3; ++i)
        client->send(
            question(sent++, "slow", "alice", "secret", i % 2 ? "192.0.2.1" : "192.0.2.200"));
    const uint32_t over = sent;
    for (const char* other : {"192.0.3.1", "2001:db8::1", "127.0.0.1"})
        client->send(question(sent++, "users", "alice", "secret", other));
    run_until(sent);
    for (const ipc::LookupToListener& message : answers) {
        const auto& answer = std::get<ipc::AuthenticateAnswer>(message);
        EXPECT_EQ(answer.verdict, answer.request >= share && answer.request < over
                                      ? Authentication::temporary
                                      : Authentication::ok)
            << answer.request;
    }
    answers.clear();
    client->send(question(0, "users", "alice", "secret", "192.0.2.1"));
    run_until(1);
    EXPECT_EQ(std::get<ipc::AuthenticateAnswer>(answers[0]).verdict, Authentication::ok)
        << "the others are done";
}

// While passwords are being checked other questions are answered.
TEST_F(AuthenticationTest, TheLoopDoesNotWait) {
    std::vector<ipc::LookupToListener> answers;
    auto client = connect(answers);
    client->send(question(1, "slow", "alice", "secret"));
    ipc::SenderQuery query;
    query.request = 2;
    query.table = "senders";
    query.user = "alice";
    query.reverse_path = "alice@x.example";
    client->send(query);
    client->send(ipc::RouteQuery());
    run_until(3);
    EXPECT_EQ(std::get<ipc::SenderAnswer>(answers.at(0)).verdict, ipc::SenderVerdict::owned);
    EXPECT_EQ(std::get<ipc::RouteAnswer>(answers.at(1)).verdict, ipc::RouteVerdict::no_mailbox);
    EXPECT_EQ(std::get<ipc::AuthenticateAnswer>(answers.at(2)).verdict, Authentication::ok);
}

// A listener that was started anew numbers its questions from the beginning.
TEST_F(AuthenticationTest, AnAnswerDoesNotReachAnotherPeerInTheSamePlace) {
    std::vector<ipc::LookupToListener> before, after;
    auto first = connect(before);
    first->send(question(1, "slow", "alice", "secret"));
    ipc::SenderQuery marker; // so that it is known to have been read
    first->send(marker);
    run_until(1);
    first.reset();
    auto second = connect(after);
    second->send(question(1, "slow", "alice", "wrong"));
    run_until(1);
    EXPECT_EQ(before.size(), 1u);
    ASSERT_EQ(after.size(), 1u);
    EXPECT_EQ(std::get<ipc::AuthenticateAnswer>(after[0]).verdict, Authentication::failed);
}

TEST_F(AuthenticationTest, Scram) {
    const ScramClient client;
    EXPECT_EQ(exchange("scram", client).verdict, SaslVerdict::ok);
    EXPECT_EQ(exchange("scram", client).user, "user");
    ScramClient other;
    other.password = "pen";
    EXPECT_EQ(exchange("scram", other).verdict, SaslVerdict::failed);
    EXPECT_EQ(exchange("scram", other).user, "user") << "for the log";
    other.password = client.password;
    other.bare = "n=nobody,r=rOprNGfwEbeRWgbNEkqO";
    EXPECT_EQ(exchange("scram", other).verdict, SaslVerdict::failed);
    other.gs2_header = "x,,";
    EXPECT_EQ(exchange("scram", other).verdict, SaslVerdict::malformed);
    EXPECT_EQ(exchange("users", client).verdict, SaslVerdict::temporary) << "not for SCRAM";
    EXPECT_EQ(exchange("nothing", client).verdict, SaslVerdict::temporary);
    EXPECT_EQ(exchange("scram", client, SaslMechanism::plain).verdict, SaslVerdict::temporary);
}

// The nonces of two exchanges differ, and a reload between the messages of one does not matter.
TEST_F(AuthenticationTest, ScramAcrossAReload) {
    const ScramClient scram;
    std::vector<ipc::LookupToListener> answers;
    auto client = connect(answers);
    client->send(start(1, "scram", scram));
    client->send(start(2, "scram", scram));
    run_until(2);
    const std::string first = std::get<ipc::SaslAnswer>(answers[0]).challenge;
    const std::string second = std::get<ipc::SaslAnswer>(answers[1]).challenge;
    EXPECT_NE(first, second);
    ASSERT_TRUE(service_->configure(ipc::LookupSettings()).ok());
    client->send(response(1, scram.final(first)));
    client->send(response(2, scram.final(first)));
    run_until(4);
    EXPECT_EQ(std::get<ipc::SaslAnswer>(answers[2]).verdict, SaslVerdict::challenge);
    EXPECT_EQ(std::get<ipc::SaslAnswer>(answers[3]).verdict, SaslVerdict::failed) << "overheard";
}

// A listener that was started anew cannot go on with what the former one has begun.
TEST_F(AuthenticationTest, ExchangesEndWithTheirListener) {
    const ScramClient scram;
    std::vector<ipc::LookupToListener> before, after;
    auto first = connect(before);
    first->send(start(1, "scram", scram));
    run_until(1);
    first.reset();
    auto second = connect(after);
    second->send(response(1, scram.final(std::get<ipc::SaslAnswer>(before[0]).challenge)));
    run_until(1);
    EXPECT_EQ(std::get<ipc::SaslAnswer>(after[0]).verdict, SaslVerdict::temporary);
}

TEST_F(AuthenticationTest, NobodyButAListenerCanAsk) {
    std::vector<ipc::LookupToListener> answers;
    auto queue = connect(answers, ipc::Role::queue);
    queue->send(question(1, "users", "alice", "secret"));
    run_until(1);
    EXPECT_TRUE(closed_);
    EXPECT_TRUE(answers.empty());
}

TEST_F(AuthenticationTest, EndsWithChecksThatWait) {
    std::vector<ipc::LookupToListener> answers;
    auto client = connect(answers);
    for (uint32_t i = 0; i < 100; ++i)
        client->send(question(i, "slow", "alice", "secret"));
    client->send(ipc::SenderQuery());
    run_until(1);
    service_.reset();
    EXPECT_LT(answers.size(), 50u);
}

// Whatever they are about, and whoever asks too much is not cut off.
TEST_F(AuthenticationTest, QuestionsThatWaitForATableAreCountedTogether) {
    auto [silent, theirs] = ipc::make_pair();
    service_->connect(ipc::Connect{ipc::Role::tables, 0, std::move(theirs)});
    std::vector<ipc::LookupToListener> answers;
    const auto client = connect(answers);
    ipc::SenderQuery query;
    query.table = "elsewhere";
    query.user = "alice";
    query.reverse_path = "alice@x.example";
    for (uint32_t i = 0; i < ipc::routing_credit; ++i) {
        query.request = i;
        client->send(query);
    }
    client->send(question(10'001, "elsewhere", "alice", "secret"));
    query.request = 10'002;
    client->send(query);
    run_until(2);
    EXPECT_FALSE(closed_);
    ASSERT_EQ(answers.size(), 2u);
    const auto& password = std::get<ipc::AuthenticateAnswer>(answers[0]);
    EXPECT_EQ(password.request, 10'001u);
    EXPECT_EQ(password.verdict, Authentication::temporary);
    const auto& sender = std::get<ipc::SenderAnswer>(answers[1]);
    EXPECT_EQ(sender.request, 10'002u);
    EXPECT_EQ(sender.verdict, ipc::SenderVerdict::temporary);
}

} // namespace
} // namespace postern
