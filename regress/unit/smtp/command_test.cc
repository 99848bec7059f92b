// Command lines, good and bad, with the replies that the bad ones get.
#include "common/smtp/command.h"
#include "common/smtp/limits.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

using namespace std::string_literals; // for strings with a NUL inside
using namespace std::string_view_literals;

template <class T> T expect(std::string_view line, const Extensions& allowed = {}) {
    Command command = parse_command(line, allowed);
    if (T* found = std::get_if<T>(&command))
        return std::move(*found);
    ADD_FAILURE() << line << " gave command number " << command.index() << ' '
                  << (command.index() == 0 ? to_wire(std::get<CommandError>(command).reply) : "");
    return T{};
}

TEST(Command, VerbsInAnyCase) {
    for (const char* line : {"DATA", "data", "Data", "dAtA", "DATA ", "DATA \t "})
        expect<DataCommand>(line);
    expect<RsetCommand>("RSET");
    expect<RsetCommand>("rset  ");
    expect<QuitCommand>("quit");
    expect<NoopCommand>("NOOP");
    expect<NoopCommand>("noop anything at all");
    expect<StarttlsCommand>("StartTLS");
    EXPECT_EQ(expect<HelpCommand>("help").argument, "");
    EXPECT_EQ(expect<HelpCommand>("HELP  mail").argument, "mail");
    EXPECT_EQ(expect<VrfyCommand>("VRFY user@example.com").argument, "user@example.com");
    EXPECT_EQ(expect<ExpnCommand>("expn a list ").argument, "a list");
}

// RFC 6531 3.7.4.2: UTF-8 where SMTPUTF8 is offered; the word is about the reply.
TEST(Command, InternationalizedQueries) {
    Extensions offered;
    offered.smtp_utf8 = true;
    struct Row {
        const char* line;
        const char* argument;
        bool smtp_utf8;
    } rows[] = {
        {"VRFY bob SMTPUTF8", "bob", true},
        {"VRFY bob  smtputf8 ", "bob", true},
        {"VRFY b\xc3\xb6@c.example SMTPUTF8", "b\xc3\xb6@c.example", true},
        {"VRFY b\xc3\xb6@c.example", "b\xc3\xb6@c.example", false},
        {"VRFY SMTPUTF8", "SMTPUTF8", false},
        {"VRFY bobSMTPUTF8", "bobSMTPUTF8", false},
        {"VRFY SMTPUTF8 bob", "SMTPUTF8 bob", false},
    };
    for (const Row& row : rows) {
        const auto vrfy = expect<VrfyCommand>(row.line, offered);
        EXPECT_EQ(vrfy.argument, row.argument) << row.line;
        EXPECT_EQ(vrfy.smtp_utf8, row.smtp_utf8) << row.line;
    }
    EXPECT_TRUE(expect<ExpnCommand>("EXPN list SMTPUTF8", offered).smtp_utf8);
    EXPECT_EQ(expect<CommandError>("VRFY b\xc3 SMTPUTF8", offered).reply.code, 501);
    EXPECT_EQ(expect<CommandError>("VRFY b\x01 SMTPUTF8", offered).reply.code, 501);
    EXPECT_EQ(expect<VrfyCommand>("VRFY bob SMTPUTF8").argument, "bob SMTPUTF8");
    offered.any = false; // after HELO
    EXPECT_EQ(expect<CommandError>("VRFY b\xc3\xb6 SMTPUTF8", offered).reply.code, 553);
}

TEST(Command, Hello) {
    EXPECT_EQ(expect<HeloCommand>("HELO mail.example").identity, "mail.example");
    EXPECT_EQ(expect<EhloCommand>("ehlo  Mail.Example \t").identity, "Mail.Example");
    EXPECT_EQ(expect<EhloCommand>("EHLO my_pc.example").identity, "my_pc.example");
    EXPECT_EQ(expect<EhloCommand>("EHLO mail.example.").identity, "mail.example");
    EXPECT_EQ(expect<EhloCommand>("EHLO localhost").identity, "localhost");
    EXPECT_EQ(expect<EhloCommand>("EHLO 192.0.2.1").identity, "192.0.2.1");
    EXPECT_EQ(expect<EhloCommand>("EHLO [192.0.2.1]").identity, "[192.0.2.1]");
    EXPECT_EQ(expect<HeloCommand>("HELO [IPv6:2001:db8::1]").identity, "[IPv6:2001:db8::1]");
    EXPECT_EQ(expect<EhloCommand>("EHLO [192.0.2.1] my laptop").identity, "[192.0.2.1]");
}

TEST(Command, Mail) {
    auto mail = expect<MailCommand>("MAIL FROM:<user@Example.com>");
    EXPECT_EQ(mail.reverse_path, Mailbox("user", "example.com"));
    EXPECT_FALSE(mail.size);
    EXPECT_EQ(mail.parameters, MailParameters());
    EXPECT_TRUE(expect<MailCommand>("mail from:<>").reverse_path.is_null());
    EXPECT_TRUE(expect<MailCommand>("MAIL FROM: <>").reverse_path.is_null());
    EXPECT_EQ(expect<MailCommand>("MAIL  From:  <a@b>  ").reverse_path, Mailbox("a", "b"));
    EXPECT_EQ(expect<MailCommand>("MAIL FROM:<@x,@y:a@b>").reverse_path, Mailbox("a", "b"));

    mail = expect<MailCommand>("MAIL FROM:<a@b> SIZE=12345 BODY=8BITMIME");
    EXPECT_EQ(mail.size, 12345u);
    EXPECT_EQ(mail.parameters.body, Body::eight_bit_mime);
    mail = expect<MailCommand>("MAIL FROM:<a@b>  body=7bit  size=0 ");
    EXPECT_EQ(mail.size, 0u);
    EXPECT_EQ(mail.parameters.body, Body::seven_bit);
    EXPECT_EQ(expect<MailCommand>("MAIL FROM:<> SIZE=18446744073709551615").size, UINT64_MAX);
    EXPECT_EQ(expect<MailCommand>("MAIL FROM:<> SIZE=18446744073709551616").size, UINT64_MAX);
    EXPECT_EQ(expect<MailCommand>("MAIL FROM:<> SIZE=99999999999999999999").size, UINT64_MAX);
    EXPECT_EQ(expect<MailCommand>("MAIL FROM:<> SIZE=18446744073709551614").size, UINT64_MAX - 1);
    EXPECT_EQ(expect<MailCommand>("MAIL FROM:<> SIZE=00000000000000000042").size, 42u);
}

TEST(Command, Auth) {
    auto auth = expect<AuthCommand>("auth plain");
    EXPECT_EQ(auth.mechanism, "PLAIN");
    EXPECT_FALSE(auth.initial_response);
    auth = expect<AuthCommand>("AUTH Scram-SHA-256 =");
    EXPECT_EQ(auth.mechanism, "SCRAM-SHA-256");
    EXPECT_EQ(auth.initial_response->view(), "=");
    // Whether it is base64 is looked at when it is decoded.
    EXPECT_EQ(expect<AuthCommand>("AUTH  X  *\xff ").initial_response->view(), "*\xff");
    const std::string text(limits::auth_response_line - 13, 'A');
    EXPECT_EQ(expect<AuthCommand>("AUTH PLAIN " + text).initial_response->view(), text);
}

// RFC 4954 5
TEST(Command, TheSubmitterOfMail) {
    Extensions allowed;
    allowed.auth = true;
    for (const char* value : {"<>", "e+3Dmc2@example.com", "a@b", "\"a+20b\"@x.example"})
        expect<MailCommand>("MAIL FROM:<a@b> auth=" + std::string(value), allowed);
    for (const char* line :
         {"MAIL FROM:<a@b> AUTH", "MAIL FROM:<a@b> AUTH=", "MAIL FROM:<a@b> AUTH=user",
          "MAIL FROM:<a@b> AUTH=a+0@b", "MAIL FROM:<a@b> AUTH=a+3d@b", "MAIL FROM:<a@b> AUTH=a@b+",
          "MAIL FROM:<a@b> AUTH=a+0Ab@c", "MAIL FROM:<a@b> AUTH=<> AUTH=<>"})
        EXPECT_EQ(expect<CommandError>(line, allowed).reply.code, 501) << line;
}

TEST(Command, Rcpt) {
    EXPECT_EQ(expect<RcptCommand>("RCPT TO:<user@example.com>").forward_path,
              Mailbox("user", "example.com"));
    EXPECT_EQ(expect<RcptCommand>("rcpt to: <user@example.com>").forward_path,
              Mailbox("user", "example.com"));
    EXPECT_EQ(expect<RcptCommand>("RCPT TO:<postmaster>").forward_path, Mailbox("postmaster", ""));
    EXPECT_EQ(expect<RcptCommand>("RCPT TO:<\"a b\"@example.com>").forward_path,
              Mailbox("a b", "example.com"));
}

TEST(Command, Bdat) {
    struct {
        std::string_view line;
        std::uint64_t size;
        bool last;
    } const good[] = {
        {"BDAT 0", 0, false},
        {"BDAT 86 LAST", 86, true},
        {"bdat  007   last \t ", 7, true},
        {"BDAT 18446744073709551615", UINT64_MAX, false},
        {"BDAT 99999999999999999999 Last", UINT64_MAX, true},
    };
    for (const auto& [line, size, last] : good) {
        const auto bdat = expect<BdatCommand>(line);
        EXPECT_EQ(bdat.size, size) << line;
        EXPECT_EQ(bdat.last, last) << line;
    }
    const std::string long_line = "BDAT " + std::string(600, '0') + "1";
    for (std::string_view line : {"BDAT"sv, "BDAT LAST"sv, "BDAT -1"sv, "BDAT +1"sv, "BDAT 1x"sv,
                                  "BDAT 1,LAST"sv, "BDAT 1 LAST 2"sv, "BDAT 1 2"sv, "BDAT\t1"sv,
                                  "BDATE 1"sv, "BDAT 1\tLAST"sv, "BDAT 0x10"sv, "BDAT 1\0"sv,
                                  "BDAT 000000000000000000001"sv, std::string_view(long_line)}) {
        const auto error = expect<CommandError>(line);
        EXPECT_EQ(error.reply.code, 501) << line;
        EXPECT_TRUE(error.out_of_step) << line;
    }
    EXPECT_FALSE(expect<CommandError>("DATA 1").out_of_step);
}

constexpr Extensions everything{true, true, true, true, true, true, true, true, true, true};

TEST(Command, ParametersOfMail) {
    const auto mail = expect<MailCommand>(
        "MAIL FROM:<> ret=HDRS SIZE=5 EnvID=Ab+3D body=binarymime requiretls MT-Priority=-3 "
        "BY=120;rt HOLDFOR=60 smtputf8",
        everything);
    EXPECT_EQ(mail.size, 5u);
    EXPECT_EQ(mail.parameters.returned, Returned::header);
    EXPECT_EQ(mail.parameters.envelope_id, "Ab+3D");
    EXPECT_EQ(mail.parameters.body, Body::binary_mime);
    EXPECT_TRUE(mail.parameters.smtp_utf8);
    EXPECT_TRUE(mail.parameters.require_tls);
    EXPECT_EQ(mail.parameters.priority, -3);
    EXPECT_EQ(mail.parameters.deliver_by, (DeliverBy{120, true, true}));
    EXPECT_EQ(mail.hold_for, 60);
    EXPECT_EQ(expect<MailCommand>("MAIL FROM:<a@b> HOLDUNTIL=1970-01-02T00:00:00Z", everything)
                  .hold_until,
              86400);
}

TEST(Command, ParametersOfRcpt) {
    const auto rcpt = expect<RcptCommand>(
        "RCPT TO:<a@b> notify=success,Delay orcpt=rfc822;Bob+2B1@c.example", everything);
    EXPECT_EQ(rcpt.parameters.notify, notify::success | notify::delay);
    EXPECT_EQ(rcpt.parameters.original_recipient, "rfc822;Bob+2B1@c.example");
    EXPECT_TRUE(expect<RcptCommand>("RCPT TO:<a@b>", everything).parameters.empty());
}

// RFC 6531 3.5: UTF-8 comes with the word for it.
TEST(Command, InternationalizedAddresses) {
    const auto mail =
        expect<MailCommand>("MAIL FROM:<\xc3\xbc@b\xc3\xbc.example> SMTPUTF8", everything);
    EXPECT_EQ(mail.reverse_path, Mailbox("\xc3\xbc", "xn--b-eha.example"));
    for (const char* line :
         {"MAIL FROM:<\xc3\xbc@b.example>", "MAIL FROM:<a@b\xc3\xbc.example> SIZE=5"})
        EXPECT_EQ(expect<CommandError>(line, everything).reply.code, 550) << line;
    EXPECT_EQ(expect<CommandError>("MAIL FROM:<\xc3@b.example> SMTPUTF8", everything).reply.code,
              501);
    const auto rcpt = expect<RcptCommand>(
        "RCPT TO:<\xc3\xbc@b.example> ORCPT=utf-8;\xc3\xbc@b.example", everything);
    EXPECT_EQ(rcpt.forward_path, Mailbox("\xc3\xbc", "b.example"));
    EXPECT_EQ(rcpt.parameters.original_recipient, "utf-8;\xc3\xbc@b.example");
    Extensions plain = everything; // MAIL had no SMTPUTF8
    plain.utf8_transaction = false;
    EXPECT_EQ(expect<CommandError>("RCPT TO:<\xc3\xbc@b.example>", plain).reply.code, 553);
    EXPECT_EQ(expect<CommandError>("RCPT TO:<a@b.example> ORCPT=utf-8;\xc3\xbc@b.example", plain)
                  .reply.code,
              501);
}

TEST(Command, BadValuesOfParameters) {
    for (const char* parameter : {"RET",
                                  "RET=HEADERS",
                                  "ENVID",
                                  "ENVID=a+0A",
                                  "ENVID=a+3d",
                                  "SMTPUTF8=1",
                                  "REQUIRETLS=yes",
                                  "MT-PRIORITY=10",
                                  "MT-PRIORITY=-0",
                                  "MT-PRIORITY=+1",
                                  "BY=5",
                                  "BY=0;R",
                                  "BY=-1;R",
                                  "BY=1000000000;N",
                                  "BY=1;X",
                                  "BY=1;NX",
                                  "BY=;N",
                                  "HOLDFOR=-1",
                                  "HOLDFOR=1000000000",
                                  "HOLDUNTIL=2026-11-25",
                                  "HOLDUNTIL=2026-02-30T00:00:00Z",
                                  "HOLDFOR=1 HOLDUNTIL=2026-11-25T00:00:00Z",
                                  "HOLDUNTIL=2026-11-25T00:00:00Z HOLDFOR=1"})
        EXPECT_EQ(expect<CommandError>("MAIL FROM:<a@b> " + std::string(parameter), everything)
                      .reply.code,
                  501)
            << parameter;
    EXPECT_EQ(expect<CommandError>("MAIL FROM:<a@b> ENVID=" + std::string(101, 'x'), everything)
                  .reply.code,
              501);
    for (const char* parameter : {"NOTIFY", "NOTIFY=NEVER,SUCCESS", "NOTIFY=FAILURE,", "NOTIFY=ALL",
                                  "ORCPT=a@b", "ORCPT=;a@b", "ORCPT=rfc822;", "ORCPT=rfc822;a+0Ab"})
        EXPECT_EQ(
            expect<CommandError>("RCPT TO:<a@b> " + std::string(parameter), everything).reply.code,
            501)
            << parameter;
}

TEST(Command, ParametersOfWhatIsNotOffered) {
    for (const char* parameter :
         {"AUTH=<>", "RET=FULL", "ENVID=x", "SMTPUTF8", "REQUIRETLS", "MT-PRIORITY=1", "BY=5;N",
          "HOLDFOR=1", "HOLDUNTIL=2026-11-25T00:00:00Z", "X"})
        EXPECT_EQ(expect<CommandError>("MAIL FROM:<a@b> " + std::string(parameter)).reply.code, 555)
            << parameter;
}

struct Bad {
    std::string line;
    int code;
    std::string status;
};

const Bad bad_commands[] = {
    {"", 500, "5.5.1"},
    {" ", 500, "5.5.1"},
    {" NOOP", 500, "5.5.1"},
    {"HELLO x", 500, "5.5.1"},
    {"MAI FROM:<a@b>", 500, "5.5.1"},
    {"MAILFROM:<a@b>", 500, "5.5.1"},
    {"MAIL\tFROM:<a@b>", 500, "5.5.1"},
    {"DATA\t.", 500, "5.5.1"},
    {"QUITE", 500, "5.5.1"},
    {"DAT", 500, "5.5.1"},
    {"GET / HTTP/1.1", 500, "5.5.1"},
    {"Subject: hello", 500, "5.5.1"},
    {".", 500, "5.5.1"},
    {"\xff\xfd", 500, "5.5.1"},
    {"NOOP\0"s, 500, "5.5.1"},
    {"\0"s, 500, "5.5.1"},
    {"DATA\r", 500, "5.5.1"},
    {"NOOP\rQUIT", 500, "5.5.1"},
    {"NOOP a\rQUIT", 501, "5.5.2"},
    {"NOOP a\nQUIT", 501, "5.5.2"},
    {"NOOP caf\xc3\xa9", 501, "5.5.2"},
    {"TURN", 502, "5.5.1"},
    {"SEND FROM:<a@b>", 502, "5.5.1"},
    {"soml from:<a@b>", 502, "5.5.1"},
    {"SAML FROM:<a@b>", 502, "5.5.1"},
    {"ETRN example.com", 502, "5.5.1"},
    {"ATRN example.com", 502, "5.5.1"},
    {"DATA now", 501, "5.5.4"},
    {"RSET all", 501, "5.5.4"},
    {"QUIT now", 501, "5.5.4"},
    {"STARTTLS now", 501, "5.5.4"},
    {"AUTH", 501, "5.5.4"},
    {"AUTH ", 501, "5.5.4"},
    {"AUTH PL*IN", 501, "5.5.4"},
    {"AUTH =", 501, "5.5.4"},
    {"AUTH ABCDEFGHIJKLMNOPQRSTU", 501, "5.5.4"},
    {"AUTH PLAIN Zm9v Zm9v", 501, "5.5.4"},
    {"AUTH\tPLAIN", 500, "5.5.1"},
    {"AUTH PLAIN AG\x01", 501, "5.5.2"},
    {"AUTH PLAIN " + std::string(limits::auth_response_line, 'A'), 500, "5.5.2"},
    {"HELO", 501, "5.5.4"},
    {"EHLO", 501, "5.5.4"},
    {"EHLO ", 501, "5.5.4"},
    {"EHLO two words", 501, "5.5.4"},
    {"EHLO .", 501, "5.5.4"},
    {"EHLO -x", 501, "5.5.4"},
    {"EHLO a..b", 501, "5.5.4"},
    {"EHLO a.b..", 501, "5.5.4"},
    {"EHLO [", 501, "5.5.4"},
    {"EHLO []", 501, "5.5.4"},
    {"EHLO [300.1.1.1]", 501, "5.5.4"},
    {"EHLO [127.0.0.1", 501, "5.5.4"},
    {"EHLO a(b)", 501, "5.5.4"},
    {"EHLO a\tb", 501, "5.5.4"},
    {"EHLO a\rb", 501, "5.5.4"},
    {"EHLO b\xc3\xbc"
     "cher.example",
     501, "5.5.4"},
    {"EHLO " + std::string(256, 'a'), 501, "5.5.4"},
    {"VRFY", 501, "5.5.4"},
    {"EXPN ", 501, "5.5.4"},
    {"VRFY a\x01", 501, "5.5.2"},
    {"EXPN b\xc3\xbc"
     "cher",
     553, "5.6.7"},
    {"VRFY \xc3\xbc@b.example SMTPUTF8", 553, "5.6.7"},
    {"HELP \x7f", 501, "5.5.2"},
    {"MAIL", 501, "5.5.2"},
    {"MAIL <a@b>", 501, "5.5.2"},
    {"MAIL TO:<a@b>", 501, "5.5.2"},
    {"MAIL FROM", 501, "5.5.2"},
    {"MAIL FROM <a@b>", 501, "5.5.2"},
    {"MAIL FROM :<a@b>", 501, "5.5.2"},
    {"MAIL F:<a@b>", 501, "5.5.2"},
    {"MAIL FROM:", 501, "5.1.7"},
    {"MAIL FROM:a@b", 501, "5.1.7"},
    {"MAIL FROM:\t<a@b>", 501, "5.1.7"},
    {"MAIL FROM:<a>", 501, "5.1.7"},
    {"MAIL FROM:<a@b", 501, "5.1.7"},
    {"MAIL FROM:<a@b_c>", 501, "5.1.7"},
    {"MAIL FROM:<a b@c>", 501, "5.1.7"},
    {"MAIL FROM:<postmaster>", 501, "5.1.7"},
    {"MAIL FROM:<\xc3\xbc@b>", 550, "5.6.7"},
    {"MAIL FROM:<a@\xc3\xbc>", 550, "5.6.7"},
    {"MAIL FROM:<a@b>x", 501, "5.5.4"},
    {"MAIL FROM:<a@b>SIZE=10", 501, "5.5.4"},
    {"MAIL FROM:<a@b>,<c@d>", 501, "5.5.4"},
    {"MAIL FROM:<a@b>\tSIZE=10", 501, "5.5.4"},
    {"MAIL FROM:<a@b> SIZE=10\tBODY=7BIT", 501, "5.5.2"},
    {"MAIL FROM:<a@b> SIZE=1\x01", 501, "5.5.2"},
    {"MAIL FROM:<a@b> X=\xff", 501, "5.5.2"},
    {"MAIL FROM:<a@b> SIZE", 501, "5.5.4"},
    {"MAIL FROM:<a@b> SIZE=", 501, "5.5.4"},
    {"MAIL FROM:<a@b> SIZE=-1", 501, "5.5.4"},
    {"MAIL FROM:<a@b> SIZE=+1", 501, "5.5.4"},
    {"MAIL FROM:<a@b> SIZE=1k", 501, "5.5.4"},
    {"MAIL FROM:<a@b> SIZE=0x10", 501, "5.5.4"},
    {"MAIL FROM:<a@b> SIZE=1=2", 501, "5.5.4"},
    {"MAIL FROM:<a@b> SIZE=000000000000000000001", 501, "5.5.4"},
    {"MAIL FROM:<a@b> SIZE=1 SIZE=1", 501, "5.5.4"},
    {"MAIL FROM:<a@b> SIZE=1 size=2", 501, "5.5.4"},
    {"MAIL FROM:<a@b> BODY", 501, "5.5.4"},
    {"MAIL FROM:<a@b> BODY=", 501, "5.5.4"},
    {"MAIL FROM:<a@b> BODY=BINARYMIME", 501, "5.5.4"},
    {"MAIL FROM:<a@b> BODY=9BIT", 501, "5.5.4"},
    {"MAIL FROM:<a@b> BODY=7BIT BODY=7BIT", 501, "5.5.4"},
    {"MAIL FROM:<a@b> =", 501, "5.5.4"},
    {"MAIL FROM:<a@b> =1", 501, "5.5.4"},
    {"MAIL FROM:<a@b> -X", 501, "5.5.4"},
    {"MAIL FROM:<a@b> X_Y=1", 501, "5.5.4"},
    {"MAIL FROM:<a@b> <c@d>", 501, "5.5.4"},
    {"MAIL FROM:<a@b> SMTPUTF8", 555, "5.5.4"},
    {"MAIL FROM:<a@b> RET=FULL", 555, "5.5.4"},
    {"MAIL FROM:<a@b> SIZE=5 XYZZY=1", 555, "5.5.4"},
    {"MAIL FROM:<a@b> AUTH=<>", 555, "5.5.4"},
    {"RCPT", 501, "5.5.2"},
    {"RCPT <a@b>", 501, "5.5.2"},
    {"RCPT FROM:<a@b>", 501, "5.5.2"},
    {"RCPT TO<a@b>", 501, "5.5.2"},
    {"RCPT TO:", 501, "5.1.3"},
    {"RCPT TO:a@b", 501, "5.1.3"},
    {"RCPT TO:<>", 501, "5.1.3"},
    {"RCPT TO:<user>", 501, "5.1.3"},
    {"RCPT TO:<a@b.>", 501, "5.1.3"},
    {"RCPT TO:<a@b\r\nDATA>", 501, "5.1.3"},
    {"RCPT TO:<" + std::string(65, 'a') + "@b>", 501, "5.1.3"},
    {"RCPT TO:<a@\xe4\xbe\x8b>", 553, "5.6.7"},
    {"RCPT TO:<a@b>,<c@d>", 501, "5.5.4"},
    {"RCPT TO:<a@b> SIZE=10", 555, "5.5.4"},
    {"RCPT TO:<a@b> NOTIFY=NEVER", 555, "5.5.4"},
    {"RCPT TO:<a@b> X X", 501, "5.5.4"},
    {"RCPT TO:<a@b> A B C D E F G H I J K L M N O P Q", 501, "5.5.4"},
};

TEST(Command, ErrorsAndTheirReplies) {
    for (const Bad& row : bad_commands) {
        SCOPED_TRACE(row.line);
        const Command command = parse_command(row.line);
        const auto* error = std::get_if<CommandError>(&command);
        ASSERT_NE(error, nullptr) << command.index();
        EXPECT_EQ(error->reply.code, row.code);
        EXPECT_EQ(to_string(error->reply.status), row.status);
        EXPECT_FALSE(error->reply.text.empty());
        // Whatever the client sent, the reply is one well-formed line.
        const std::string wire = to_wire(error->reply);
        EXPECT_EQ(wire.find("\r\n"), wire.size() - 2);
        for (char c : wire.substr(0, wire.size() - 2))
            EXPECT_TRUE(c >= 32 && c < 127);
    }
}

TEST(Command, AddressErrorIsTold) {
    const Command command = parse_command("RCPT TO:<user@example.com");
    EXPECT_EQ(std::get<CommandError>(command).address_error, AddressError::unterminated);
}

TEST(Command, NoParametersAfterHelo) {
    Extensions basic = everything;
    basic.any = false;
    expect<MailCommand>("MAIL FROM:<a@b>", basic);
    for (const char* line : {"MAIL FROM:<a@b> SIZE=10", "MAIL FROM:<a@b> BODY=8BITMIME"})
        EXPECT_EQ(expect<CommandError>(line, basic).reply.code, 555) << line;
    EXPECT_EQ(expect<CommandError>("RCPT TO:<a@b> NOTIFY=NEVER", basic).reply.code, 555);
}

// RFC 5321 4.5.3.1.4: 512 octets with CRLF, more for MAIL and RCPT as their extensions want.
TEST(Command, LineLength) {
    const auto code = [](const std::string& line) {
        const Command command = parse_command(line);
        const auto* error = std::get_if<CommandError>(&command);
        return error == nullptr ? 0 : error->reply.code;
    };
    const auto padded = [](std::string line, std::size_t length) {
        line.resize(length, ' ');
        return line;
    };
    EXPECT_EQ(code(padded("NOOP", limits::command_line - 2)), 0);
    EXPECT_EQ(code(padded("NOOP", limits::command_line - 1)), 500);
    EXPECT_EQ(code(padded("XYZ", limits::command_line - 1)), 500);
    EXPECT_EQ(code(padded("MAIL FROM:<a@b>", limits::command_line)), 0);
    EXPECT_EQ(code(padded("MAIL FROM:<a@b>", limits::mail_command_line - 2)), 0);
    EXPECT_EQ(code(padded("MAIL FROM:<a@b>", limits::mail_command_line - 1)), 500);
    EXPECT_EQ(code(padded("RCPT TO:<a@b>", limits::rcpt_command_line - 2)), 0);
    EXPECT_EQ(code(padded("RCPT TO:<a@b>", limits::rcpt_command_line - 1)), 500);
    EXPECT_EQ(code(std::string(1 << 20, 'A')), 500);
}

// Any single octet, anywhere in a command, gives an answer; the reply stays clean.
TEST(Command, AnyOctetAnywhere) {
    const std::string base = "MAIL FROM:<\"a b\"@b.example> SIZE=10 BODY=7BIT";
    for (std::size_t at = 0; at < base.size(); ++at)
        for (int octet = 0; octet < 256; ++octet) {
            std::string line = base;
            line[at] = static_cast<char>(octet);
            const Command command = parse_command(line);
            if (const auto* error = std::get_if<CommandError>(&command)) {
                const std::string wire = to_wire(error->reply);
                ASSERT_EQ(wire.find_first_of("\r\n"), wire.size() - 2);
            } else if (const auto* mail = std::get_if<MailCommand>(&command)) {
                const std::string path = mail->reverse_path.to_path();
                ASSERT_EQ(path.find_first_of("\r\n\0"s), std::string::npos);
            }
        }
}

} // namespace
} // namespace postern
