// The values of the parameters of MAIL and RCPT.
#include <gtest/gtest.h>

#include "common/smtp/parameters.h"

namespace postern {
namespace {

TEST(Parameters, AreWrittenAsTheyAreRead) {
    for (const char* value : {"120;R", "-5;N", "0;NT", "999999999;RT"})
        EXPECT_EQ(to_string(parse_deliver_by(value).value()), value);
    for (const char* value : {"NEVER", "SUCCESS", "FAILURE", "DELAY", "SUCCESS,FAILURE,DELAY"})
        EXPECT_EQ(notify_to_string(parse_notify(value).value()), value);
    for (const char* value : {"7BIT", "8BITMIME", "BINARYMIME"})
        EXPECT_EQ(to_string(parse_body(value).value()), value);
}

TEST(Parameters, Xtext) {
    EXPECT_EQ(decode_xtext("a+2Bb+3Dc+20d"), "a+b=c d");
    for (const char* bad : {"+", "+2", "+2b", "+G0"})
        EXPECT_FALSE(decode_xtext(bad)) << bad;
}

TEST(Parameters, WhoHearsOfWhat) {
    struct Row {
        Notify notify;
        bool failure, delay, success;
    };
    for (const Row& row :
         {Row{notify::unspecified, true, true, false}, Row{notify::never, false, false, false},
          Row{notify::success, false, false, true},
          Row{notify::failure | notify::delay, true, true, false}}) {
        RecipientParameters parameters;
        parameters.notify = row.notify;
        EXPECT_EQ(parameters.wants_failure(), row.failure) << int(row.notify);
        EXPECT_EQ(parameters.wants_delay(), row.delay) << int(row.notify);
        EXPECT_EQ(parameters.wants_success(), row.success) << int(row.notify);
    }
}

TEST(Parameters, OriginalRecipients) {
    for (const char* good : {"rfc822;bob@a.example", "x400;whatever", "utf-8;b\\x{F6}b@a.example",
                             "rfc822;b+2Bo@a.example", "rfc822;b+C3+B6@a.example"})
        EXPECT_TRUE(is_original_recipient(good, false)) << good;
    EXPECT_FALSE(is_original_recipient("utf-8;b\xc3\xb6@a.example", false));
    EXPECT_TRUE(is_original_recipient("utf-8;b\xc3\xb6@a.example", true));
    EXPECT_TRUE(is_original_recipient("UTF-8;b\\x{F6}\xc3\xb6\\x{2B}x@a.example", true));
    // What is no UTF-8, a control, or xtext in place of \x{}, does not get into a report.
    for (const char* bad :
         {"utf-8;b\xf6@a.example", "utf-8;b\xc3@a.example", "utf-8;b\xc2\x85@a.example",
          "utf-8;b\\x{0A}@a.example", "utf-8;b\\x{D800}@a.example", "utf-8;b\\@a.example",
          "utf-8;b+2B@a.example", "utf-8;"})
        EXPECT_FALSE(is_original_recipient(bad, true)) << bad;
    EXPECT_FALSE(is_original_recipient("rfc822;b\xc3\xb6@a.example", true));
    EXPECT_FALSE(is_original_recipient("rfc822;b+C3@a.example", true)) << "no UTF-8";
    EXPECT_FALSE(is_original_recipient("rfc822;" + std::string(494, 'x'), false));
    EXPECT_TRUE(is_original_recipient("rfc822;" + std::string(493, 'x'), false));
}

TEST(Parameters, Timestamps) {
    struct Row {
        const char* text;
        int64_t seconds;
    };
    for (const Row& row :
         {Row{"1970-01-01T00:00:00Z", 0}, Row{"2026-11-25t20:37:15z", 1795639035},
          Row{"2026-11-25T21:37:15.25+01:00", 1795639035},
          Row{"2026-11-25T20:07:15-00:30", 1795639035}, Row{"2028-02-29T23:59:60Z", 1835481600}})
        EXPECT_EQ(parse_timestamp(row.text), row.seconds) << row.text;
    for (const char* bad :
         {"", "2026", "2026-11-25", "2026-11-25T20:37Z", "2026-11-25T20:37:15",
          "2026-13-25T20:37:15Z", "2026-02-29T20:37:15Z", "2026-11-25T24:00:00Z",
          "2026-11-25T20:37:15.Z", "2026-11-25T20:37:15+1:00", "2026-11-25T20:37:15+24:00",
          "2026-11-25T20:37:15Zx", "2026-11-25 20:37:15Z", "-026-11-25T20:37:15Z"})
        EXPECT_FALSE(parse_timestamp(bad)) << bad;
    EXPECT_EQ(format_timestamp(1795639035), "2026-11-25T20:37:15Z");
}

TEST(Parameters, WhatAnotherProcessMayNotClaim) {
    RecipientParameters recipient;
    recipient.notify = notify::never | notify::success;
    EXPECT_FALSE(is_valid(recipient));
    recipient.notify = 16;
    EXPECT_FALSE(is_valid(recipient));
    recipient = {notify::delay, "rfc822;a\r\nDATA"};
    EXPECT_FALSE(is_valid(recipient));
    recipient.original_recipient = "rfc822;a@b.example";
    EXPECT_TRUE(is_valid(recipient));
    MailParameters mail;
    EXPECT_TRUE(is_valid(mail));
    mail.priority = 10;
    EXPECT_FALSE(is_valid(mail));
    mail.priority = 0;
    for (const char* bad : {"a b", "a=b", "a\r\nDATA"}) {
        mail.envelope_id = bad;
        EXPECT_FALSE(is_valid(mail)) << bad;
    }
    mail.envelope_id = "ab";
    mail.deliver_by = DeliverBy{INT64_MIN, false, false};
    EXPECT_FALSE(is_valid(mail));
}

} // namespace
} // namespace postern
