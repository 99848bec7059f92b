#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/ipc/channel.h"
#include "common/ipc/requests.h"
#include "common/ipc/resolution.h"
#include "common/ipc/submission.h"

namespace postern::ipc {
namespace {

using namespace std::chrono_literals;

using QueueEnd = Channel<ListenerToQueue, QueueToListener>;
using ListenerEnd = Channel<QueueToListener, ListenerToQueue>;

// Both ends of one channel in one loop, and what each has seen.
struct Pair {
    Pair() {
        auto [one, other] = make_pair();
        queue = std::make_unique<QueueEnd>(
            loop, std::move(one),
            [this](ListenerToQueue&& message) {
                at_queue.push_back(std::move(message));
                check();
            },
            [this](const std::string& reason) {
                queue_closed = reason;
                loop.stop();
            });
        listener = std::make_unique<ListenerEnd>(
            loop, std::move(other),
            [this](QueueToListener&& message) {
                at_listener.push_back(std::move(message));
                check();
            },
            [this](const std::string& reason) {
                listener_closed = reason;
                loop.stop();
            });
    }
    void check() {
        if (at_queue.size() + at_listener.size() >= expected)
            loop.stop();
    }
    void run_until(size_t messages) {
        expected = messages;
        if (at_queue.size() + at_listener.size() < expected)
            loop.run();
    }

    EventLoop loop;
    size_t expected = 1;
    std::vector<ListenerToQueue> at_queue;
    std::vector<QueueToListener> at_listener;
    std::string queue_closed, listener_closed;
    std::unique_ptr<QueueEnd> queue;
    std::unique_ptr<ListenerEnd> listener;
};

// A process that ends does so with or without having read everything: its peers see no difference.
TEST(Channel, APeerThatEndsIsNoFailureOfTheChannel) {
    struct End final : Timer {
        void expired() override { socket = FileDescriptor(); }
        FileDescriptor socket;
    };
    for (const bool unread : {false, true}) {
        EventLoop loop;
        auto [ours, theirs] = make_pair();
        std::string closed;
        QueueEnd channel(
            loop, std::move(ours), [](ListenerToQueue&&) {},
            [&](const std::string& reason) {
                closed = reason;
                loop.stop();
            });
        if (unread)
            channel.send(Durable());
        End end;
        end.socket = std::move(theirs);
        end.arm(loop, loop.now() + 5ms);
        loop.run();
        EXPECT_EQ(closed, peer_closed) << unread;
    }
}

// Small content among the other bytes, large content from where it is.
TEST(Channel, CarriesMessagesInOrder) {
    Pair pair;
    const auto content = [](uint32_t i) {
        return std::string(i * 40, static_cast<char>('a' + i % 26));
    };
    for (uint32_t i = 0; i < 1000; ++i) {
        Submit submit;
        submit.request = i;
        submit.content.bytes = content(i);
        submit.file_length = i;
        pair.listener->send(std::move(submit));
    }
    pair.run_until(1000);
    for (uint32_t i = 0; i < 1000; ++i) {
        auto& submit = std::get<Submit>(pair.at_queue[i]);
        EXPECT_EQ(submit.request, i);
        EXPECT_EQ(submit.content.bytes, content(i));
        EXPECT_EQ(submit.file_length, i);
    }
    EXPECT_EQ(pair.listener->unsent(), 0u);
}

// Secrets leave nothing behind in the memory that all channels of a loop read into.
TEST(Channel, CanWipeItsPackets) {
    Pair pair;
    pair.listener->wipe_packets();
    pair.queue->wipe_packets();
    const std::string secret = "correct horse battery staple";
    std::string expected;
    for (uint32_t i = 0; i < 300; ++i) {
        Submit submit;
        submit.request = i;
        expected += secret; // beyond what is reserved for one packet, too
        submit.content.bytes = expected;
        pair.listener->send(std::move(submit));
    }
    pair.run_until(300);
    expected.clear();
    for (uint32_t i = 0; i < 300; ++i) {
        auto& submit = std::get<Submit>(pair.at_queue[i]);
        expected += secret;
        EXPECT_EQ(submit.request, i);
        EXPECT_EQ(submit.content.bytes, expected);
    }
    const Scratch scratch(pair.loop);
    const std::string_view left(scratch.bytes().data(), scratch.bytes().size());
    EXPECT_EQ(left.find("horse"), left.npos);
}

TEST(Channel, CarriesDescriptorsWithTheirMessages) {
    Pair pair;
    for (uint32_t i = 0; i < 200; ++i) {
        int fds[2];
        ASSERT_EQ(pipe(fds), 0);
        FileDescriptor reader(fds[0]), writer(fds[1]);
        ASSERT_EQ(write(writer.get(), &i, sizeof i), static_cast<ssize_t>(sizeof i));
        pair.queue->send(ContentFile{i, std::move(reader)});
        if (i % 3 == 0)
            pair.queue->send(Durable{i, 1});
    }
    pair.run_until(267);
    ASSERT_EQ(pair.listener_closed, "");
    for (QueueToListener& message : pair.at_listener)
        if (auto* file = std::get_if<ContentFile>(&message)) {
            uint32_t told = 0;
            ASSERT_EQ(read(file->file.get(), &told, sizeof told), 4);
            EXPECT_EQ(told, file->request);
        }
}

TEST(Channel, TheLargestMessageFits) {
    Pair pair;
    Submit submit;
    submit.content.bytes.assign(inline_content_limit, 'x');
    for (int i = 0; i < 1000; ++i)
        submit.envelope.recipients.push_back(std::string(256, 'r'));
    pair.listener->send(std::move(submit));
    pair.run_until(1);
    EXPECT_EQ(std::get<Submit>(pair.at_queue[0]).envelope.recipients.size(), 1000u);
}

TEST(Channel, SaysWhenThePeerIsGone) {
    Pair pair;
    pair.listener.reset();
    pair.loop.run();
    EXPECT_NE(pair.queue_closed, "");
    EXPECT_TRUE(pair.queue->closed());
    pair.queue->send(Durable{}); // dropped, without harm
}

TEST(Channel, AMalformedMessageEndsTheChannelOfItsSenderOnly) {
    const std::string_view rows[] = {
        std::string_view("\x01\0\0\0\x63", 5),           // an unknown alternative
        std::string_view("\xff\0\0\0\0", 5),             // a frame beyond the packet
        std::string_view("\0\0", 2),                     // no frame at all
        std::string_view("\0\0\0\0", 4),                 // an empty frame
        std::string_view("\x06\0\0\0\x02\1\0\0\0x", 10), // trailing bytes
    };
    for (std::string_view row : rows) {
        EventLoop loop;
        auto [one, other] = make_pair();
        std::string closed;
        int messages = 0;
        QueueEnd queue(
            loop, std::move(one), [&](ListenerToQueue&&) { ++messages; },
            [&](const std::string& reason) {
                closed = reason;
                loop.stop();
            });
        ASSERT_EQ(send(other.get(), row.data(), row.size(), 0), static_cast<ssize_t>(row.size()));
        loop.run();
        EXPECT_NE(closed, "");
        EXPECT_EQ(messages, 0);
    }
}

TEST(Channel, SurplusDescriptorsEndIt) {
    EventLoop loop;
    auto [one, other] = make_pair();
    std::string closed;
    QueueEnd queue(
        loop, std::move(one), [&](ListenerToQueue&&) {},
        [&](const std::string& reason) {
            closed = reason;
            loop.stop();
        });
    PacketChannel liar(
        loop, std::move(other), [](auto&&...) { return true; }, [](auto&&...) {});
    liar.send([](Packet& frame) {
        Encoder(frame).put(static_cast<const ListenerToQueue&>(Abandon{1}));
        frame.descriptors.emplace_back(open("/dev/null", O_RDONLY));
    });
    loop.run();
    EXPECT_EQ(closed, "surplus descriptors");
}

TEST(Channel, AHandlerMayDestroyIt) {
    EventLoop loop;
    auto [one, other] = make_pair();
    std::unique_ptr<QueueEnd> queue;
    int messages = 0;
    queue = std::make_unique<QueueEnd>(
        loop, std::move(one),
        [&](ListenerToQueue&&) {
            ++messages;
            queue.reset();
            loop.stop();
        },
        [](const std::string&) {});
    ListenerEnd listener(
        loop, std::move(other), [](QueueToListener&&) {}, [](const std::string&) {});
    listener.send(Abandon{1});
    listener.send(Abandon{2});
    loop.run();
    EXPECT_EQ(messages, 1);
}

struct Asker {
    EventLoop loop;
    Requests<ResolveAnswer> requests{loop, 2};
    TaskGroup group;
    std::vector<std::optional<ResolveAnswer>> answers;
    std::vector<ResolveQuery> sent;

    void ask(Duration limit) {
        group.spawn([](Asker& self, Duration limit) -> Task<void> {
            ResolveQuery query;
            auto send = [&self](ResolveQuery q) { self.sent.push_back(std::move(q)); };
            self.answers.push_back(co_await self.requests.ask(std::move(query), send, limit));
            self.loop.stop();
        }(*this, limit));
    }
};

TEST(Requests, GiveEachAskerItsAnswer) {
    Asker asker;
    asker.ask(10s);
    asker.ask(10s);
    ASSERT_EQ(asker.sent.size(), 2u);
    ResolveAnswer answer;
    answer.canonical_name = "second";
    asker.requests.answer(asker.sent[1].request, answer);
    asker.loop.run();
    ASSERT_EQ(asker.answers.size(), 1u);
    EXPECT_EQ(asker.answers[0]->canonical_name, "second");
    EXPECT_EQ(asker.requests.open(), 1u);
    asker.requests.answer(999, answer); // nobody's
    asker.requests.abandon();
    asker.loop.run();
    ASSERT_EQ(asker.answers.size(), 2u);
    EXPECT_FALSE(asker.answers[1]);
    EXPECT_EQ(asker.requests.open(), 0u);
}

// Many who ask at once are no reason to refuse some: they wait, first come, first served.
TEST(Requests, BeyondTheCreditWaitForTheirTurn) {
    Asker asker;
    for (int i = 0; i < 5; ++i)
        asker.ask(10s);
    EXPECT_EQ(asker.sent.size(), 2u);
    for (size_t i = 0; i < 5; ++i) {
        ASSERT_GT(asker.sent.size(), i);
        asker.requests.answer(asker.sent[i].request, ResolveAnswer());
        while (asker.answers.size() <= i)
            asker.loop.run();
        EXPECT_TRUE(asker.answers[i]);
        EXPECT_LE(asker.requests.open(), 2u);
    }
    EXPECT_EQ(asker.requests.open(), 0u);
}

TEST(Requests, BeyondTheCreditGiveUpAtTheirLimit) {
    Asker asker;
    asker.ask(10s);
    asker.ask(10s);
    asker.ask(5ms);
    asker.loop.run();
    ASSERT_EQ(asker.answers.size(), 1u);
    EXPECT_FALSE(asker.answers[0]);
    EXPECT_EQ(asker.sent.size(), 2u);
    asker.group.clear(); // those who were asked for are gone: their places are free
    asker.ask(10s);
    asker.ask(10s);
    EXPECT_EQ(asker.sent.size(), 4u);
}

// The peer has died: nothing is sent for those who waited, one that was just let in among them.
TEST(Requests, AbandonedWithThoseWhoWait) {
    Asker asker;
    for (int i = 0; i < 4; ++i)
        asker.ask(10s);
    asker.requests.answer(asker.sent[0].request, ResolveAnswer());
    asker.requests.abandon();
    while (asker.answers.size() < 4)
        asker.loop.run();
    EXPECT_EQ(asker.sent.size(), 2u);
    EXPECT_TRUE(asker.answers[0]);
    EXPECT_EQ(asker.requests.open(), 0u);
    asker.ask(10s);
    EXPECT_EQ(asker.sent.size(), 3u);
}

TEST(Requests, GiveUpAtTheirLimit) {
    Asker asker;
    asker.ask(5ms);
    asker.loop.run();
    ASSERT_EQ(asker.answers.size(), 1u);
    EXPECT_FALSE(asker.answers[0]);
    asker.requests.answer(asker.sent[0].request, ResolveAnswer()); // too late, and harmless
}

} // namespace
} // namespace postern::ipc
