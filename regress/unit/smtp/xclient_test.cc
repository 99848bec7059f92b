// Commands that are there on some listeners only: XCLIENT, ETRN, and the LHLO of LMTP.
#include <gtest/gtest.h>

#include "common/smtp/command.h"

namespace postern {
namespace {

Command parse(std::string_view line) {
    Extensions offered;
    offered.xclient = offered.etrn = true;
    return parse_command(line, offered);
}

template <class T> T expect(std::string_view line) {
    Command command = parse(line);
    if (T* found = std::get_if<T>(&command))
        return std::move(*found);
    ADD_FAILURE() << line << ": " << command.index();
    return T{};
}

int code(const Command& command) {
    const auto* error = std::get_if<CommandError>(&command);
    return error ? error->reply.code : 0;
}

TEST(Xclient, Attributes) {
    auto client = expect<XclientCommand>(
        "XCLIENT NAME=spike.example ADDR=192.0.2.1 PORT=25 PROTO=ESMTP HELO=spike.example "
        "LOGIN=Bob DESTADDR=192.0.2.2 DESTPORT=587");
    EXPECT_EQ(client.name, "spike.example");
    EXPECT_EQ(client.address, IpAddress::parse("192.0.2.1"));
    EXPECT_EQ(client.helo, "spike.example");
    EXPECT_EQ(client.extended, true);
    EXPECT_EQ(client.login, "bob");
    client = expect<XclientCommand>("xclient addr=IPv6:2001:db8::1 proto=smtp");
    EXPECT_EQ(client.address, IpAddress::parse("2001:db8::1"));
    EXPECT_EQ(client.extended, false);
    EXPECT_FALSE(client.name || client.helo || client.login);
}

TEST(Xclient, WhatIsNotKnownIsEmpty) {
    const auto client = expect<XclientCommand>(
        "XCLIENT NAME=[UNAVAILABLE] HELO=[tempunavail] LOGIN=[UNAVAILABLE] PORT=[UNAVAILABLE]");
    EXPECT_EQ(client.name, "");
    EXPECT_EQ(client.helo, "");
    EXPECT_EQ(client.login, "");
    EXPECT_FALSE(client.address);
}

TEST(Xclient, ValuesAreXtext) {
    EXPECT_EQ(expect<XclientCommand>("XCLIENT LOGIN=a+20b+2Bc HELO=+5B192.0.2.1+5D").login,
              "a b+c");
}

TEST(Xclient, BadOnes) {
    for (const char* line : {"XCLIENT",
                             "XCLIENT NAME",
                             "XCLIENT NAME=",
                             "XCLIENT FOO=bar",
                             "XCLIENT ADDR=host.example",
                             "XCLIENT ADDR=[UNAVAILABLE]",
                             "XCLIENT ADDR=2001:db8::1",
                             "XCLIENT ADDR=IPV6:192.0.2.1",
                             "XCLIENT ADDR=192.0.2.1 ADDR=192.0.2.2",
                             "XCLIENT NAME=a.example NAME=b.example",
                             "XCLIENT NAME=192.0.2.1",
                             "XCLIENT NAME=a..b",
                             "XCLIENT PORT=65536",
                             "XCLIENT PORT=x",
                             "XCLIENT PROTO=LMTP",
                             "XCLIENT PROTO=SMTP PROTO=ESMTP",
                             "XCLIENT HELO=a+0D+0Ab",
                             "XCLIENT LOGIN=+ff",
                             "XCLIENT LOGIN=+00",
                             "XCLIENT LOGIN=a+C3+A4",
                             "XCLIENT LOGIN=a=b+",
                             "XCLIENT DESTADDR=here"})
        EXPECT_EQ(code(parse(line)), 501) << line;
    EXPECT_EQ(code(parse("XCLIENT HELO=" + std::string(256, 'x'))), 501);
    EXPECT_EQ(code(parse_command("XCLIENT ADDR=192.0.2.1")), 502);
}

TEST(Etrn, Arguments) {
    auto etrn = expect<EtrnCommand>("ETRN Dest.Example");
    EXPECT_EQ(etrn.domain, "dest.example");
    EXPECT_FALSE(etrn.subdomains || etrn.is_queue);
    etrn = expect<EtrnCommand>("etrn @dest.example ");
    EXPECT_EQ(etrn.domain, "dest.example");
    EXPECT_TRUE(etrn.subdomains);
    EXPECT_TRUE(expect<EtrnCommand>("ETRN #uucp").is_queue);
    for (const char* line :
         {"ETRN", "ETRN @", "ETRN #", "ETRN a b", "ETRN a..b", "ETRN [192.0.2.1]", "ETRN @@a",
          "ETRN *.example", "ETRN a@b", "ETRN caf\xc3\xa9"})
        EXPECT_EQ(code(parse(line)), 501) << line;
    EXPECT_EQ(code(parse_command("ETRN dest.example")), 502);
}

TEST(Lhlo, IsTheHelloOfLmtpAlone) {
    Extensions lmtp;
    lmtp.lmtp = true;
    const Command hello = parse_command("LHLO client.example", lmtp);
    ASSERT_TRUE(std::holds_alternative<EhloCommand>(hello));
    EXPECT_EQ(std::get<EhloCommand>(hello).identity, "client.example");
    EXPECT_EQ(code(parse_command("EHLO client.example", lmtp)), 500);
    EXPECT_EQ(code(parse_command("HELO client.example", lmtp)), 500);
    EXPECT_EQ(code(parse_command("LHLO client.example")), 500);
}

} // namespace
} // namespace postern
