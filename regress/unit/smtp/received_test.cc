// Trace fields, and that nobody can put into them what does not belong there.
#include "common/smtp/received.h"

#include <algorithm>
#include <gtest/gtest.h>

namespace postern {
namespace {

using namespace std::string_literals; // for strings with a NUL inside

ReceivedField example() {
    ReceivedField field;
    field.helo = "client.example";
    field.reverse_name = "host.client.example";
    field.address = "192.0.2.1";
    field.by = "mx.example";
    field.protocol = "ESMTP";
    field.id = "0123456789abcdef";
    field.date = "Mon, 23 Nov 2026 17:35:30 +0000";
    return field;
}

std::string written(const ReceivedField& field) {
    std::string out;
    append_received(out, field);
    return out;
}

TEST(Received, WithAndWithoutRecipient) {
    ReceivedField field = example();
    EXPECT_EQ(written(field), "Received: from client.example (host.client.example [192.0.2.1])\r\n"
                              "\tby mx.example with ESMTP id 0123456789abcdef;\r\n"
                              "\tMon, 23 Nov 2026 17:35:30 +0000\r\n");
    const Mailbox recipient("a b", "dest.example");
    field.recipient = &recipient;
    EXPECT_EQ(written(field), "Received: from client.example (host.client.example [192.0.2.1])\r\n"
                              "\tby mx.example with ESMTP id 0123456789abcdef\r\n"
                              "\tfor <\"a b\"@dest.example>;\r\n"
                              "\tMon, 23 Nov 2026 17:35:30 +0000\r\n");
}

TEST(Received, OfAnEncryptedSession) {
    ReceivedField field = example();
    const Mailbox recipient("b", "dest.example");
    field.recipient = &recipient;
    field.protocol = "ESMTPS";
    field.tls_cipher = "TLS_AES_256_GCM_SHA384";
    field.tls_protocol = "TLSv1.3";
    EXPECT_EQ(written(field), "Received: from client.example (host.client.example [192.0.2.1])\r\n"
                              "\tby mx.example with ESMTPS id 0123456789abcdef\r\n"
                              "\tfor <b@dest.example>\r\n"
                              "\ttls TLS_AES_256_GCM_SHA384 (TLSv1.3);\r\n"
                              "\tMon, 23 Nov 2026 17:35:30 +0000\r\n");
}

TEST(Received, OfAnAuthenticatedSession) {
    ReceivedField field = example();
    const Mailbox recipient("b", "dest.example");
    field.recipient = &recipient;
    field.protocol = "ESMTPSA";
    field.authenticated = "bob+x@src.example";
    EXPECT_EQ(written(field), "Received: from client.example (host.client.example [192.0.2.1])\r\n"
                              "\tby mx.example with ESMTPSA id 0123456789abcdef\r\n"
                              "\t(authenticated as bob+x@src.example)\r\n"
                              "\tfor <b@dest.example>;\r\n"
                              "\tMon, 23 Nov 2026 17:35:30 +0000\r\n");
    field.authenticated = "b(o)b\r\nX: \\y; z";
    EXPECT_NE(written(field).find("\t(authenticated as b?o?b??X:??y??z)\r\n"), std::string::npos)
        << written(field);
}

TEST(Received, OfAnInternationalizedMessage) {
    ReceivedField field = example();
    const Mailbox recipient("j\u00fcr gen\u202e", "xn--bcher-kva.example");
    field.recipient = &recipient;
    field.protocol = "UTF8SMTPSA";
    field.authenticated = "j\u00fcrgen@x.example";
    field.smtp_utf8 = true;
    EXPECT_EQ(written(field), "Received: from client.example (host.client.example [192.0.2.1])\r\n"
                              "\tby mx.example with UTF8SMTPSA id 0123456789abcdef\r\n"
                              "\t(authenticated as j\u00fcrgen@x.example)\r\n"
                              "\tfor <\"j\u00fcr gen\u202e\"@xn--bcher-kva.example>;\r\n"
                              "\tMon, 23 Nov 2026 17:35:30 +0000\r\n");
    // Names are those of the DNS, and what is no UTF-8 or a control is nothing at all.
    const Mailbox evil("\xfc\u0085\u00fc\n", "x");
    field.recipient = &evil;
    field.helo = "b\u00fccher.example";
    field.authenticated = "\xc3(\u0085\u00fc";
    EXPECT_EQ(written(field), "Received: from b??cher.example (host.client.example [192.0.2.1])\r\n"
                              "\tby mx.example with UTF8SMTPSA id 0123456789abcdef\r\n"
                              "\t(authenticated as ????\u00fc)\r\n"
                              "\tfor <\"???\u00fc?\"@x>;\r\n"
                              "\tMon, 23 Nov 2026 17:35:30 +0000\r\n");
    // Without SMTPUTF8 nothing gets through at all.
    field.smtp_utf8 = false;
    field.recipient = &recipient;
    const std::string ascii = written(field);
    EXPECT_NE(ascii.find("\tfor <\"j??r gen???\"@xn--bcher-kva.example>;\r\n"), std::string::npos)
        << ascii;
    EXPECT_TRUE(std::all_of(ascii.begin(), ascii.end(), [](char c) { return c >= 0; }));
}

TEST(Received, ProtocolKeyword) {
    struct Row {
        ProtocolFacts facts; // lmtp, extended, tls, authenticated, smtp_utf8
        const char* keyword;
    };
    const Row rows[] = {
        {{false, false, false, false, false}, "SMTP"},
        {{false, true, false, false, false}, "ESMTP"},
        {{false, true, false, true, false}, "ESMTPA"},
        {{false, true, true, false, false}, "ESMTPS"},
        {{false, true, true, true, false}, "ESMTPSA"},
        {{true, true, false, false, false}, "LMTP"},
        {{true, true, false, true, false}, "LMTPA"},
        {{true, true, true, false, false}, "LMTPS"},
        {{true, true, true, true, false}, "LMTPSA"},
        {{false, true, false, false, true}, "UTF8SMTP"},
        {{false, true, false, true, true}, "UTF8SMTPA"},
        {{false, true, true, false, true}, "UTF8SMTPS"},
        {{false, true, true, true, true}, "UTF8SMTPSA"},
        {{true, true, false, false, true}, "UTF8LMTP"},
        {{true, true, false, true, true}, "UTF8LMTPA"},
        {{true, true, true, false, true}, "UTF8LMTPS"},
        {{true, true, true, true, true}, "UTF8LMTPSA"},
        // HELO after STARTTLS, and LHLO, which is no EHLO
        {{false, false, true, false, false}, "ESMTPS"},
        {{true, false, false, false, false}, "LMTP"},
    };
    for (const Row& row : rows)
        EXPECT_EQ(protocol_keyword(row.facts), row.keyword);
}

TEST(Received, WhatIsNotKnown) {
    ReceivedField field = example();
    field.reverse_name = "";
    EXPECT_TRUE(written(field).starts_with("Received: from client.example ([192.0.2.1])\r\n"));
    field.address = "2001:db8::1";
    EXPECT_TRUE(
        written(field).starts_with("Received: from client.example ([IPv6:2001:db8::1])\r\n"));
    field.helo = "";
    EXPECT_TRUE(written(field).starts_with("Received: from unknown ([IPv6:2001:db8::1])\r\n"));
    field.address = "";
    EXPECT_TRUE(written(field).starts_with("Received: by mx.example with ESMTP"));
    field.helo = "[192.0.2.7]";
    EXPECT_TRUE(written(field).starts_with("Received: from [192.0.2.7]\r\n\tby mx.example"));
}

TEST(Received, NothingCanBeInjected) {
    const std::string evil[] = {
        "x\r\nSubject: forged",
        "x\nSubject: forged",
        "x\rSubject: forged",
        "x\r\n\r\nbody",
        "x) by bank.example (real",
        "x; Mon, 1 Jan 2001 00:00:00 +0000",
        "x\\",
        "x\"",
        "(((((",
        ")))))",
        "x (comment) y",
        "<x@y>",
        "x\0y"s,
        "b\xc3\xbc"
        "cher",
        std::string(100000, 'x'),
    };
    for (const std::string& text : evil) {
        SCOPED_TRACE(text.substr(0, 40));
        ReceivedField field = example();
        field.helo = field.reverse_name = field.address = field.id = field.by = text;
        const std::string out = written(field);
        EXPECT_LE(out.size(), 2000u);
        std::size_t lines = 0;
        std::size_t start = 0;
        for (std::size_t i = 0; i < out.size(); ++i) {
            const char c = out[i];
            if (c == '\r') {
                ASSERT_EQ(out[i + 1], '\n');
                EXPECT_LE(i - start, 998u);
                start = i + 2;
                ++lines;
            } else if (c == '\n') {
                ASSERT_EQ(out[i - 1], '\r');
                ASSERT_TRUE(i + 1 == out.size() || out[i + 1] == '\t') << "no continuation";
            } else {
                ASSERT_TRUE(c == '\t' || (c >= 32 && c < 127));
            }
        }
        EXPECT_EQ(lines, 3u);
        EXPECT_EQ(std::count(out.begin(), out.end(), '('), 1);
        EXPECT_EQ(std::count(out.begin(), out.end(), ')'), 1);
        EXPECT_EQ(std::count(out.begin(), out.end(), ';'), 1);
        EXPECT_EQ(out.find_first_of("\\\"<>"), std::string::npos);
    }
}

TEST(Received, MailboxAndDateCannotBreakTheLine) {
    ReceivedField field = example();
    const Mailbox evil("a\r\nb", "c\nd");
    field.recipient = &evil;
    field.date = "now\r\nSubject: forged";
    const std::string out = written(field);
    EXPECT_NE(out.find("\tfor <\"a??b\"@c?d>;\r\n"), std::string::npos) << out;
    EXPECT_TRUE(out.ends_with("\tnow??Subject: forged\r\n"));
}

} // namespace
} // namespace postern
