// The deliverer between a queue and a supervisor that the test plays, in simulated time.
#include "deliver/local/deliverer.h"

#include <gtest/gtest.h>

#include <unistd.h>

#include "regress/support/simulated_time.h"

namespace postern {
namespace {

using namespace std::chrono_literals;
using ipc::RecipientStatus;

class DelivererTest : public testing::Test {
  protected:
    DelivererTest() { deliverer_.queue_connected(); }

    static ipc::Deliver order(uint64_t delivery, std::vector<std::string> addresses) {
        ipc::Deliver order;
        order.delivery = delivery;
        order.route.kind = ActionKind::maildir;
        order.route.action = "in";
        order.route.user = "alice";
        order.reverse_path = "from@far.test";
        order.content.bytes = "Subject: x\r\n\r\nbody\r\n";
        uint32_t index = 3;
        for (std::string& address : addresses)
            order.recipients.push_back({index++, std::move(address), {}, {}});
        return order;
    }
    void deliver(uint64_t delivery, std::vector<std::string> addresses = {"alice@here.test"}) {
        ASSERT_TRUE(deliverer_.deliver(order(delivery, std::move(addresses))));
        time_.run();
    }
    // The helper of this request ends, having said something.
    void end(size_t spawn, int status, const std::string& said = "",
             const std::string& error = "") {
        if (!said.empty()) {
            EXPECT_GT(write(spawned_.at(spawn).output.get(), said.data(), said.size()), 0);
        }
        ipc::Exited exited;
        exited.request = spawned_.at(spawn).request;
        exited.status = status;
        exited.error = error;
        deliverer_.exited(std::move(exited));
        time_.run();
    }

    test::SimulatedTime time_;
    Counters counters_;
    std::vector<ipc::Spawn> spawned_;
    std::vector<uint32_t> killed_;
    std::vector<ipc::Outcome> outcomes_;
    std::vector<uint32_t> capacities_;
    Deliverer deliverer_{time_,
                         counters_,
                         {.helpers = 2},
                         {.to_supervisor =
                              [this](ipc::ToSupervisor message) {
                                  if (auto* spawn = std::get_if<ipc::Spawn>(&message))
                                      spawned_.push_back(std::move(*spawn));
                                  else
                                      killed_.push_back(std::get<ipc::Kill>(message).request);
                              },
                          .to_queue =
                              [this](ipc::DelivererToQueue message) {
                                  if (auto* outcome = std::get_if<ipc::Outcome>(&message))
                                      outcomes_.push_back(std::move(*outcome));
                                  else
                                      capacities_.push_back(
                                          std::get<ipc::Capacity>(message).deliveries);
                              }}};
};

TEST_F(DelivererTest, RunsAHelperForTheRecipient) {
    EXPECT_EQ(capacities_, std::vector{2u});
    deliver(77);
    ASSERT_EQ(spawned_.size(), 1u);
    const ipc::Spawn& spawn = spawned_[0];
    EXPECT_EQ(spawn.action, "in");
    EXPECT_EQ(spawn.user, "alice");
    EXPECT_EQ(spawn.reverse_path, "from@far.test");
    EXPECT_EQ(spawn.recipient, "alice@here.test");
    char text[100];
    const ssize_t size = pread(spawn.content.get(), text, sizeof text, 0);
    EXPECT_EQ(std::string(text, static_cast<size_t>(size)), "Subject: x\r\n\r\nbody\r\n");
    EXPECT_EQ(lseek(spawn.content.get(), 0, SEEK_CUR), 0);
    EXPECT_TRUE(outcomes_.empty());

    end(0, 0);
    ASSERT_EQ(outcomes_.size(), 1u);
    EXPECT_EQ(outcomes_[0].delivery, 77u);
    EXPECT_FALSE(outcomes_[0].destination_down);
    ASSERT_EQ(outcomes_[0].recipients.size(), 1u);
    EXPECT_EQ(outcomes_[0].recipients[0].index, 3u);
    EXPECT_EQ(outcomes_[0].recipients[0].status, RecipientStatus::delivered);
    EXPECT_EQ(outcomes_[0].recipients[0].remote, "alice");
    EXPECT_EQ(counters_["local.delivered"], 1u);
    EXPECT_EQ(time_.until_next_timer(), Duration::max());
}

TEST_F(DelivererTest, EachRecipientHasItsOwnCopyAndOutcome) {
    deliver(1, {"a@here.test", "b@here.test", "c@here.test"});
    ASSERT_EQ(spawned_.size(), 1u); // one after the other
    end(0, 0);
    end(1, 75, "No space left on device\n");
    end(2, 67);
    ASSERT_EQ(outcomes_.size(), 1u);
    const auto& recipients = outcomes_[0].recipients;
    ASSERT_EQ(recipients.size(), 3u);
    EXPECT_EQ(recipients[0].status, RecipientStatus::delivered);
    EXPECT_EQ(recipients[1].status, RecipientStatus::temporary);
    EXPECT_EQ(recipients[1].diagnostic, "No space left on device");
    EXPECT_EQ(recipients[2].status, RecipientStatus::permanent);
    EXPECT_EQ(recipients[2].index, 5u);
}

// It has been in this mailbox before: somebody sends it back. Others of its recipients have not
// seen it.
TEST_F(DelivererTest, AForwardingLoopEndsHere) {
    ipc::Deliver looping = order(9, {"alice@here.test", "bob@here.test"});
    looping.content.bytes = "Received: x\r\nDelivered-To: Alice@here.test\r\n\r\nbody\r\n";
    ASSERT_TRUE(deliverer_.deliver(std::move(looping)));
    time_.run();
    ASSERT_EQ(spawned_.size(), 1u);
    EXPECT_EQ(spawned_[0].recipient, "bob@here.test");
    end(0, 0);
    const auto& recipients = outcomes_.at(0).recipients;
    EXPECT_EQ(recipients.at(0).status, RecipientStatus::permanent);
    EXPECT_EQ(recipients.at(0).enhanced, "5.4.6");
    EXPECT_EQ(recipients.at(1).status, RecipientStatus::delivered);
    EXPECT_EQ(counters_["local.permanent"], 1u);
}

// A command's end has meanings of its own, which only it can give.
TEST_F(DelivererTest, ACommandHasTheLastWord) {
    ipc::Deliver order = this->order(1, {"alice@here.test", "bob@here.test"});
    order.route.kind = ActionKind::mda;
    ASSERT_TRUE(deliverer_.deliver(std::move(order)));
    time_.run();
    end(0, 69, "the command ended with status 69: go away\n");
    end(1, 69, "", "who knows"); // the supervisor's
    const auto& recipients = outcomes_.at(0).recipients;
    EXPECT_EQ(recipients.at(0).status, RecipientStatus::permanent);
    EXPECT_EQ(recipients.at(0).diagnostic, "the command ended with status 69: go away");
    EXPECT_EQ(recipients.at(1).status, RecipientStatus::temporary);
}

TEST_F(DelivererTest, AForwardIsToldToTheQueue) {
    ipc::Forwarded forwarded;
    forwarded.targets = {{ipc::TargetKind::address, "bob@far.test", ""},
                         {ipc::TargetKind::mailbox, "alice", ""}};
    deliver(1);
    end(0, ipc::helper_forwarded, ipc::encode_bytes(forwarded));
    const ipc::RecipientOutcome& outcome = outcomes_.at(0).recipients.at(0);
    EXPECT_EQ(outcome.status, RecipientStatus::forwarded);
    EXPECT_EQ(outcome.enhanced, "2.0.0");
    EXPECT_EQ(outcome.diagnostic, "forwarded to 2 recipients");
    EXPECT_EQ(outcome.targets, forwarded.targets);
    EXPECT_EQ(counters_["local.forwarded"], 1u);
}

TEST_F(DelivererTest, WhatIsWrongWithAForwardIsNotForTheSender) {
    deliver(1);
    end(0, ipc::helper_forward_unusable, "/home/alice/.forward is for others to write to\n");
    const ipc::RecipientOutcome& outcome = outcomes_.at(0).recipients.at(0);
    EXPECT_EQ(outcome.status, RecipientStatus::temporary);
    EXPECT_EQ(outcome.enhanced, "4.2.0");
    EXPECT_EQ(outcome.diagnostic, "the user's .forward cannot be used");
}

// The helper is a process of the user's, and speaks for him alone.
TEST_F(DelivererTest, AForwardSpeaksForItsOwnerAlone) {
    struct {
        ipc::Target target;
        RecipientStatus status;
    } const cases[] = {
        {{ipc::TargetKind::address, "root@here.test", ""}, RecipientStatus::forwarded},
        {{ipc::TargetKind::mailbox, "alice", ""}, RecipientStatus::forwarded},
        {{ipc::TargetKind::mailbox, "bob", ""}, RecipientStatus::temporary},
        {{ipc::TargetKind::user, "alice", ""}, RecipientStatus::temporary},
        {{ipc::TargetKind::command, "id", "alice"}, RecipientStatus::forwarded},
        {{ipc::TargetKind::command, "id", "bob"}, RecipientStatus::temporary},
        {{ipc::TargetKind::command, "id", ""}, RecipientStatus::temporary},
        {{ipc::TargetKind::file, "/x", "alice"}, RecipientStatus::forwarded},
        {{ipc::TargetKind::file, "/x", "bob"}, RecipientStatus::temporary},
        {{ipc::TargetKind::file, "/x", ""}, RecipientStatus::temporary},
    };
    for (const auto& c : cases) {
        ipc::Forwarded forwarded;
        forwarded.targets = {{ipc::TargetKind::address, "alice@far.test", ""}, c.target};
        deliver(1);
        end(spawned_.size() - 1, ipc::helper_forwarded, ipc::encode_bytes(forwarded));
        EXPECT_EQ(outcomes_.back().recipients.at(0).status, c.status)
            << c.target.text << " " << c.target.user;
    }
}

// Nobody has asked it for a .forward.
TEST_F(DelivererTest, OnlyWhereAForwardIsLookedAtThereCanBeOne) {
    ipc::Forwarded forwarded;
    forwarded.targets = {{ipc::TargetKind::address, "alice@far.test", ""}};
    for (const ipc::Target& target : {ipc::Target{ipc::TargetKind::mailbox, "alice", ""},
                                      ipc::Target{ipc::TargetKind::command, "id", "alice"},
                                      ipc::Target{ipc::TargetKind::file, "/x", "alice"}}) {
        ipc::Deliver order = this->order(1, {"alice@here.test"});
        order.recipients[0].target = target;
        ASSERT_TRUE(deliverer_.deliver(std::move(order)));
        time_.run();
        end(spawned_.size() - 1, ipc::helper_forwarded, ipc::encode_bytes(forwarded));
        EXPECT_EQ(outcomes_.back().recipients.at(0).status, RecipientStatus::temporary);
        EXPECT_TRUE(outcomes_.back().recipients.at(0).targets.empty());
    }
}

TEST_F(DelivererTest, AForwardThatCannotBeIsForLater) {
    ipc::Forwarded none, many;
    many.targets.resize(ipc::forward_limit + 1, {ipc::TargetKind::address, "bob@far.test", ""});
    for (const std::string& said :
         {std::string("garbage"), ipc::encode_bytes(none), ipc::encode_bytes(many)}) {
        deliver(1);
        end(spawned_.size() - 1, ipc::helper_forwarded, said);
        EXPECT_EQ(outcomes_.back().recipients.at(0).status, RecipientStatus::temporary);
        EXPECT_TRUE(outcomes_.back().recipients.at(0).targets.empty());
    }
}

TEST_F(DelivererTest, ATargetIsForTheSupervisor) {
    using ipc::TargetKind;
    for (const ipc::Target& target : {ipc::Target{TargetKind::mailbox, "alice", ""},
                                      ipc::Target{TargetKind::command, "cat", "alice"},
                                      ipc::Target{TargetKind::file, "/home/alice/x", "alice"}}) {
        ipc::Deliver order = this->order(1, {"alice@here.test"});
        order.recipients[0].target = target;
        order.recipients[0].parameters.original_recipient = "rfc822;list@here.test";
        ASSERT_TRUE(deliverer_.deliver(std::move(order)));
        time_.run();
        ASSERT_FALSE(spawned_.empty());
        EXPECT_EQ(spawned_.back().target, target);
        EXPECT_EQ(spawned_.back().original_recipient, "rfc822;list@here.test");
        // A command says for itself what is wrong; a mailbox does not.
        end(spawned_.size() - 1, 69);
        EXPECT_EQ(outcomes_.back().recipients.at(0).status, target.kind == TargetKind::command
                                                                ? RecipientStatus::permanent
                                                                : RecipientStatus::temporary);
    }
}

TEST_F(DelivererTest, SaysWhyAHelperDidNotStart) {
    deliver(1);
    end(0, 75, "", "there is no user alice");
    EXPECT_EQ(outcomes_.at(0).recipients.at(0).diagnostic, "there is no user alice");
    EXPECT_EQ(outcomes_.at(0).recipients.at(0).status, RecipientStatus::temporary);
}

TEST_F(DelivererTest, KeepsABoundedPartOfWhatAHelperSays) {
    deliver(1);
    end(0, 75, std::string(30'000, 'x'));
    EXPECT_LE(outcomes_.at(0).recipients.at(0).diagnostic.size(), 500u);
}

TEST_F(DelivererTest, EndsAHelperThatTakesTooLong) {
    deliver(1);
    time_.advance(5min - 1ms);
    EXPECT_TRUE(killed_.empty());
    time_.advance(1ms);
    EXPECT_EQ(killed_, std::vector{spawned_[0].request});
    EXPECT_TRUE(outcomes_.empty());
    end(0, 75, "", "ended by signal 9");
    ASSERT_EQ(outcomes_.size(), 1u);
    EXPECT_EQ(outcomes_[0].recipients[0].status, RecipientStatus::temporary);
    EXPECT_EQ(outcomes_[0].recipients[0].diagnostic, "the delivery program took too long");
}

TEST_F(DelivererTest, AHelperThatFinishedAtTheLastMomentHasDelivered) {
    deliver(1);
    time_.advance(5min);
    end(0, 0);
    EXPECT_EQ(outcomes_.at(0).recipients.at(0).status, RecipientStatus::delivered);
}

TEST_F(DelivererTest, WaitsForNobodyForEver) {
    deliver(1);
    time_.advance(5min + 30s);
    ASSERT_EQ(outcomes_.size(), 1u);
    EXPECT_EQ(outcomes_[0].recipients[0].status, RecipientStatus::temporary);
    end(0, 0); // much too late: nobody waits
    EXPECT_EQ(outcomes_.size(), 1u);
    deliver(2);
    EXPECT_EQ(spawned_.size(), 2u);
}

TEST_F(DelivererTest, IgnoresAnExitThatWasNeverStarted) {
    ipc::Exited stranger;
    stranger.request = 4711;
    deliverer_.exited(std::move(stranger));
    time_.run();
    EXPECT_TRUE(outcomes_.empty());
}

TEST_F(DelivererTest, TheQueueHasNoMoreThanItsCapacity) {
    deliver(1);
    deliver(2);
    EXPECT_FALSE(deliverer_.deliver(order(3, {"a@here.test"})));
    end(0, 0);
    deliver(3);
    EXPECT_EQ(spawned_.size(), 3u);
}

TEST_F(DelivererTest, ChangedSettingsAreTold) {
    deliverer_.set_helpers(3);
    EXPECT_EQ(capacities_, (std::vector{2u, 3u}));
    deliver(1);
    deliver(2);
    deliver(3);
    EXPECT_EQ(spawned_.size(), 3u);
    // With fewer, what the queue has sent before it knew waits its turn.
    end(0, 0);
    deliverer_.set_helpers(1);
    deliver(4);
    EXPECT_EQ(spawned_.size(), 3u);
    end(1, 0);
    EXPECT_EQ(spawned_.size(), 3u);
    end(2, 0);
    EXPECT_EQ(spawned_.size(), 4u);
}

TEST_F(DelivererTest, WhatADeadQueueAskedForIsToldToNobody) {
    deliver(1);
    deliver(2);
    deliverer_.queue_lost();
    EXPECT_FALSE(deliverer_.deliver(order(3, {"a@here.test"})));
    deliverer_.queue_connected();
    // The new queue has its whole capacity, but the old helpers are still there: it waits.
    deliver(1);
    EXPECT_EQ(spawned_.size(), 2u);
    end(0, 0);
    EXPECT_TRUE(outcomes_.empty());
    EXPECT_EQ(spawned_.size(), 3u);
    end(1, 0);
    EXPECT_TRUE(outcomes_.empty());
    end(2, 0);
    EXPECT_EQ(outcomes_.size(), 1u);
}

TEST_F(DelivererTest, ARouteOfAnotherKindIsNotDelivered) {
    ipc::Deliver wrong = order(1, {"a@here.test"});
    wrong.route.kind = ActionKind::relay;
    ASSERT_TRUE(deliverer_.deliver(std::move(wrong)));
    EXPECT_TRUE(spawned_.empty());
    EXPECT_EQ(outcomes_.at(0).recipients.at(0).status, RecipientStatus::temporary);
}

TEST_F(DelivererTest, ContentThatCannotBeReadIsNotDelivered) {
    ipc::Deliver order = this->order(1, {"a@here.test"});
    order.file.emplace_back(dup(0));
    order.file_length = UINT64_MAX;
    ASSERT_TRUE(deliverer_.deliver(std::move(order)));
    EXPECT_TRUE(spawned_.empty());
    EXPECT_EQ(outcomes_.at(0).recipients.at(0).status, RecipientStatus::temporary);
}

TEST_F(DelivererTest, DrainWaitsForWhatIsUnderWay) {
    deliver(1);
    int drained = 0;
    deliverer_.drain([&] { ++drained; });
    EXPECT_EQ(drained, 0);
    end(0, 0);
    EXPECT_EQ(outcomes_.size(), 1u);
    EXPECT_EQ(drained, 1);
}

TEST_F(DelivererTest, WithNothingOpenDrainIsDoneAtOnce) {
    int drained = 0;
    deliverer_.drain([&] { ++drained; });
    EXPECT_EQ(drained, 1);
}

} // namespace
} // namespace postern
