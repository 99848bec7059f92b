// Content on its way from the disk to a deliverer: what is damaged does not leave as if it were
// not.
#include <fcntl.h>
#include <filesystem>

#include "common/base/crc32c.h"
#include "queue/spool/posix_file_system.h"
#include "queue/spool/spool_state.h"
#include "regress/unit/queue/queue_lab.h"

namespace postern::test {
namespace {

const std::string large_content = "Subject: large\r\n\r\n" + std::string(400'000, 'y') + "\r\n";
// It is checked in more than one turn of the loop.
const std::string very_large_content = large_content + std::string(5'000'000, 'z') + "\r\n";

// A message with a file of its own, as one that was accepted before the process started.
uint64_t store_large(QueueLab& lab, const std::vector<std::string>& recipients,
                     const std::string& content = large_content) {
    StoredMessage message;
    message.envelope.reverse_path = "sender@from.example";
    message.envelope.recipients = recipients;
    message.envelope.accepted_at = lab.time.wall_seconds();
    auto file = lab.spool->create_content_file();
    std::vector<std::string_view> pieces{content};
    EXPECT_TRUE(file->file().write_at(0, pieces, false));
    const uint64_t id = lab.spool->next_id();
    EXPECT_TRUE(lab.spool->append_message(id, encode(message), std::move(*file), content.size(),
                                          crc32c(content)));
    lab.spool->commit();
    lab.run();
    lab.die();
    return id;
}

// The check of one that has been read from the spool is under way.
void begin_check(QueueLab& lab) {
    lab.open();
    lab.queue->load();
    lab.advance(1s);
    lab.connect_everybody();
    lab.run(); // it is routed; nobody has capacity yet
    lab.grant_capacity(10);
    lab.time.turn();
    EXPECT_EQ(lab.queue->table().recipients(Stage::in_flight), 1u);
    EXPECT_EQ(lab.handed_count(), 0u) << "it is checked first";
}

std::vector<std::string> handed_to(QueueLab& lab) {
    std::vector<std::string> all;
    for (const Handed& handed : lab.all_handed)
        for (const std::string& recipient : handed.recipients())
            all.push_back(recipient);
    std::sort(all.begin(), all.end());
    return all;
}

TEST(Content, LargeContentIsHandedOutWhenItIsWhole) {
    QueueLab lab;
    store_large(lab, {"a@one.example", "b@two.example"});
    lab.start();
    EXPECT_EQ(handed_to(lab), (std::vector<std::string>{"a@one.example", "b@two.example"}));
    EXPECT_EQ(lab.handed(0).deliver.file_length, large_content.size());
    EXPECT_TRUE(lab.files.names("corrupt").empty());
}

TEST(Content, WhatIsFoundDamagedForAnAliasIsSetAsideAndReported) {
    QueueLab lab;
    const uint64_t id = store_large(lab, {"list@here.example"}, very_large_content);
    ASSERT_TRUE(lab.files.flip_bit(content_path(id), 1'000'000 * 8));
    lab.route = [](const ipc::RouteQuery& query) {
        if (query.recipient != "list@here.example")
            return to_exchanger(query);
        ipc::RouteAnswer answer = verdict(query, ipc::RouteVerdict::expanded);
        answer.expanded.resize(1);
        answer.expanded[0].recipient = "x@one.example";
        return answer;
    };
    lab.start();
    lab.advance(1s);
    ASSERT_EQ(handed_to(lab), (std::vector<std::string>{"sender@from.example"}));
    EXPECT_NE(lab.handed(0).deliver.content.bytes.find("Status: 5.3.0"), std::string::npos);
    EXPECT_GE(lab.times_logged("a damaged message is set aside"), 1u);
}

TEST(Content, DamagedLargeContentIsSetAsideAndReported) {
    for (uint64_t at : {uint64_t{0}, uint64_t{200'000}, uint64_t{large_content.size() - 1}}) {
        SCOPED_TRACE(at);
        QueueLab lab;
        const uint64_t id = store_large(lab, {"a@one.example", "b@two.example"});
        ASSERT_TRUE(lab.files.flip_bit(content_path(id), at * 8));
        lab.start();
        lab.advance(1min);
        EXPECT_EQ(handed_to(lab), std::vector<std::string>{"sender@from.example"});
        const std::string report = lab.handed(0).deliver.content.bytes;
        for (const char* part : {"a@one.example", "b@two.example", "5.3.0", "damaged"})
            EXPECT_NE(report.find(part), std::string::npos) << part;
        EXPECT_GE(lab.times_logged("a damaged message is set aside"), 1u);
        EXPECT_EQ(lab.files.names("corrupt").size(), 2u) << "the record, and the content";
        lab.answer(lab.handed(0), delivered());
        lab.run();
        EXPECT_TRUE(lab.show_queue().empty());
        lab.lose_power(1);
        lab.start();
        EXPECT_TRUE(lab.show_queue().empty());
        EXPECT_EQ(lab.files.names("corrupt").size(), 2u);
    }
}

TEST(Content, DamagedSmallContentIsSetAsideAndReported) {
    QueueLab lab;
    lab.accept("sender@from.example", {"a@one.example"}, "Subject: x\r\n\r\nrather small\r\n");
    lab.answer(lab.handed(0), temporary()); // the first time it need not be read back
    const std::string bytes = lab.files.contents("segments/00000000");
    ASSERT_TRUE(lab.files.flip_bit("segments/00000000", bytes.find("rather small") * 8));
    lab.advance(1h);
    EXPECT_EQ(handed_to(lab), (std::vector<std::string>{"a@one.example", "sender@from.example"}));
    EXPECT_NE(lab.handed(1).deliver.content.bytes.find("5.3.0"), std::string::npos);
    EXPECT_EQ(lab.files.names("corrupt").size(), 1u);
}

TEST(Content, WhatCannotBeReadNowIsTriedLater) {
    QueueLab lab;
    store_large(lab, {"a@one.example"});
    lab.open();
    lab.queue->load();
    lab.advance(1s);
    lab.files.read_error = EIO;
    lab.connect_everybody();
    lab.advance(1s);
    ASSERT_EQ(lab.show_queue().size(), 1u);
    EXPECT_EQ(lab.show_queue()[0].state, ipc::RecipientState::deferred);
    lab.files.read_error = 0;
    lab.advance(10min);
    EXPECT_EQ(handed_to(lab), std::vector<std::string>{"a@one.example"});
    EXPECT_TRUE(lab.files.names("corrupt").empty());
}

TEST(Content, WhatChangesWhileItIsCheckedIsHeeded) {
    struct Case {
        const char* what;
        std::function<void(QueueLab&, uint64_t id)> meanwhile;
        std::vector<std::string> handed;
    };
    const std::vector<Case> cases = {
        {"nothing", [](QueueLab&, uint64_t) {}, {"a@one.example"}},
        {"removed",
         [](QueueLab& lab, uint64_t id) {
             ipc::Change remove;
             remove.kind = ipc::ChangeKind::remove;
             remove.message = id;
             ipc::Question question = remove;
             lab.admin->ask(question);
             lab.time.turn();
             EXPECT_TRUE(lab.collect());
             lab.time.turn();
             EXPECT_TRUE(lab.files.names("content").empty()) << "while it is being read";
         },
         {}},
        {"the relay dies and comes back",
         [](QueueLab& lab, uint64_t) {
             for (uint16_t relay : {1, 2})
                 lab.queue->disconnect_deliverer(relay);
             lab.advance(1s);
             lab.connect_deliverers();
             lab.grant_capacity(10);
         },
         {"a@one.example"}},
        {"the configuration changes",
         [](QueueLab& lab, uint64_t) {
             lab.route = [](const ipc::RouteQuery& query) {
                 return verdict(query, ipc::RouteVerdict::no_rule);
             };
             lab.queue->routing().changed();
         },
         {}},
    };
    for (const Case& c : cases) {
        SCOPED_TRACE(c.what);
        QueueLab lab({.capacity = 0});
        const uint64_t id = store_large(lab, {"a@one.example"}, very_large_content);
        begin_check(lab);
        c.meanwhile(lab, id);
        lab.advance(1s);
        EXPECT_EQ(handed_to(lab), c.handed);
        EXPECT_EQ(lab.times_logged("cannot be read"), 0u);
        lab.stop();
    }
}

TEST(Content, ACheckTakesNoTime) {
    QueueLab lab({.capacity = 0});
    store_large(lab, {"a@one.example"}, very_large_content);
    begin_check(lab);
    lab.run();
    EXPECT_EQ(handed_to(lab), std::vector<std::string>{"a@one.example"});
}

TEST(Content, ADrainWaitsForNoCheck) {
    QueueLab lab({.capacity = 0});
    store_large(lab, {"a@one.example"}, very_large_content);
    begin_check(lab);
    bool drained = false;
    lab.queue->drain(10s, [&] { drained = true; });
    lab.time.turn();
    EXPECT_TRUE(drained);
    EXPECT_EQ(lab.handed_count(), 0u);
    lab.die();
    lab.start();
    EXPECT_EQ(lab.show_queue().size(), 1u);
}

TEST(Content, LargeContentTravelsAsAFile) {
    const std::string directory =
        std::filesystem::temp_directory_path() / ("unit_queue." + std::to_string(getpid()));
    std::filesystem::create_directory(directory);
    auto disk = PosixFileSystem::open_directory(directory);
    ASSERT_TRUE(disk);
    {
        QueueLab::Options options;
        options.disk = disk->get();
        QueueLab lab(std::move(options));
        ipc::ContentFileRequest request;
        request.request = 1000;
        ASSERT_TRUE(lab.queue->intake().handle(0, request));
        auto& file = std::get<ipc::ContentFile>(lab.answers[1000]).file;
        EXPECT_EQ(fcntl(file.get(), F_GETFL) & O_ACCMODE, O_WRONLY);
        const std::string content(200'000, 'y');
        ASSERT_EQ(pwrite(file.get(), content.data(), content.size(), 0), 200'000);

        ipc::Submit submit;
        submit.request = 1000;
        submit.envelope.reverse_path = "a@from.example";
        submit.envelope.recipients = {"b@dest.example"};
        submit.file_length = content.size();
        submit.file_checksum = crc32c(content);
        ASSERT_TRUE(lab.queue->intake().handle(0, std::move(submit)));
        lab.advance(1ms);
        ASSERT_TRUE(std::holds_alternative<ipc::Durable>(lab.answers[1000]));
        ASSERT_EQ(lab.handed_count(), 1u);
        const ipc::Deliver& deliver = lab.handed(0).deliver;
        EXPECT_TRUE(deliver.content.bytes.empty());
        ASSERT_EQ(deliver.file.size(), 1u);
        EXPECT_EQ(fcntl(deliver.file[0].get(), F_GETFL) & O_ACCMODE, O_RDONLY);
        EXPECT_EQ(deliver.file_length, content.size());
        std::string read(content.size(), '\0');
        EXPECT_EQ(pread(deliver.file[0].get(), read.data(), read.size(),
                        static_cast<off_t>(deliver.file_offset)),
                  200'000);
        EXPECT_EQ(read, content);
        lab.answer(lab.handed(0), delivered());
        lab.run();
        EXPECT_TRUE(lab.show_queue().empty());
    }
    std::filesystem::remove_all(directory);
}

} // namespace
} // namespace postern::test
