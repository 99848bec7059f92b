// Clients whose bare CR and LF are taken for line ends, because the operator says so.
#include "regress/unit/listener/dialogue.h"

namespace postern::listener::test {
namespace {

class Normalised : public Dialogue {
  public:
    Normalised() { settings->addresses[0].normalise_from = {*Network::parse("192.0.2.0/24")}; }
    // Without our trace field.
    std::string received(size_t message = 0) {
        const std::string& content = queue.messages.at(message).content;
        return content.substr(content.find("+0000\r\n") + 7);
    }
};

TEST_F(Normalised, BareLineEndsBecomeCrlf) {
    begin_mail();
    play(R"(
        C: DATA
        S: 354 *
        C= Subject: x\n\nbody\rmore\n.\nMAIL FROM:<evil@client.example>\r\n.x\r.\r\n
        silence
        C: .
        S: 250 2.0.0 *
    )");
    EXPECT_EQ(received(), "Subject: x\r\n\r\nbody\r\nmore\r\n.\r\n"
                          "MAIL FROM:<evil@client.example>\r\nx\r\n.\r\n");
    const ipc::ContentTraits& traits = queue.messages[0].submit.traits;
    EXPECT_TRUE(traits.leading_dot);
    EXPECT_EQ(traits.header_length, queue.messages[0].content.find("body\r\n"))
        << "it ends where the result has its end";
    EXPECT_EQ(counters.refused_content, 0u);
}

// The end of the data is not theirs to choose.
TEST_F(Normalised, TheEndOfDataIsCrlfDotCrlfAlone) {
    struct {
        const char* ending; // with escapes, behind "text"
        const char* means;
    } const cases[] = {
        {R"(\n.\n)", "text\r\n.\r\nQUIT\r\n"},  {R"(\n.\r\n)", "text\r\n.\r\nQUIT\r\n"},
        {R"(\r.\r)", "text\r\n.\r\nQUIT\r\n"},  {R"(\r\n.\n)", "text\r\n\r\nQUIT\r\n"},
        {R"(\r\n.\r)", "text\r\n\r\nQUIT\r\n"}, {R"(\r\n..\n)", "text\r\n.\r\nQUIT\r\n"},
    };
    for (const auto& c : cases) {
        connect();
        begin_mail();
        play(std::string("C: DATA\nS: 354 *\nC= text") + c.ending +
             "QUIT\\r\\n\nsilence\nC= .\\r\\n\nS: 250 2.0.0 *\nC: NOOP\nS: 250 *\n");
        EXPECT_EQ(received(queue.messages.size() - 1), c.means) << c.ending;
        EXPECT_EQ(queue.messages.back().submit.traits.leading_dot,
                  std::string(c.means).find("\n.") != std::string::npos);
    }
}

TEST_F(Normalised, InChunksToo) {
    begin_mail();
    play(R"(
        C= BDAT 3\r\na\n\r
        S: 250 2.0.0 3 octets received
        C= BDAT 4 LAST\r\n\n.\nb
        S: 250 2.0.0 *
    )");
    EXPECT_EQ(received(), "a\r\n\r\n.\r\nb\r\n");
    EXPECT_TRUE(queue.messages[0].submit.traits.leading_dot);
}

TEST_F(Normalised, BinaryContentIsLeftAlone) {
    settings->addresses[0].extensions.binary_mime = true;
    greet();
    play(R"(
        C: MAIL FROM:<a@client.example> BODY=BINARYMIME
        S: 250 *
        C: RCPT TO:<user@dest.example>
        S: 250 *
        C= BDAT 4 LAST\r\na\n\rb
        S: 250 2.0.0 *
    )");
    EXPECT_EQ(received(), "a\n\rb");
}

TEST_F(Normalised, TheLimitIsForTheResult) {
    settings->max_message_size = 1000;
    begin_mail();
    play("C: DATA\nS: 354 *");
    send(std::string(990, '\n') + "\r\n.\r\n");
    play("S: 552 5.3.4 *\nC: NOOP\nS: 250 *");
    EXPECT_EQ(counters.refused_size, 1u);
}

// NULs and lines without end are no line ends.
TEST_F(Normalised, TheRestIsJudgedAsEver) {
    begin_mail();
    send("DATA\r\n");
    receive();
    send(std::string("a\n\0b\r\n.\r\n", 9));
    play("S: 550 5.6.0 *");
}

TEST_F(Normalised, NobodyElse) {
    client_address = *IpAddress::parse("198.51.100.7");
    begin_mail();
    play("C: DATA\nS: 354 *\nC= text\\n\\r\\n.\\r\\n\nS: 550 5.6.0 *");
}

} // namespace
} // namespace postern::listener::test
