#include "smtpd/resolver/resolver.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "regress/support/simulated_time.h"
#include "regress/unit/resolver/packets.h"

namespace postern {
namespace {

using namespace std::chrono_literals;
using ipc::RecordType;
using ipc::ResolveStatus;

// Keeps the questions until the test answers; or answers at once, from inside ask().
class FakeBackend final : public DnsBackend {
  public:
    struct Notes {
        std::map<uint64_t, DnsQuestion> asked;
        std::set<uint64_t> cancelled;
        std::function<void(uint64_t)> on_ask;
    };
    explicit FakeBackend(Notes& notes) : notes_(notes) {}

    void ask(uint64_t id, const DnsQuestion& question) override {
        notes_.asked[id] = question;
        if (notes_.on_ask)
            notes_.on_ask(id);
    }
    void cancel(uint64_t id) override { notes_.cancelled.insert(id); }

  private:
    Notes& notes_;
};

class ResolverTest : public testing::Test {
  protected:
    ResolverTest() {
        resolver_.use_backend(std::make_unique<FakeBackend>(notes_));
        peer_ = resolver_.add_peer(
            [this](ipc::ResolveAnswer answer) { answers_.push_back(std::move(answer)); });
    }

    bool ask(const std::string& name, uint32_t request = 1, RecordType type = RecordType::a) {
        ipc::ResolveQuery query;
        query.request = request;
        query.type = type;
        query.name = name;
        return resolver_.ask(peer_, query);
    }
    void reply(uint64_t id, bool secure = false) {
        const std::string packet =
            test::make_packet({"a.test", LDNS_RR_TYPE_A, {"a.test A 192.0.2.1"}});
        DnsBackend::Reply reply;
        reply.failed = false;
        reply.packet = packet;
        reply.secure = secure;
        resolver_.reply(id, reply);
    }
    uint64_t asked() const { return notes_.asked.rbegin()->first; }

    test::SimulatedTime time_;
    Counters counters_;
    FakeBackend::Notes notes_;
    Resolver resolver_{time_, counters_, HostsFile::parse("192.0.2.7 listed.test"), 10s};
    Resolver::PeerId peer_ = 0;
    std::vector<ipc::ResolveAnswer> answers_;
};

TEST_F(ResolverTest, PassesOnWhatTheDnsSays) {
    ASSERT_TRUE(ask("A.test.", 7));
    EXPECT_EQ(notes_.asked[asked()].name, "a.test");
    EXPECT_TRUE(answers_.empty());
    reply(asked(), true);
    ASSERT_EQ(answers_.size(), 1u);
    EXPECT_EQ(answers_[0].request, 7u);
    EXPECT_EQ(answers_[0].status, ResolveStatus::ok);
    EXPECT_TRUE(answers_[0].secure);
    EXPECT_EQ(resolver_.open(), 0u);
    time_.advance(1min); // no time limit is left behind
    EXPECT_EQ(answers_.size(), 1u);
    EXPECT_EQ(counters_["resolver.queries"], 1u);
    EXPECT_EQ(counters_["resolver.failures"], 0u);
}

TEST_F(ResolverTest, TakesAnAnswerFromInsideTheQuestion) {
    notes_.on_ask = [this](uint64_t id) { reply(id); };
    ASSERT_TRUE(ask("a.test"));
    ASSERT_EQ(answers_.size(), 1u);
    EXPECT_FALSE(answers_[0].secure);
}

TEST_F(ResolverTest, AnswersFromTheHostsFileWithoutTheDns) {
    ASSERT_TRUE(ask("listed.test"));
    ASSERT_EQ(answers_.size(), 1u);
    EXPECT_EQ(answers_[0].records.at(0).address.to_string(), "192.0.2.7");
    EXPECT_TRUE(notes_.asked.empty());
}

TEST_F(ResolverTest, ImpossibleNamesDoNotExist) {
    ASSERT_TRUE(ask("a b.test"));
    ASSERT_EQ(answers_.size(), 1u);
    EXPECT_EQ(answers_[0].status, ResolveStatus::no_domain);
    EXPECT_TRUE(notes_.asked.empty());
}

TEST_F(ResolverTest, GivesUpInTime) {
    ASSERT_TRUE(ask("a.test", 3));
    time_.advance(9999ms);
    EXPECT_TRUE(answers_.empty());
    time_.advance(1ms);
    ASSERT_EQ(answers_.size(), 1u);
    EXPECT_EQ(answers_[0].request, 3u);
    EXPECT_EQ(answers_[0].status, ResolveStatus::temporary);
    EXPECT_TRUE(notes_.cancelled.contains(asked()));
    reply(asked()); // too late: nobody asks any more
    EXPECT_EQ(answers_.size(), 1u);
    EXPECT_EQ(counters_["resolver.failures"], 1u);
}

TEST_F(ResolverTest, DoesNotBelieveABogusAnswer) {
    ASSERT_TRUE(ask("a.test"));
    // As libunbound gives it: without an error, with the forged packet.
    const std::string packet =
        test::make_packet({"a.test", LDNS_RR_TYPE_A, {"a.test A 203.0.113.66"}});
    DnsBackend::Reply reply;
    reply.failed = false;
    reply.packet = packet;
    reply.bogus = true;
    reply.reason = "signature crypto failed";
    resolver_.reply(asked(), reply);
    ASSERT_EQ(answers_.size(), 1u);
    EXPECT_EQ(answers_[0].status, ResolveStatus::bogus);
    EXPECT_TRUE(answers_[0].records.empty());
    EXPECT_FALSE(answers_[0].secure);
    EXPECT_EQ(counters_["resolver.bogus"], 1u);
}

TEST_F(ResolverTest, AFailureIsTemporary) {
    ASSERT_TRUE(ask("a.test"));
    resolver_.reply(asked(), DnsBackend::Reply{});
    ASSERT_EQ(answers_.size(), 1u);
    EXPECT_EQ(answers_[0].status, ResolveStatus::temporary);
}

TEST_F(ResolverTest, APeerHasOnlyItsCredit) {
    for (uint32_t i = 0; i < ipc::resolution_credit; ++i)
        ASSERT_TRUE(ask("a.test", i));
    EXPECT_FALSE(ask("a.test"));
    // Another one is not concerned.
    const auto other = resolver_.add_peer([](ipc::ResolveAnswer) {});
    ipc::ResolveQuery query;
    query.name = "a.test";
    EXPECT_TRUE(resolver_.ask(other, query));
    // Each answer gives credit back.
    reply(notes_.asked.begin()->first);
    EXPECT_TRUE(ask("a.test"));
}

TEST_F(ResolverTest, ForgetsAPeerThatIsGone) {
    ASSERT_TRUE(ask("a.test"));
    resolver_.remove_peer(peer_);
    EXPECT_EQ(resolver_.open(), 0u);
    EXPECT_TRUE(notes_.cancelled.contains(asked()));
    time_.advance(1min);
    EXPECT_TRUE(answers_.empty());
    EXPECT_FALSE(ask("a.test"));
}

TEST_F(ResolverTest, AsksAgainWhenTheServersChange) {
    ASSERT_TRUE(ask("a.test", 1));
    ASSERT_TRUE(ask("b.test", 2));
    FakeBackend::Notes fresh;
    fresh.on_ask = [this](uint64_t id) { reply(id); }; // answers at once
    resolver_.use_backend(std::make_unique<FakeBackend>(fresh));
    EXPECT_EQ(fresh.asked.size(), 2u);
    EXPECT_EQ(answers_.size(), 2u);
    EXPECT_EQ(resolver_.open(), 0u);
    // The fixture's notes outlive this backend.
    resolver_.use_backend(std::make_unique<FakeBackend>(notes_));
}

} // namespace
} // namespace postern
