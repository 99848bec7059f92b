// Binary content by BDAT (RFC 3030): octet for octet, and what becomes of each recipient.
#include "deliver/relay/transaction.h"

#include <gtest/gtest.h>

#include "common/smtp/limits.h"
#include "deliver/relay/content_transfer.h"
#include "regress/unit/relay/dialogue.h"

namespace postern::relay {
namespace {

using namespace std::chrono_literals;
using test::Dialogue;

const std::string offers = "S: 250-CHUNKING\n S: 250 BINARYMIME\n";
const std::string plain = "S: 220 mx\n C: EHLO relay.example\n S: 250-mx\n" + offers;
const std::string pipelining =
    "S: 220 mx\n C: EHLO relay.example\n S: 250-mx\n S: 250-PIPELINING\n" + offers;
const std::string lmtp =
    "S: 220 mx\n C: LHLO relay.example\n S: 250-mx\n S: 250-PIPELINING\n" + offers;
const std::string mail = "C: MAIL FROM:<a@s.example> BODY=BINARYMIME\n";
const std::string rcpt = "C: RCPT TO:<u@d.example>\n";
const std::string both = rcpt + "C: RCPT TO:<v@d.example>\n";
const std::string accepted = mail + both + "S: 250 ok\n S: 250 ok\n S: 250 ok\n";
const std::string leave = "C: QUIT\n S: 221 bye";

const std::string content("a: b\r\n\r\n.\n\r\0\r\n.\r\nno end", 23);
const std::string chunk = "C: BDAT 23 LAST\n C= a: b\\r\\n\\r\\n.\\n\\r\\0\\r\\n.\\r\\nno end\n";

struct BinaryDialogue : Dialogue {
    explicit BinaryDialogue(const std::string& script) : Dialogue(script) {
        parameters.body = Body::binary_mime;
        content = relay::content;
        eight_bit = true;
        recipients = {"u@d.example", "v@d.example"};
    }
};

void expect(const char* what, Dialogue& d, const std::string& verdicts) {
    ASSERT_TRUE(d.run()) << what;
    EXPECT_EQ(d.verdicts(), verdicts) << what;
    EXPECT_EQ(d.next_hop.errors(), "") << what;
}

// Lines of 1024 octets, so that a chunk is 1024 of them.
std::string long_content(size_t lines) {
    std::string result;
    for (size_t i = 0; i < lines; ++i)
        result += "." + std::string(1021, 'x') + "\r\n";
    return result;
}

TEST(Chunks, WithoutPipeliningEachCommandWaitsForItsReply) {
    BinaryDialogue d(plain + mail + "quiet\n S: 250 ok\n" + rcpt + "quiet\n S: 250 ok\n" + chunk +
                     "quiet\n S: 250 2.6.0 taken\n" + leave);
    d.recipients = {"u@d.example"};
    expect("plain", d, "u delivered 2.6.0");
    EXPECT_TRUE(d.usable);
}

// The content comes when the replies to RCPT are known: nobody wants it in vain.
TEST(Chunks, VerdictsForEachRecipient) {
    struct Row {
        const char* what;
        std::string script;
        const char* verdicts;
    };
    const Row rows[] = {
        {"both",
         mail + both + "quiet\n S: 250 ok\n S: 250 ok\n S: 250 ok\n" + chunk +
             "quiet\n S: 250 ok\n" + leave,
         "u delivered 2.0.0, v delivered 2.0.0"},
        {"one is unknown",
         mail + both + "S: 250 ok\n S: 550 5.1.1 no\n S: 250 ok\n" + chunk + "S: 250 ok\n" + leave,
         "u permanent 5.1.1, v delivered 2.0.0"},
        {"all refused: no BDAT",
         mail + both + "S: 250 ok\n S: 550 5.1.1 no\n S: 450 later\n" + leave,
         "u permanent 5.1.1, v temporary 4.0.0"},
        {"MAIL refused", mail + both + "S: 550 5.7.1 no\n S: 503 no\n S: 503 no\n" + leave,
         "u permanent 5.7.1, v permanent 5.7.1"},
        {"MAIL refused, and what follows is taken all the same",
         mail + both + "S: 550 5.7.1 no\n S: 250 ok\n S: 250 ok\n" + leave,
         "u permanent 5.7.1, v permanent 5.7.1"},
        {"the content refused for good", accepted + chunk + "S: 554 5.6.0 no\n" + leave,
         "u permanent 5.6.0, v permanent 5.6.0"},
        {"the content refused for now", accepted + chunk + "S: 451 4.3.0 no\n" + leave,
         "u temporary 4.3.0, v temporary 4.3.0"},
        {"closes before the content", accepted + "close", "u open 4.4.2, v open 4.4.2"},
        {"421 before the content", accepted + "S: 421 4.3.2 bye\n silence",
         "u open 4.3.2, v open 4.3.2"},
        {"lost after the content", accepted + chunk + "close",
         "u temporary 4.4.2, v temporary 4.4.2"},
        {"354 to the content", accepted + chunk + "S: 354 more\n stall",
         "u temporary 4.5.0, v temporary 4.5.0"},
    };
    for (const Row& row : rows) {
        BinaryDialogue d(pipelining + row.script);
        expect(row.what, d, row.verdicts);
    }
}

TEST(Chunks, LargeContentComesInSeveral) {
    BinaryDialogue d(pipelining + accepted + "C: BDAT 1048576\n C* 1024\n quiet\n S: 250 ok\n" +
                     "C: BDAT 1048576\n C* 1024\n quiet\n S: 250 ok\n C: BDAT 524288 LAST\n" +
                     "C* 512\n quiet\n S: 250 ok\n" + leave);
    d.content = long_content(2560);
    expect("2.5 MiB", d, "u delivered 2.0.0, v delivered 2.0.0");

    BinaryDialogue exactly(pipelining + accepted + "C: BDAT 1048576 LAST\n C* 1024\n quiet\n" +
                           "S: 250 ok\n" + leave);
    exactly.content = long_content(1024);
    expect("1 MiB", exactly, "u delivered 2.0.0, v delivered 2.0.0");

    BinaryDialogue empty(pipelining + accepted + "C: BDAT 0 LAST\n quiet\n S: 250 ok\n" + leave);
    empty.content = "";
    expect("empty", empty, "u delivered 2.0.0, v delivered 2.0.0");
}

// RFC 3030 2: no further chunk, and RSET before anything else.
TEST(Chunks, ARefusedChunkIsTheLast) {
    const std::string first = accepted + "C: BDAT 1048576\n C* 1024\n";
    struct Row {
        const char* what;
        std::string script;
        const char* verdicts;
        bool usable;
    };
    const Row rows[] = {
        {"for good", "S: 552 5.3.4 too big\n" + leave, "u permanent 5.3.4, v permanent 5.3.4",
         true},
        {"for now", "S: 452 4.3.1 full\n" + leave, "u temporary 4.3.1, v temporary 4.3.1", true},
        {"421", "S: 421 4.3.2 bye\n silence", "u open 4.3.2, v open 4.3.2", false},
        {"354", "S: 354 go on\n silence", "u open 4.5.0, v open 4.5.0", false},
        {"closes", "close", "u open 4.4.2, v open 4.4.2", false},
        {"says nothing", "stall", "u open 4.4.2, v open 4.4.2", false},
    };
    for (const Row& row : rows) {
        for (const std::string& greeting : {pipelining, lmtp}) {
            BinaryDialogue d(greeting + first + row.script);
            d.lmtp = greeting == lmtp;
            d.content = long_content(2048);
            expect(row.what, d, row.verdicts);
            EXPECT_EQ(d.usable, row.usable) << row.what;
            EXPECT_LE(d.time.elapsed(), limits::client_data_block + 10s) << row.what;
        }
    }

    BinaryDialogue twice(pipelining + first + "S: 452 4.3.1 full\n C: RSET\n" + mail + both +
                         "S: 250 reset\n S: 250 ok\n S: 250 ok\n S: 250 ok\n" +
                         "C: BDAT 1048576\n C* 1024\n S: 250 ok\n C: BDAT 1048576 LAST\n" +
                         "C* 1024\n S: 250 ok\n" + leave);
    twice.content = long_content(2048);
    twice.messages = 2;
    expect("another message", twice, "u delivered 2.0.0, v delivered 2.0.0");
}

TEST(Chunks, ARefusalAmidAChunk) {
    for (const char* end : {"close", "stall"}) {
        BinaryDialogue d(pipelining + accepted + "C: BDAT 1048576\n C* 10\n" +
                         "S: 552 5.3.4 too big\n" + end);
        d.content = long_content(2048);
        expect(end, d, "u permanent 5.3.4, v permanent 5.3.4");
        EXPECT_FALSE(d.usable);
    }
}

// RFC 2033 4.2, 4.3: behind LAST one reply for each recipient that was accepted.
TEST(Chunks, Lmtp) {
    struct Row {
        const char* what;
        std::string script;
        const char* verdicts;
    };
    const Row rows[] = {
        {"each has its reply", accepted + chunk + "S: 250 2.1.5 ok\n S: 452 4.2.2 full\n" + leave,
         "u delivered 2.1.5, v temporary 4.2.2"},
        {"only those accepted",
         mail + both + "S: 250 ok\n S: 550 5.1.1 no\n S: 250 ok\n" + chunk + "S: 250 ok\n" + leave,
         "u permanent 5.1.1, v delivered 2.0.0"},
        {"lost between the replies", accepted + chunk + "S: 250 ok\n close",
         "u delivered 2.0.0, v temporary 4.4.2"},
    };
    for (const Row& row : rows) {
        BinaryDialogue d(lmtp + row.script);
        d.lmtp = true;
        expect(row.what, d, row.verdicts);
    }
}

TEST(Chunks, ANextHopThatStopsReadingIsGivenUp) {
    BinaryDialogue d(pipelining + accepted + "deaf\n stall");
    d.content = long_content(2048);
    expect("deaf", d, "u open 4.4.2, v open 4.4.2");
    EXPECT_EQ(d.failure, "4.4.2 timed out while sending the content");
    EXPECT_EQ(d.time.elapsed(), limits::client_data_block);
}

TEST(Chunks, OnlyWhereBinaryContentMayGo) {
    for (const char* offered : {"CHUNKING", "BINARYMIME", "8BITMIME"}) {
        BinaryDialogue d(std::string("S: 220 mx\n C: EHLO relay.example\n S: 250-mx\n S: 250 ") +
                         offered + "\n" + leave);
        expect(offered, d, "u permanent 5.6.3, v permanent 5.6.3");
        EXPECT_TRUE(d.usable);
    }
}

// Content of which the second half cannot be read.
class BrokenContent final : public ContentSource {
  public:
    explicit BrokenContent(bool says_so) : says_so_(says_so) {}
    uint64_t size() const override { return 2048; }
    void rewind() override { at_ = 0; }
    Result<std::string_view> read() override {
        if (at_++ == 0)
            return std::string_view(half_);
        if (says_so_)
            return Error{"disk gone"};
        return std::string_view();
    }

  private:
    bool says_so_;
    int at_ = 0;
    std::string half_ = long_content(1);
};

// The next hop must not take it for a whole message.
TEST(Content, ThatCannotBeReadIsNotSentInPart) {
    BinaryDialogue binary(pipelining + accepted + "C: BDAT 2048 LAST\n C* 1\n silence");
    binary.source = std::make_unique<BrokenContent>(true);
    expect("BDAT", binary, "u temporary 4.3.0, v temporary 4.3.0");
    BinaryDialogue cut(pipelining + accepted + "C: BDAT 2048 LAST\n C* 1\n silence");
    cut.source = std::make_unique<BrokenContent>(false);
    expect("BDAT, cut short", cut, "u temporary 4.3.0, v temporary 4.3.0");
    EXPECT_EQ(cut.failure, "4.3.0 the content is too short");

    Dialogue text(pipelining + "C: MAIL FROM:<a@s.example>\n" + rcpt +
                  "C: DATA\n S: 250 ok\n S: 250 ok\n S: 354 go\n C* 1\n silence");
    text.source = std::make_unique<BrokenContent>(true);
    expect("DATA", text, "u temporary 4.3.0");
    EXPECT_EQ(text.failure, "4.3.0 disk gone");
}

} // namespace
} // namespace postern::relay
