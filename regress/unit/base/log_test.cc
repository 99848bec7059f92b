// Log lines on their way through the supervisor.
#include <gtest/gtest.h>

#include <sys/socket.h>

#include "common/base/file_descriptor.h"
#include "common/base/log.h"

namespace postern::log {
namespace {

TEST(ReadPacket, Table) {
    struct Row {
        const char* what;
        std::string_view packet;
        std::vector<Line> expected;
    };
    using namespace std::string_view_literals;
    const Row rows[] = {
        {"a line of ours", "<6>stopped", {{Level::info, "stopped"}}},
        {"lines of their own level",
         "<3>a\n<4>b\nc\n<6>d\n",
         {{Level::error, "a"}, {Level::warning, "b"}, {Level::warning, "c"}, {Level::info, "d"}}},
        {"warning", "<4>warning: b", {{Level::warning, "warning: b"}}},
        {"debug", "<7>debug: c", {{Level::debug, "debug: c"}}},
        {"a level that is none", "<9>a", {{Level::error, "<9>a"}}},
        {"nor one that stops the machine", "<0>a", {{Level::error, "<0>a"}}},
        {"last words of a library",
         "terminate called\n  what():  x\n",
         {{Level::error, "terminate called"}, {Level::error, "  what():  x"}}},
        {"control characters", "<6>a\x1b[2Jb\0c\xff\r"sv, {{Level::info, "a?[2Jb?c??"}}},
        {"UTF-8 stays, what only begins so does not",
         "<6>a\xc3\xa4\x80\xc3",
         {{Level::info, "a\xc3\xa4??"}}},
        {"nor what turns the line around",
         "<6>a\u202eb\u2028c\u0085d",
         {{Level::info, "a???b???c??d"}}},
        {"what is escaped stays so", "<6>a=\"\\x0a\"", {{Level::info, "a=\"\\x0a\""}}},
        {"nothing", "", {}},
        {"no text", "<6>\n\n", {}},
        {"half a level", "<6", {{Level::error, "<6"}}},
    };
    for (const Row& row : rows)
        EXPECT_EQ(read_packet(row.packet), (Packet{row.expected, 0})) << row.what;
}

TEST(Format, Values) {
    struct Row {
        std::string value;
        const char* written;
    };
    const Row rows[] = {
        {"plain", "plain"},
        {"", "\"\""},
        {"two words", "\"two words\""},
        {"a\"b\\c", "\"a\\\"b\\\\c\""},
        {"a\r\nb\x7f", "\"a\\x0d\\x0ab\\x7f\""},
        {"<j\u00fcrgen@xn--bcher-kva.example>", "\"<j\u00fcrgen@xn--bcher-kva.example>\""},
        {"\U0001f4ec", "\"\U0001f4ec\""},
        {"\xfc", "\"\\xfc\""},
        {"\xc3", "\"\\xc3\""},
        {"\u0085", "\"\\xc2\\x85\""},
        {"a\u202ez", "\"a\\xe2\\x80\\xaez\""},
        {"\u200d", "\"\\xe2\\x80\\x8d\""},
        {"\xed\xa0\x80", "\"\\xed\\xa0\\x80\""},
        {"\xc0\xaf", "\"\\xc0\\xaf\""},
    };
    for (const Row& row : rows)
        EXPECT_EQ(format(Level::info, "e", {{"k", row.value}}), std::string("e k=") + row.written);
    // What is too long is not cut within a character.
    std::string longer;
    for (int i = 0; i < 600; ++i)
        longer += "\u00fc";
    EXPECT_EQ(format(Level::info, "e", {{"k", "a" + longer}}),
              "e k=\"a" + longer.substr(0, 1022) + "\"...");
}

TEST(ReadPacket, HasAnEnd) {
    std::string packet = "<6>";
    for (size_t i = 0; i < 1000; ++i)
        packet += "a\n\n";
    const Packet many = read_packet(packet);
    EXPECT_EQ(many.lines, std::vector<Line>(packet_lines, Line{Level::info, "a"}));
    EXPECT_EQ(many.lost, 1000 - packet_lines);

    const std::string fits(line_limit, 'x');
    const Packet one = read_packet("<6>" + fits + "\n" + fits + "x");
    const std::string cut = fits.substr(3) + "...";
    EXPECT_EQ(one, (Packet{{{Level::info, fits}, {Level::info, cut}}, 0}));
}

// Standard error is a socket for as long as this lives.
class StandardError {
  public:
    StandardError() : before_(::dup(STDERR_FILENO)) {
        int ends[2];
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends), 0);
        ours_ = FileDescriptor(ends[0]);
        EXPECT_EQ(::dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
        ::close(ends[1]);
    }
    ~StandardError() { ::dup2(before_.get(), STDERR_FILENO); }

    // The next packet; empty: there is none.
    std::string take() {
        char buffer[4096];
        const ssize_t size = ::recv(ours_.get(), buffer, sizeof buffer, 0);
        return std::string(buffer, static_cast<size_t>(std::max<ssize_t>(size, 0)));
    }

  private:
    FileDescriptor before_;
    FileDescriptor ours_;
};

TEST(SupervisorOutput, LinesThatFindNoRoomAreCounted) {
    std::string first;
    std::vector<std::string> after;
    size_t waiting = 0, written = 0;
    {
        StandardError end;
        open("postern-test", Output::supervisor);
        error("no luck", {{"reason", "two\nlines"}});
        first = end.take();
        const std::string text(1000, 'x');
        for (; written < 10000; ++written)
            info(text); // more than a socket holds; nobody waits for room
        while (!end.take().empty())
            ++waiting;
        info("on we go");
        for (int i = 0; i < 3; ++i)
            after.push_back(end.take());
        open("postern-test", Output::standard_error);
    }
    EXPECT_EQ(first, "<3>error: no luck reason=\"two\\x0alines\"\n");
    EXPECT_LT(waiting, written);
    const std::string loss =
        "<4>warning: log lines were lost lines=" + std::to_string(written - waiting) + "\n";
    EXPECT_EQ(after, (std::vector<std::string>{loss, "<6>on we go\n", ""}));
}

TEST(SupervisorOutput, LinesThatAreHeldLeaveTogether) {
    std::vector<std::string> packets;
    StandardError end;
    open("postern-test", Output::supervisor);
    const auto take = [&] { packets.push_back(end.take()); };
    hold(true);
    info("a");
    info("b");
    take();
    flush();
    take();
    info("c");
    warning("d"); // waits for nobody
    take();
    for (size_t i = 0; i <= packet_lines; ++i)
        info("e");
    take();
    info("f");
    hold(false);
    take();
    info("g");
    take();
    open("postern-test", Output::standard_error);
    std::string many;
    for (size_t i = 0; i < packet_lines; ++i)
        many += "<6>e\n";
    EXPECT_EQ(packets, (std::vector<std::string>{"", "<6>a\n<6>b\n", "<6>c\n<4>warning: d\n", many,
                                                 "<6>e\n<6>f\n", "<6>g\n"}));
}

TEST(SupervisorOutput, NoPacketOfSeveralLinesIsLargerThanAPipeTakesInOnePiece) {
    StandardError end;
    open("postern-test", Output::supervisor);
    hold(true);
    const std::string text(1500, 'x');
    for (int i = 0; i < 3; ++i)
        info(text);
    hold(false);
    const std::string line = "<6>" + text + "\n";
    std::vector<std::string> packets = {end.take(), end.take(), end.take()};
    open("postern-test", Output::standard_error);
    EXPECT_EQ(packets, (std::vector<std::string>{line + line, line, ""}));
}

} // namespace
} // namespace postern::log
