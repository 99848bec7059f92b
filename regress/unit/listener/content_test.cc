// The content of messages: where it ends, what is refused, and how it travels to the queue.
#include "common/base/crc32c.h"
#include "regress/unit/listener/dialogue.h"

namespace postern::listener::test {
namespace {

class Content : public Dialogue {
  public:
    void begin_data() {
        begin_mail();
        play("C: DATA\nS: 354 *");
    }
    // Without our trace field.
    std::string received(size_t message = 0) {
        const std::string& content = queue.messages.at(message).content;
        return content.substr(content.find("+0000\r\n") + 7);
    }
};

// SMTP smuggling: what one server takes for the end of the data must not be something that another
// takes for a part of it. Here the end is CRLF.CRLF and nothing else, and whatever could be read
// otherwise is refused after its real end, in step.
struct Smuggled {
    const char* ending; // with escapes, behind "text"
};
class Smuggling : public Dialogue, public testing::WithParamInterface<Smuggled> {};

TEST_P(Smuggling, IsPartOfTheContentAndRefused) {
    begin_mail();
    play(std::string("C: DATA\nS: 354 *\nC= text") + GetParam().ending +
         "MAIL FROM:<evil@client.example>\\r\\nRCPT TO:<victim@dest.example>\\r\\nDATA\\r\\n"
         "\nsilence\nC= \\r\\n.\\r\\n\nS: 550 5.6.0 *\nC: NOOP\nS: 250 2.0.0 Ok\n");
    EXPECT_EQ(queue.messages.size(), 0u);
    EXPECT_EQ(counters.refused_content, 1u);
}

INSTANTIATE_TEST_SUITE_P(Table, Smuggling,
                         testing::Values(Smuggled{R"(\n.\n)"}, Smuggled{R"(\n.\r\n)"},
                                         Smuggled{R"(\r\n.\n)"}, Smuggled{R"(\r.\r)"},
                                         Smuggled{R"(\r\n.\r)"}, Smuggled{R"(\r.\r\n)"},
                                         Smuggled{R"(\n.\r)"}, Smuggled{R"(\r.\n)"},
                                         Smuggled{R"(\r\r\n.\r\r\n)"}, Smuggled{R"(\n\n.\n\n)"},
                                         Smuggled{R"(\0\r\n.\r\0\n)"}));

TEST_F(Content, DotsAreUnstuffed) {
    begin_data();
    play(R"(
        C: ..
        C: ...x
        C: a.
        C: .
        S: 250 2.0.0 *
    )");
    EXPECT_EQ(received(), ".\r\n..x\r\na.\r\n");
}

TEST_F(Content, InPiecesOfOneByte) {
    begin_data();
    for (char c : std::string_view("Subject: x\r\n\r\n..body\r\n.\r\nNOOP\r\n"))
        send({&c, 1});
    play("S: 250 2.0.0 *\nS: 250 2.0.0 Ok");
    EXPECT_EQ(received(), "Subject: x\r\n\r\n.body\r\n");
    EXPECT_FALSE(queue.messages[0].in_file);
}

TEST_F(Content, EightBitsAreKeptWithoutBeingDeclared) {
    begin_data();
    play(R"(
        C= Subject: caf\xc3\xa9\r\n
        C: .
        S: 250 2.0.0 *
    )");
    EXPECT_EQ(received(), "Subject: caf\xc3\xa9\r\n");
    EXPECT_TRUE(queue.messages[0].submit.traits.eight_bit);
    EXPECT_EQ(queue.messages[0].submit.envelope.parameters.body, Body::seven_bit);
}

TEST_F(Content, ANulIsRefused) {
    begin_data();
    send(std::string("a\r\n\0.\r\nb\r\n.\r\n", 13));
    play("S: 550 5.6.0 *\nC: NOOP\nS: 250 *");
}

TEST_F(Content, LinesOverTheStandardAreTakenWithinReason) {
    settings->max_message_size = 8 * 1024 * 1024;
    begin_data();
    send(std::string(100'000, 'x') + "\r\n.\r\n");
    play("S: 250 2.0.0 *");
    play("C: MAIL FROM:<>\nS: 250 *\nC: RCPT TO:<a@dest.example>\nS: 250 *\nC: DATA\nS: 354 *");
    send(std::string(limits::tolerated_text_line + 1, 'x') + "\r\n.\r\n");
    play("S: 550 5.6.0 *\nC: NOOP\nS: 250 *");
    EXPECT_EQ(queue.messages.size(), 1u);
    EXPECT_EQ(queue.files_given_back, 1);
}

// As much as fits travels inside Submit; one byte more, and all of it goes into a file.
TEST_F(Content, LargeContentTravelsInAFile) {
    settings->max_message_size = 0; // no limit
    begin_data();
    std::string header = "Subject: large\r\n\r\n";
    std::string body;
    while (body.size() < 700'000)
        body += "line " + std::to_string(body.size()) + "\r\n";
    send(header + body + ".\r\n");
    play("S: 250 2.0.0 *");
    ASSERT_EQ(queue.messages.size(), 1u);
    const auto& message = queue.messages[0];
    EXPECT_TRUE(message.in_file);
    EXPECT_EQ(received(), header + body);
    EXPECT_EQ(message.submit.content.bytes, "");
    EXPECT_EQ(message.submit.file_length, message.content.size());
    EXPECT_EQ(message.submit.file_checksum, crc32c(message.content));
    EXPECT_EQ(message.submit.traits.header_length, message.content.size() - body.size());
    EXPECT_EQ(queue.files_given_back, 0);
}

TEST_F(Content, TheBorderBetweenInlineAndFile) {
    const size_t trace = [&] {
        begin_data();
        play("C: .\nS: 250 2.0.0 *");
        return queue.messages[0].content.size();
    }();
    for (size_t excess : {0u, 1u}) {
        play("C: MAIL FROM:<>\nS: 250 *\nC: RCPT TO:<user@dest.example>\nS: 250 *\n"
             "C: DATA\nS: 354 *");
        const size_t length = ipc::inline_content_limit - trace + excess;
        send(std::string(length - 2, 'x') + "\r\n.\r\n");
        play("S: 250 2.0.0 *");
        EXPECT_EQ(queue.messages.back().in_file, excess == 1);
        EXPECT_EQ(queue.messages.back().content.size(), ipc::inline_content_limit + excess);
    }
}

// A last line that is not ended gets its end when all has been seen.
TEST_F(Content, TheBorderBetweenInlineAndFileByChunks) {
    begin_data();
    play("C: .\nS: 250 2.0.0 *");
    const size_t trace = queue.messages[0].content.size();
    for (size_t missing = 0; missing < 4; ++missing) {
        play("C: MAIL FROM:<>\nS: 250 *\nC: RCPT TO:<user@dest.example>\nS: 250 *");
        const size_t length = ipc::inline_content_limit - trace - missing;
        send("BDAT " + std::to_string(length) + " LAST\r\n" + std::string(length, 'x'));
        play("S: 250 2.0.0 *");
        EXPECT_EQ(queue.messages.back().in_file, missing < 2) << missing;
        EXPECT_EQ(queue.messages.back().content.size(), ipc::inline_content_limit - missing + 2);
    }
}

TEST_F(Content, OverTheSizeLimit) {
    settings->max_message_size = 200'000;
    begin_data();
    send(std::string(199'998, 'x') + "\r\n.\r\n");
    play("S: 250 2.0.0 *");
    play("C: MAIL FROM:<>\nS: 250 *\nC: RCPT TO:<a@dest.example>\nS: 250 *\nC: DATA\nS: 354 *");
    send(std::string(199'999, 'x') + "\r\n.\r\n");
    play("S: 552 5.3.4 Message too big: the limit is 200000 octets\nC: NOOP\nS: 250 *");
    EXPECT_EQ(queue.messages.size(), 1u);
    EXPECT_EQ(queue.files_given_back, 1);
    EXPECT_EQ(counters.refused_size, 1u);
}

TEST_F(Content, FarOverTheSizeLimitIsNotReadToItsEnd) {
    settings->max_message_size = 100'000;
    begin_data();
    for (int i = 0; i < 100 && !is_over; ++i)
        send(std::string(32 * 1024, 'x'));
    play("S: 552 5.3.4 *\nclosed");
    EXPECT_EQ(queue.messages.size(), 0u);
}

struct FileTrouble {
    const char* name;
    void (*make)(FakeQueue&);
    const char* reply;
};
class FileTroubles : public Dialogue, public testing::WithParamInterface<FileTrouble> {};

// The content is read to its end all the same, so that the reply comes in step.
TEST_P(FileTroubles, AreReportedAtTheEndOfTheData) {
    begin_mail();
    GetParam().make(queue);
    play("C: DATA\nS: 354 *");
    send(std::string(300'000, 'x'));
    play("pass 1m\nsilence");
    send(std::string(300'000, 'x') + "\r\n.\r\n");
    play(std::string("S: ") + GetParam().reply + "\nC: NOOP\nS: 250 2.0.0 Ok");
    EXPECT_EQ(queue.messages.size(), 0u);
    EXPECT_EQ(queue.files_opened, queue.files_given_back);
    EXPECT_EQ(counters.refused_queue, 1u);
}

INSTANTIATE_TEST_SUITE_P(
    Table, FileTroubles,
    testing::Values(
        FileTrouble{
            "refused",
            [](FakeQueue& queue) { queue.file_refusal = refused(452, "4.3.1", "No space"); },
            "452 4.3.1 No space"},
        FileTrouble{"gone", [](FakeQueue& queue) { queue.files_gone = true; }, "451 4.3.0 *"},
        FileTrouble{"silent", [](FakeQueue& queue) { queue.silent = true; }, "451 4.3.0 *"},
        FileTrouble{"disk full", [](FakeQueue& queue) { queue.disk_full = true; }, "452 4.3.1 *"}),
    [](const auto& info) {
        std::string name = info.param.name;
        std::replace(name.begin(), name.end(), ' ', '_');
        return name;
    });

// The last bytes are written when the end of the data is there; that can fail too.
TEST_F(Content, TheDiskIsFullAtTheVeryEnd) {
    begin_mail();
    queue.disk_full = true;
    ContentSink sink(queue);
    postern::TaskGroup tasks;
    sink.append(std::string(ipc::inline_content_limit + 1, 'x'));
    ASSERT_TRUE(sink.needs_settling());
    tasks.spawn(sink.settle());
    ASSERT_TRUE(sink.failure());
    EXPECT_EQ(sink.failure()->code, 452);
    ipc::Submit submit;
    EXPECT_EQ(sink.finish(submit), nullptr);
    EXPECT_EQ(queue.files_given_back, 1);
}

} // namespace
} // namespace postern::listener::test
