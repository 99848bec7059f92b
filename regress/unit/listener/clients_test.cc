// The ends of the channels to the queue, lookup and the resolver: over real channels, with peers
// that answer, stay silent, lie and die.
#include <unistd.h>

#include "common/ipc/channel.h"
#include "regress/unit/listener/loop_support.h"
#include "smtpd/listener/lookup_client.h"
#include "smtpd/listener/queue_client.h"
#include "smtpd/listener/resolver_peer.h"

namespace postern::listener::test {
namespace {

using namespace std::chrono_literals;

// The other end of a channel; it keeps what came in.
template <class In, class Out> class Peer {
  public:
    explicit Peer(EventLoop& loop) : loop_(loop) {}
    FileDescriptor connect() {
        auto [ours, theirs] = ipc::make_pair();
        closed = false;
        channel = std::make_unique<ipc::Channel<In, Out>>(
            loop_, std::move(ours), [this](In&& message) { inbox.push_back(std::move(message)); },
            [this](const std::string&) { closed = true; });
        return std::move(theirs);
    }
    template <class M> M& got(size_t index) { return std::get<M>(inbox.at(index)); }
    template <class M> void send(M message) { channel->send(Out(std::move(message))); }

    std::unique_ptr<ipc::Channel<In, Out>> channel;
    std::vector<In> inbox;
    bool closed = false;

  private:
    EventLoop& loop_;
};

class QueueClientTest : public testing::Test {
  public:
    Task<void> submit(std::unique_ptr<ContentFile> file, Duration limit = 1min) {
        ipc::Submit message;
        message.content.bytes = "content";
        answers.push_back(co_await client.submit(std::move(message), std::move(file), limit));
    }
    Task<void> open(Duration limit = 1min, IpAddress whose = {}) {
        files.push_back(co_await client.open_content_file(whose, limit));
    }
    bool wait(const std::function<bool()>& condition) { return run_until(loop, condition); }
    void give_file(uint32_t request) {
        ipc::ContentFile file;
        file.request = request;
        file.file = FileDescriptor(dup(STDERR_FILENO));
        queue.send(std::move(file));
    }
    void open_one() {
        const size_t before = queue.inbox.size();
        tasks.spawn(open());
        wait([&] { return queue.inbox.size() > before; });
        give_file(queue.got<ipc::ContentFileRequest>(before).request);
        const size_t had = files.size();
        wait([&] { return files.size() > had; });
    }

    EventLoop loop;
    QueueClient client{loop, 4}; // two files, two messages
    Peer<ipc::ListenerToQueue, ipc::QueueToListener> queue{loop};
    std::vector<std::optional<Submission::Answer>> answers;
    std::vector<Submission::OpenedFile> files;
    TaskGroup tasks;
};

TEST_F(QueueClientTest, MessagesAreAnsweredInAnyOrder) {
    client.connect(queue.connect());
    tasks.spawn(submit(nullptr));
    tasks.spawn(submit(nullptr));
    ASSERT_TRUE(wait([&] { return queue.inbox.size() == 2; }));
    EXPECT_EQ(queue.got<ipc::Submit>(0).content.bytes, "content");
    ipc::Refused refused;
    refused.request = queue.got<ipc::Submit>(1).request;
    refused.code = 452;
    queue.send(refused);
    ipc::Durable durable;
    durable.request = queue.got<ipc::Submit>(0).request;
    durable.message = 77;
    queue.send(durable);
    ASSERT_TRUE(wait([&] { return answers.size() == 2; }));
    EXPECT_EQ(std::get<ipc::Refused>(*answers[0]).code, 452);
    EXPECT_EQ(std::get<ipc::Durable>(*answers[1]).message, 77u);
}

TEST_F(QueueClientTest, AFileIsSubmittedUnderItsOwnNumber) {
    client.connect(queue.connect());
    open_one();
    ASSERT_TRUE(files[0].file);
    EXPECT_EQ(client.open_files(), 1u);
    tasks.spawn(submit(std::move(files[0].file)));
    ASSERT_TRUE(wait([&] { return queue.inbox.size() == 2; }));
    EXPECT_EQ(queue.got<ipc::Submit>(1).request, queue.got<ipc::ContentFileRequest>(0).request);
    ipc::Durable durable;
    durable.request = queue.got<ipc::Submit>(1).request;
    queue.send(durable);
    ASSERT_TRUE(wait([&] { return answers.size() == 1; }));
    EXPECT_TRUE(answers[0]);
    EXPECT_EQ(client.open_files(), 0u);
}

// Of eight files a network has two, however long its clients take; others are not kept waiting.
TEST_F(QueueClientTest, ANetworkHasAShareOfTheFiles) {
    QueueClient client(loop, 16);
    std::vector<uint32_t> used;
    client.watch_files([&](uint32_t now, uint32_t limit) {
        EXPECT_EQ(limit, 8u);
        used.push_back(now);
    });
    client.connect(queue.connect());
    const auto open = [&](const char* whose, Duration limit = 1min) {
        tasks.spawn([](QueueClientTest& test, QueueClient& client, IpAddress whose,
                       Duration limit) -> Task<void> {
            test.files.push_back(co_await client.open_content_file(whose, limit));
        }(*this, client, *IpAddress::parse(whose), limit));
    };
    for (const char* whose : {"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.3.1",
                              "2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8:0:1::3"})
        open(whose);
    ASSERT_TRUE(wait([&] { return queue.inbox.size() == 6; }));
    open("192.0.2.5", 0s);
    ASSERT_TRUE(wait([&] { return files.size() == 1; }));
    EXPECT_FALSE(files[0].file) << "none came within the limit";
    for (size_t i = 0; i < 6; ++i)
        give_file(queue.got<ipc::ContentFileRequest>(i).request);
    ASSERT_TRUE(wait([&] { return files.size() == 7; }));
    EXPECT_EQ(client.open_files(), 6u);
    EXPECT_EQ(used, (std::vector<uint32_t>{1, 2, 3, 4, 5, 6}));
    files.clear(); // the next of each network have their turn
    ASSERT_TRUE(wait([&] { return queue.inbox.size() == 6 + 6 + 3; }));
    EXPECT_EQ(client.open_files(), 3u);
    tasks.clear();
    EXPECT_EQ(client.open_files(), 0u);
}

TEST_F(QueueClientTest, AFileNotSubmittedIsAbandoned) {
    client.connect(queue.connect());
    open_one();
    files.clear();
    ASSERT_TRUE(wait([&] { return queue.inbox.size() == 2; }));
    EXPECT_EQ(queue.got<ipc::Abandon>(1).request, queue.got<ipc::ContentFileRequest>(0).request);
}

TEST_F(QueueClientTest, AFileThatComesTooLateIsAbandoned) {
    client.connect(queue.connect());
    tasks.spawn(open());
    ASSERT_TRUE(wait([&] { return queue.inbox.size() == 1; }));
    tasks.clear(); // the session is gone
    give_file(queue.got<ipc::ContentFileRequest>(0).request);
    ASSERT_TRUE(wait([&] { return queue.inbox.size() == 2; }));
    EXPECT_EQ(queue.got<ipc::Abandon>(1).request, queue.got<ipc::ContentFileRequest>(0).request);
    EXPECT_EQ(client.open_files(), 0u);
}

TEST_F(QueueClientTest, WithoutAQueueThereIsNoAnswer) {
    tasks.spawn(submit(nullptr));
    tasks.spawn(open());
    ASSERT_TRUE(wait([&] { return answers.size() == 1 && files.size() == 1; }));
    EXPECT_FALSE(answers[0]);
    EXPECT_FALSE(files[0].file);
    EXPECT_FALSE(files[0].refused);
}

TEST_F(QueueClientTest, AQueueThatDiesAnswersNothing) {
    client.connect(queue.connect());
    open_one();
    tasks.spawn(submit(nullptr));
    ASSERT_TRUE(wait([&] { return queue.inbox.size() == 2; }));
    queue.channel.reset();
    ASSERT_TRUE(wait([&] { return answers.size() == 1; }));
    EXPECT_FALSE(answers[0]);
    // A file of the dead one is of no use to its successor.
    client.connect(queue.connect());
    queue.inbox.clear();
    tasks.spawn(submit(std::move(files[0].file)));
    ASSERT_TRUE(wait([&] { return answers.size() == 2; }));
    EXPECT_FALSE(answers[1]);
    tasks.spawn(submit(nullptr));
    ASSERT_TRUE(wait([&] { return queue.inbox.size() == 1; }));
    EXPECT_TRUE(std::holds_alternative<ipc::Submit>(queue.inbox[0]));
}

// The supervisor hands over a new channel: what was asked over the former is void.
TEST_F(QueueClientTest, ANewChannelReplacesTheFormer) {
    client.connect(queue.connect());
    tasks.spawn(submit(nullptr));
    Peer<ipc::ListenerToQueue, ipc::QueueToListener> successor(loop);
    client.connect(successor.connect());
    ASSERT_TRUE(wait([&] { return answers.size() == 1; }));
    EXPECT_FALSE(answers[0]);
}

TEST_F(QueueClientTest, NoAnswerInTime) {
    client.connect(queue.connect());
    tasks.spawn(submit(nullptr, 20ms));
    tasks.spawn(open(20ms));
    ASSERT_TRUE(wait([&] { return answers.size() == 1 && files.size() == 1; }));
    EXPECT_FALSE(answers[0]);
    EXPECT_FALSE(files[0].file);
}

// More than the queue allows is not asked for: the others wait their turn.
TEST_F(QueueClientTest, CreditIsNeverExceeded) {
    client.connect(queue.connect());
    for (int i = 0; i < 5; ++i)
        tasks.spawn(submit(nullptr));
    size_t answered = 0;
    while (answered < 5) {
        ASSERT_TRUE(wait([&] { return queue.inbox.size() >= std::min<size_t>(answered + 2, 5); }));
        EXPECT_LE(queue.inbox.size(), answered + 2);
        ipc::Durable durable;
        durable.request = queue.got<ipc::Submit>(answered++).request;
        queue.send(durable);
        ASSERT_TRUE(wait([&] { return answers.size() == answered; }));
        EXPECT_TRUE(answers.back());
    }
}

// Slow uploads do not keep small messages from the queue, and who waits in vain is told.
TEST_F(QueueClientTest, FilesAndMessagesHaveTheirOwnCredit) {
    client.connect(queue.connect());
    open_one();
    open_one();
    tasks.spawn(open(20ms));
    tasks.spawn(submit(nullptr));
    ASSERT_TRUE(wait([&] { return files.size() == 3 && queue.inbox.size() == 3; }));
    EXPECT_FALSE(files[2].file);
    EXPECT_TRUE(std::holds_alternative<ipc::Submit>(queue.inbox[2]));
    // One that waits gets what another gives back.
    tasks.spawn(open());
    files[0].file.reset();
    ASSERT_TRUE(wait([&] { return queue.inbox.size() == 5; }));
    EXPECT_TRUE(std::holds_alternative<ipc::Abandon>(queue.inbox[3]));
    EXPECT_TRUE(std::holds_alternative<ipc::ContentFileRequest>(queue.inbox[4]));
}

// A peer that lies: answers that nobody asked for, and those of the wrong kind.
TEST_F(QueueClientTest, NonsenseIsNoAnswer) {
    client.connect(queue.connect());
    ipc::Durable unasked;
    unasked.request = 4711;
    queue.send(unasked);
    tasks.spawn(submit(nullptr));
    ASSERT_TRUE(wait([&] { return queue.inbox.size() == 1; }));
    give_file(queue.got<ipc::Submit>(0).request);
    ASSERT_TRUE(wait([&] { return answers.size() == 1; }));
    EXPECT_FALSE(answers[0]);
}

TEST_F(QueueClientTest, ADomainsMailIsAskedFor) {
    client.connect(queue.connect());
    std::vector<std::optional<ipc::Woken>> woken;
    auto ask = [](QueueClient& client, std::vector<std::optional<ipc::Woken>>& woken,
                  Duration limit) -> Task<void> {
        ipc::Wake question;
        question.domain = "dest.example";
        woken.push_back(co_await client.wake(std::move(question), limit));
    };
    tasks.spawn(ask(client, woken, 1min));
    ASSERT_TRUE(wait([&] { return queue.inbox.size() == 1; }));
    EXPECT_EQ(queue.got<ipc::Wake>(0).domain, "dest.example");
    ipc::Woken answer;
    answer.request = queue.got<ipc::Wake>(0).request;
    answer.result = ipc::WakeResult::started;
    answer.messages = 7;
    queue.send(answer);
    ASSERT_TRUE(wait([&] { return woken.size() == 1; }));
    EXPECT_EQ(woken[0]->messages, 7u);
    // In vain: it is silent, answers something else, or dies.
    tasks.spawn(ask(client, woken, 20ms));
    ASSERT_TRUE(wait([&] { return woken.size() == 2; }));
    tasks.spawn(ask(client, woken, 1min));
    ASSERT_TRUE(wait([&] { return queue.inbox.size() == 3; }));
    ipc::Durable wrong;
    wrong.request = queue.got<ipc::Wake>(2).request;
    queue.send(wrong);
    ASSERT_TRUE(wait([&] { return woken.size() == 3; }));
    tasks.spawn(ask(client, woken, 1min));
    ASSERT_TRUE(wait([&] { return queue.inbox.size() == 4; }));
    queue.channel.reset();
    ASSERT_TRUE(wait([&] { return woken.size() == 4; }));
    for (size_t i : {1u, 2u, 3u})
        EXPECT_FALSE(woken[i]) << i;
}

TEST(LookupClientTest, VerdictsAndSilence) {
    EventLoop loop;
    LookupClient client(loop);
    Peer<ipc::ListenerToLookup, ipc::LookupToListener> lookup(loop);
    std::vector<ipc::RouteVerdict> verdicts;
    auto ask = [](LookupClient& client, std::vector<ipc::RouteVerdict>& verdicts,
                  Duration limit) -> Task<void> {
        ipc::RouteQuery query;
        query.recipient = "user@dest.example";
        const ipc::RouteAnswer answer = co_await client.route(std::move(query), limit);
        verdicts.push_back(answer.verdict);
    };
    TaskGroup tasks;
    tasks.spawn(ask(client, verdicts, 1min)); // there is no lookup yet
    client.connect(lookup.connect());
    tasks.spawn(ask(client, verdicts, 1min));
    tasks.spawn(ask(client, verdicts, 20ms));
    ASSERT_TRUE(run_until(loop, [&] { return verdicts.size() == 2 && lookup.inbox.size() == 2; }));
    EXPECT_EQ(lookup.got<ipc::RouteQuery>(0).recipient, "user@dest.example");
    ipc::RouteAnswer answer;
    answer.request = lookup.got<ipc::RouteQuery>(0).request;
    answer.verdict = ipc::RouteVerdict::accepted;
    lookup.send(answer);
    ASSERT_TRUE(run_until(loop, [&] { return verdicts.size() == 3; }));
    tasks.spawn(ask(client, verdicts, 1min));
    lookup.channel.reset();
    ASSERT_TRUE(run_until(loop, [&] { return verdicts.size() == 4; }));
    EXPECT_EQ(verdicts, (std::vector{ipc::RouteVerdict::temporary, ipc::RouteVerdict::temporary,
                                     ipc::RouteVerdict::accepted, ipc::RouteVerdict::temporary}));
}

TEST(LookupClientTest, PasswordsAndSenders) {
    EventLoop loop;
    LookupClient client(loop);
    Peer<ipc::ListenerToLookup, ipc::LookupToListener> lookup(loop);
    std::vector<ipc::AuthenticateAnswer> answers;
    std::vector<ipc::SenderVerdict> verdicts;
    auto authenticate = [](LookupClient& client,
                           std::vector<ipc::AuthenticateAnswer>& answers) -> Task<void> {
        ipc::Authenticate question;
        question.user = "bob";
        question.password = Secret("secret");
        answers.push_back(co_await client.authenticate(std::move(question), 1min));
    };
    auto check = [](LookupClient& client, std::vector<ipc::SenderVerdict>& verdicts) -> Task<void> {
        ipc::SenderQuery query;
        query.user = "bob";
        verdicts.push_back(co_await client.check_sender(std::move(query), 1min));
    };
    TaskGroup tasks;
    tasks.spawn(authenticate(client, answers)); // there is no lookup yet
    tasks.spawn(check(client, verdicts));
    client.connect(lookup.connect());
    // Their numbers may be the same: they do not get each other's answers.
    tasks.spawn(authenticate(client, answers));
    tasks.spawn(check(client, verdicts));
    ASSERT_TRUE(run_until(loop, [&] { return lookup.inbox.size() == 2; }));
    EXPECT_EQ(lookup.got<ipc::Authenticate>(0).password.view(), "secret");
    ipc::SenderAnswer owned;
    owned.request = lookup.got<ipc::SenderQuery>(1).request;
    owned.verdict = ipc::SenderVerdict::owned;
    lookup.send(owned);
    ASSERT_TRUE(run_until(loop, [&] { return verdicts.size() == 2; }));
    ipc::AuthenticateAnswer ok;
    ok.request = lookup.got<ipc::Authenticate>(0).request;
    ok.verdict = ipc::Authentication::ok;
    ok.user = "bob";
    lookup.send(ok);
    ASSERT_TRUE(run_until(loop, [&] { return answers.size() == 2; }));
    tasks.spawn(authenticate(client, answers));
    lookup.channel.reset();
    ASSERT_TRUE(run_until(loop, [&] { return answers.size() == 3; }));
    EXPECT_EQ(answers[0].verdict, ipc::Authentication::temporary);
    EXPECT_EQ(answers[1].verdict, ipc::Authentication::ok);
    EXPECT_EQ(answers[1].user, "bob");
    EXPECT_EQ(answers[2].verdict, ipc::Authentication::temporary);
    EXPECT_EQ(verdicts, (std::vector{ipc::SenderVerdict::temporary, ipc::SenderVerdict::owned}));
}

TEST(ResolverPeerTest, AnswersAndSilence) {
    EventLoop loop;
    ResolverPeer client(loop);
    Peer<ipc::ToResolver, ipc::FromResolver> resolver(loop);
    std::vector<ipc::ResolveAnswer> answers;
    auto ask = [](ResolverPeer& client, std::vector<ipc::ResolveAnswer>& answers) -> Task<void> {
        ipc::ResolveQuery query;
        query.name = "host.example";
        answers.push_back(co_await client.resolve(std::move(query), 1min));
    };
    TaskGroup tasks;
    tasks.spawn(ask(client, answers));
    client.connect(resolver.connect());
    tasks.spawn(ask(client, answers));
    tasks.spawn(ask(client, answers));
    ASSERT_TRUE(run_until(loop, [&] { return resolver.inbox.size() == 2; }));
    ipc::ResolveAnswer answer;
    answer.request = resolver.got<ipc::ResolveQuery>(1).request;
    answer.status = ipc::ResolveStatus::ok;
    answer.records.emplace_back().name = "record";
    resolver.send(answer);
    ASSERT_TRUE(run_until(loop, [&] { return answers.size() == 2; }));
    resolver.channel.reset();
    ASSERT_TRUE(run_until(loop, [&] { return answers.size() == 3; }));
    EXPECT_EQ(answers[0].status, ipc::ResolveStatus::temporary);
    EXPECT_EQ(answers[1].status, ipc::ResolveStatus::ok);
    EXPECT_EQ(answers[1].records.at(0).name, "record");
    EXPECT_EQ(answers[2].status, ipc::ResolveStatus::temporary);
}

} // namespace
} // namespace postern::listener::test
