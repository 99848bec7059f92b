// What smtpctl prints.
#include <gtest/gtest.h>

#include "smtpd/smtpctl/format.h"

namespace postern {
namespace {

TEST(Format, Durations) {
    const std::pair<int64_t, const char*> rows[] = {
        {-5, "0s"},
        {0, "0s"},
        {59, "59s"},
        {60, "1m"},
        {3599, "59m"},
        {3600, "1h"},
        {3600 * 5 + 60, "5h1m"},
        {86400, "1d"},
        {86400 * 3 + 7200, "3d2h"},
    };
    for (auto [seconds, text] : rows)
        EXPECT_EQ(format_duration(seconds), text);
}

TEST(Format, Destinations) {
    ipc::DestinationEntry entry;
    entry.destination = "dest.example from 192.0.2.1";
    entry.waiting = 7;
    entry.out = 2;
    entry.most = 20;
    EXPECT_EQ(format_destination(entry, 1000),
              "\"dest.example from 192.0.2.1\" open waiting=7 out=2 at-most=20\n");
    entry.destination = "dest.example";
    entry.state = ipc::DestinationState::held;
    entry.until = 1060;
    entry.reason = "4.4.1 connection refused";
    EXPECT_EQ(format_destination(entry, 1000),
              "dest.example held waiting=7 out=2 at-most=20 next=1m "
              "error=\"4.4.1 connection refused\"\n");
}

ipc::EnvelopeEntry example() {
    ipc::EnvelopeEntry entry;
    entry.message = 0x1a2b;
    entry.index = 2;
    entry.reverse_path = "a@b.example";
    entry.recipient = "c@d.example";
    entry.state = ipc::RecipientState::deferred;
    entry.accepted_at = 1000;
    entry.next_attempt = 1400;
    entry.expires_at = 1000 + 86400;
    entry.attempts = 3;
    entry.size = 4096;
    entry.last_error = "451 4.7.1 \"later\"";
    return entry;
}

TEST(Format, AnEnvelopeIsOneLine) {
    EXPECT_EQ(format_line(example(), 1100),
              "0000000000001a2b.2 deferred from=<a@b.example> to=<c@d.example> size=4096 age=1m "
              "next=5m expires=23h58m attempts=3 error=\"451 4.7.1 \\\"later\\\"\"\n");
}

TEST(Format, OfWhatCannotBeReadOnlyWhatIsKnownIsShown) {
    ipc::MessagePart part;
    ipc::EnvelopeEntry& entry = part.entries.emplace_back();
    entry.message = 0x1a2b;
    entry.state = ipc::RecipientState::unreadable;
    entry.accepted_at = 1000;
    entry.last_error = "4.3.0 unknown format";
    const std::string line =
        "0000000000001a2b.0 unreadable age=1m error=\"4.3.0 unknown format\"\n";
    EXPECT_EQ(format_line(entry, 1100), line);
    EXPECT_EQ(format_details(entry, 1100),
              "envelope: 0000000000001a2b.0\nstate: unreadable\naccepted: 1970-01-01T00:16:40Z\n"
              "last-error: \"4.3.0 unknown format\"\n");
    EXPECT_EQ(format_message(part, entry.message, 1100),
              "message: 0000000000001a2b\nenvelope: " + line);
    entry.next_attempt = 1400; // it may pass
    EXPECT_EQ(format_line(entry, 1100), "0000000000001a2b.0 unreadable age=1m next=5m "
                                        "error=\"4.3.0 unknown format\"\n");
    EXPECT_NE(format_details(entry, 1100)
                  .find("\nnext-attempt: \"1970-01-01T00:23:20Z, in 5m\"\nlast-error"),
              std::string::npos);
}

TEST(Format, AMessageThatIsHeldSaysUntilWhen) {
    ipc::MessagePart part;
    part.envelope.release_at = 2000;
    EXPECT_NE(
        format_message(part, 1, 1100).find("\nheld-until: \"1970-01-01T00:33:20Z, in 15m\"\n"),
        std::string::npos)
        << format_message(part, 1, 1100);
    EXPECT_EQ(format_message(part, 1, 2000).find("held-until"), std::string::npos);
}

TEST(Format, WhatANextHopSaidCannotForgeALine) {
    ipc::EnvelopeEntry entry = example();
    entry.last_error = "x\n0000000000000001.0 delivered\x1b[2J";
    std::string line = format_line(entry, 1100);
    EXPECT_EQ(line.find('\n'), line.size() - 1);
    EXPECT_EQ(line.find('\x1b'), std::string::npos);
    std::string details = format_details(entry, 1100);
    EXPECT_NE(details.find("last-error: \"x\\x0a"), std::string::npos) << details;
}

TEST(Format, AnInternationalizedAddressCanBeRead) {
    ipc::EnvelopeEntry entry = example();
    entry.reverse_path = "j\u00fcrgen@xn--bcher-kva.example";
    entry.recipient = "a\u202eb@x.example";
    const std::string line = format_line(entry, 1100);
    EXPECT_NE(line.find("from=\"<j\u00fcrgen@xn--bcher-kva.example>\" "
                        "to=\"<a\\xe2\\x80\\xaeb@x.example>\""),
              std::string::npos)
        << line;
}

TEST(Format, TheNullPathIsShownAsIt) {
    ipc::EnvelopeEntry entry = example();
    entry.reverse_path.clear();
    EXPECT_NE(format_line(entry, 1100).find("from=<>"), std::string::npos);
}

} // namespace
} // namespace postern
