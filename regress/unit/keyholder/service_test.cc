// The whole process but for its main: listeners ask over channels.
#include "smtpd/keyholder/service.h"

#include <gtest/gtest.h>

#include "common/tls/certificate.h"
#include "regress/support/test_certificate.h"
#include "regress/unit/listener/loop_support.h"

namespace postern::keyholder::test {
namespace {

using namespace std::chrono_literals;
using listener::test::run_until;
using postern::test::make_certificate;
using postern::test::TestCertificate;

// A listener's end.
struct Listener {
    using Channel = ipc::Channel<ipc::KeyholderToListener, ipc::ListenerToKeyholder>;

    Listener(EventLoop& loop, Service& service, uint32_t index, Side side = Side::server)
        : loop(loop) {
        auto [ours, theirs] = ipc::make_pair();
        service.connect(index, std::move(theirs), side);
        channel = std::make_unique<Channel>(
            loop, std::move(ours),
            [this](ipc::KeyholderToListener&& message) {
                if (auto* keys = std::get_if<ipc::TicketKeys>(&message))
                    tickets.push_back(std::move(*keys));
                else
                    answers.push_back(std::get<ipc::Signature>(std::move(message)));
            },
            [this](const std::string&) { closed = true; });
    }
    void ask(const TestCertificate& own, uint32_t request, const std::string& as = "server") {
        ipc::SignQuery query;
        query.request = request;
        query.key_id = key_id_of(*own.key);
        query.scheme = ipc::SignatureScheme::ecdsa_sha256;
        query.content = std::string(64, ' ') + "TLS 1.3, " + as + " CertificateVerify" + '\0' +
                        std::string(32, 'h');
        channel->send(std::move(query));
    }
    bool answered(size_t count) {
        return run_until(loop, [&] { return answers.size() >= count; });
    }

    EventLoop& loop;
    std::unique_ptr<Channel> channel;
    std::vector<ipc::Signature> answers;
    std::vector<ipc::TicketKeys> tickets;
    bool closed = false;
};

Keys keys_with(std::initializer_list<const TestCertificate*> all, bool for_relays = false) {
    Keys keys;
    for (const TestCertificate* own : all)
        EXPECT_TRUE(keys.add(own->key_pem(), for_relays));
    return keys;
}

struct KeyholderServiceTest : testing::Test {
    TestCertificate own = make_certificate(), next = make_certificate(), last = make_certificate();
    EventLoop loop;
    Service service{loop};
};

TEST_F(KeyholderServiceTest, SignsAndCounts) {
    service.set_keys(keys_with({&own}));
    Listener listener(loop, service, 0);
    listener.ask(own, 7);
    ASSERT_TRUE(listener.answered(1));
    EXPECT_EQ(listener.answers[0].request, 7u);
    EXPECT_FALSE(listener.answers[0].signature.empty());
    EXPECT_EQ(service.totals().signatures, 1u);
}

// Who was taken over cannot play the other side: a relay is no server, and a listener no client.
TEST_F(KeyholderServiceTest, RelaysAreClientsAndListenersServers) {
    service.set_keys(keys_with({&own}, true));
    Listener listener(loop, service, 0), relay(loop, service, 0, Side::client);
    for (Listener* peer : {&listener, &relay})
        for (const char* as : {"server", "client"})
            peer->ask(own, 1, as);
    ASSERT_TRUE(listener.answered(2));
    ASSERT_TRUE(relay.answered(2));
    EXPECT_FALSE(listener.answers[0].signature.empty());
    EXPECT_TRUE(listener.answers[1].signature.empty());
    EXPECT_TRUE(relay.answers[0].signature.empty());
    EXPECT_FALSE(relay.answers[1].signature.empty());
    EXPECT_TRUE(relay.tickets.empty());
}

// Nor has it the keys of listeners as its own.
TEST_F(KeyholderServiceTest, RelaysHaveTheKeysOfTheirPkisOnly) {
    service.set_keys(keys_with({&own}));
    Listener relay(loop, service, 0, Side::client);
    relay.ask(own, 1, "client");
    ASSERT_TRUE(relay.answered(1));
    EXPECT_TRUE(relay.answers[0].signature.empty());
    EXPECT_EQ(service.totals().refused, 1u);
}

TEST_F(KeyholderServiceTest, AllListenersGetTheSameTicketKeys) {
    Listener one(loop, service, 0), other(loop, service, 1);
    ASSERT_TRUE(run_until(loop, [&] { return one.tickets.size() + other.tickets.size() == 2; }));
    ASSERT_EQ(one.tickets[0].keys.size(), 1u);
    EXPECT_EQ(one.tickets[0].keys[0].name, other.tickets[0].keys[0].name);
    EXPECT_EQ(one.tickets[0].keys[0].encryption, other.tickets[0].keys[0].encryption);
}

TEST_F(KeyholderServiceTest, AKeyThatAReloadTookAwayIsForgotten) {
    Service forgetful(loop, 50ms);
    forgetful.set_keys(keys_with({&own}));
    forgetful.set_keys(keys_with({&next}));
    Listener listener(loop, forgetful, 0);
    listener.ask(own, 1);
    ASSERT_TRUE(listener.answered(1));
    EXPECT_FALSE(listener.answers[0].signature.empty()) << "not at once";
    run_until(loop, [end = loop.now() + 100ms, this] { return loop.now() > end; });
    listener.ask(own, 2);
    ASSERT_TRUE(listener.answered(2));
    EXPECT_TRUE(listener.answers[1].signature.empty());
}

TEST_F(KeyholderServiceTest, AHandshakeThatBeganBeforeAReloadIsStillSigned) {
    service.set_keys(keys_with({&own}));
    service.set_keys(keys_with({&next}));
    Listener listener(loop, service, 0);
    listener.ask(own, 1);
    listener.ask(next, 2);
    ASSERT_TRUE(listener.answered(2));
    EXPECT_FALSE(listener.answers[0].signature.empty());
    EXPECT_FALSE(listener.answers[1].signature.empty());
}

TEST_F(KeyholderServiceTest, AListenerThatIsAheadOfAReloadWaitsForTheKey) {
    service.set_keys(keys_with({&own}));
    Listener listener(loop, service, 0);
    listener.ask(next, 1);
    listener.ask(own, 2);
    ASSERT_TRUE(listener.answered(1));
    EXPECT_EQ(listener.answers[0].request, 2u) << "nobody else waits";
    service.set_keys(keys_with({&next}));
    ASSERT_TRUE(listener.answered(2));
    EXPECT_EQ(listener.answers[1].request, 1u);
    EXPECT_FALSE(listener.answers[1].signature.empty());
}

TEST_F(KeyholderServiceTest, AKeyThatDoesNotComeIsRefused) {
    Listener listener(loop, service, 0);
    listener.ask(last, 7);
    ASSERT_TRUE(listener.answered(1));
    EXPECT_EQ(listener.answers[0].request, 7u);
    EXPECT_TRUE(listener.answers[0].signature.empty());
    EXPECT_EQ(service.totals().refused, 1u);
}

TEST_F(KeyholderServiceTest, AListenerBeyondItsCreditIsCutOff) {
    service.set_keys(keys_with({&own}));
    Listener greedy(loop, service, 0), other(loop, service, 1);
    for (uint32_t i = 0; i <= ipc::signing_credit; ++i)
        greedy.ask(last, i);
    other.ask(own, 1);
    ASSERT_TRUE(run_until(loop, [&] { return greedy.closed; }));
    ASSERT_TRUE(other.answered(1));
    EXPECT_FALSE(other.closed);
}

TEST_F(KeyholderServiceTest, NobodyWaitsForAllOfAnothersQuestions) {
    service.set_keys(keys_with({&own}));
    Listener many(loop, service, 0), one(loop, service, 1);
    for (uint32_t i = 0; i < ipc::signing_credit; ++i)
        many.ask(own, i);
    one.ask(own, 1);
    ASSERT_TRUE(one.answered(1));
    EXPECT_LT(many.answers.size(), ipc::signing_credit / 2);
}

TEST_F(KeyholderServiceTest, AListenerThatAsksForMailToBeSignedIsRefused) {
    service.set_keys(keys_with({&own}));
    Listener listener(loop, service, 0);
    ipc::SignQuery query;
    query.key_id = key_id_of(*own.key);
    query.scheme = ipc::SignatureScheme::ecdsa_sha256;
    query.content = "from:postmaster@example.org\r\n";
    listener.channel->send(std::move(query));
    ASSERT_TRUE(listener.answered(1));
    EXPECT_TRUE(listener.answers[0].signature.empty());
    EXPECT_EQ(service.totals().refused, 1u);
}

} // namespace
} // namespace postern::keyholder::test
