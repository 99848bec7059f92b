// The notification as a reader of RFC 3464 and RFC 6522 takes it apart, with tame and with hostile
// contributions.
#include "common/base/utf8.h"
#include "common/mail/delivery_status.h"
#include "common/mail/header.h"
#include "common/smtp/utf8_address.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <random>

namespace postern {
namespace {

using namespace std::string_literals; // for strings with a NUL inside

using TimePoint = std::chrono::system_clock::time_point;
using std::chrono::seconds;

const TimePoint now{seconds(1795455330)}; // Mon, 23 Nov 2026 17:35:30 +0000

DeliveryStatusRecipient failed(std::string address) {
    DeliveryStatusRecipient recipient;
    recipient.final_recipient = std::move(address);
    recipient.status = status::bad_mailbox;
    recipient.remote_mta = "mx.dest.example";
    recipient.diagnostic = "550 5.1.1 No such user";
    recipient.is_smtp_reply = true;
    recipient.last_attempt = now;
    return recipient;
}

DeliveryStatusRecipient delayed(std::string address) {
    DeliveryStatusRecipient recipient;
    recipient.final_recipient = std::move(address);
    recipient.action = DeliveryAction::delayed;
    recipient.status = status::no_answer;
    recipient.diagnostic = "connection timed out";
    recipient.last_attempt = now;
    recipient.will_retry_until = now + std::chrono::hours(96);
    return recipient;
}

DeliveryStatusRecipient succeeded(std::string address, DeliveryAction action) {
    DeliveryStatusRecipient recipient = failed(std::move(address));
    recipient.action = action;
    recipient.status = status::recipient_valid;
    recipient.diagnostic = "250 2.1.5 queued as 7";
    return recipient;
}

DeliveryStatusReport report_of(std::vector<DeliveryStatusRecipient> recipients) {
    DeliveryStatusReport report;
    report.reporting_mta = "gw.example";
    report.to = "sender@orig.example";
    report.unique = "00000000000000ff";
    report.original_id = "00000000000000aa";
    report.now = now;
    report.arrival = now - std::chrono::hours(1);
    report.original_content = "From: sender@orig.example\r\nSubject: hello\r\n\r\nsecret body\r\n";
    report.recipients = std::move(recipients);
    return report;
}

std::string field(std::string_view block, std::string_view name) {
    const auto found = find_field(block, name);
    return found ? unfold(found->value) : "(none)";
}

std::string encoding_of(std::string_view header) {
    return field(header, "Content-Transfer-Encoding");
}

struct Part {
    std::string header;
    std::string body;
};

struct Message {
    std::string header;
    std::vector<Part> parts;
};

Part split(std::string_view text) {
    const std::string_view header = header_section(text);
    std::string_view body = text.substr(header.size());
    EXPECT_TRUE(body.starts_with("\r\n"));
    return {std::string(header), std::string(body.substr(std::min<std::size_t>(2, body.size())))};
}

// RFC 2045 6.7: no line above 76, and none that ends in a blank.
void expect_quoted_printable(const std::string& body) {
    for (std::size_t from = 0; from < body.size();) {
        const std::size_t end = std::min(body.find("\r\n", from), body.size());
        EXPECT_LE(end - from, 76u);
        if (end > from) {
            EXPECT_FALSE(body[end - 1] == ' ' || body[end - 1] == '\t')
                << body.substr(from, end - from);
        }
        from = end + 2;
    }
}

// Takes the message apart, and checks what holds of every one. `global`: it is to a sender in UTF-8
// (RFC 6533 4); all others are 7-bit.
Message take_apart(const std::string& text, const std::string& returned = "text/rfc822-headers",
                   bool global = false) {
    std::size_t start = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto octet = static_cast<unsigned char>(text[i]);
        EXPECT_TRUE(octet < 0x80 || global);
        EXPECT_NE(octet, 0);
        EXPECT_TRUE(octet != '\r' || text[i + 1] == '\n');
        if (octet == '\n') {
            EXPECT_EQ(text[i - 1], '\r');
            EXPECT_LE(i - start, 1000u);
            start = i + 1;
        }
    }
    EXPECT_EQ(start, text.size()) << "ends in CRLF";

    Message message;
    const Part whole = split(text);
    message.header = whole.header;
    const std::string type = field(message.header, "Content-Type");
    const std::string status = global ? "global-delivery-status" : "delivery-status";
    EXPECT_TRUE(type.starts_with("multipart/report; report-type=" + status + "; boundary=\""))
        << type;
    const std::size_t quote = type.find('"');
    const std::string boundary = "\r\n--" + type.substr(quote + 1, type.size() - quote - 2);
    std::string rest = whole.body;
    const std::size_t end = rest.find(boundary + "--\r\n");
    EXPECT_NE(end, std::string::npos);
    EXPECT_EQ(end + boundary.size() + 4, rest.size());
    rest.resize(end);
    std::size_t at = rest.find(boundary + "\r\n");
    while (at != std::string::npos) {
        const std::size_t from = at + boundary.size() + 2;
        at = rest.find(boundary + "\r\n", from);
        message.parts.push_back(split(rest.substr(from, at == std::string::npos ? at : at - from)));
    }
    EXPECT_EQ(message.parts.size(), 3u);
    message.parts.resize(3);
    EXPECT_EQ(field(message.parts[1].header, "Content-Type"), "message/" + status);
    EXPECT_EQ(field(message.parts[2].header, "Content-Type"), returned);
    bool any_eight_bit = false;
    for (const Part& part : message.parts) { // RFC 2045 6.2, 6.4
        if (encoding_of(part.header) == "quoted-printable")
            expect_quoted_printable(part.body);
        const bool eight_bit = !is_ascii(part.body);
        any_eight_bit |= eight_bit;
        EXPECT_TRUE(is_ascii(part.header));
        EXPECT_EQ(encoding_of(part.header) == "8bit", eight_bit);
    }
    EXPECT_EQ(encoding_of(message.header), any_eight_bit ? "8bit" : "(none)");
    EXPECT_EQ(field(message.parts[0].header, "Content-Type"),
              encoding_of(message.parts[0].header) == "(none)" ? "text/plain; charset=us-ascii"
                                                               : "text/plain; charset=utf-8");
    return message;
}

// The groups of fields of a delivery-status part.
std::vector<std::string> groups_of(const std::string& body) {
    std::vector<std::string> groups;
    for (std::size_t from = 0; from < body.size();) {
        std::size_t end = body.find("\r\n\r\n", from);
        end = end == std::string::npos ? body.size() : end + 2;
        groups.push_back(body.substr(from, end - from));
        EXPECT_EQ(header_section(groups.back()), groups.back()) << "nothing but fields";
        from = end + 2;
    }
    return groups;
}

std::string decode_quoted_printable(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '=') {
            out += text[i];
        } else {
            if (text.substr(i + 1, 2) != "\r\n")
                out +=
                    static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
            i += 2;
        }
    }
    return out;
}

TEST(DeliveryStatus, HeaderOfAFailure) {
    const Message message =
        take_apart(write_delivery_status(report_of({failed("user@dest.example")})));
    EXPECT_EQ(field(message.header, "From"), "Mail Delivery System <MAILER-DAEMON@gw.example>");
    EXPECT_EQ(field(message.header, "To"), "<sender@orig.example>");
    EXPECT_EQ(field(message.header, "Subject"), "Undelivered mail returned to sender");
    EXPECT_EQ(field(message.header, "Date"), "Mon, 23 Nov 2026 17:35:30 +0000");
    EXPECT_EQ(field(message.header, "Message-ID"), "<00000000000000ff.report@gw.example>");
    EXPECT_EQ(field(message.header, "Auto-Submitted"), "auto-replied");
    EXPECT_EQ(field(message.header, "MIME-Version"), "1.0");
}

TEST(DeliveryStatus, StatusOfAFailure) {
    const Message message =
        take_apart(write_delivery_status(report_of({failed("user@dest.example")})));
    const auto groups = groups_of(message.parts[1].body);
    ASSERT_EQ(groups.size(), 2u);
    EXPECT_EQ(field(groups[0], "Reporting-MTA"), "dns; gw.example");
    EXPECT_EQ(field(groups[0], "X-Postern-Queue-ID"), "00000000000000aa");
    EXPECT_EQ(field(groups[0], "Arrival-Date"), "Mon, 23 Nov 2026 16:35:30 +0000");
    EXPECT_EQ(field(groups[0], "Original-Envelope-Id"), "(none)");
    EXPECT_EQ(field(groups[1], "Final-Recipient"), "rfc822; user@dest.example");
    EXPECT_EQ(field(groups[1], "Action"), "failed");
    EXPECT_EQ(field(groups[1], "Status"), "5.1.1");
    EXPECT_EQ(field(groups[1], "Remote-MTA"), "dns; mx.dest.example");
    EXPECT_EQ(field(groups[1], "Diagnostic-Code"), "smtp; 550 5.1.1 No such user");
    EXPECT_EQ(field(groups[1], "Last-Attempt-Date"), "Mon, 23 Nov 2026 17:35:30 +0000");
    EXPECT_EQ(field(groups[1], "Will-Retry-Until"), "(none)");
}

TEST(DeliveryStatus, TextTellsWhatAndWhy) {
    const Message message =
        take_apart(write_delivery_status(report_of({failed("user@dest.example")})));
    const std::string& text = message.parts[0].body;
    for (const char* expected : {"gw.example", "could not be delivered", "<user@dest.example>",
                                 "mx.dest.example answered: 550 5.1.1 No such user",
                                 "No further attempt", "postmaster@gw.example", "00000000000000aa"})
        EXPECT_NE(text.find(expected), std::string::npos) << expected << " in\n" << text;
    EXPECT_EQ(text.find("warning"), std::string::npos);
}

TEST(DeliveryStatus, OnlyTheHeaderIsReturned) {
    const std::string text = write_delivery_status(report_of({failed("user@dest.example")}));
    EXPECT_EQ(take_apart(text).parts[2].body, "From: sender@orig.example\r\nSubject: hello\r\n");
    EXPECT_EQ(text.find("secret body"), std::string::npos);
}

TEST(DeliveryStatus, AWholeMessageIsReturned) {
    struct Row {
        const char* what;
        std::string content;
        const char* type;
        const char* encoding = "(none)";
    };
    const char *rfc822 = "message/rfc822", *global = "message/global",
               *header = "text/rfc822-headers", *encoded = "quoted-printable";
    const Row rows[] = {
        {"ASCII", "Subject: x\r\n\r\n.dot\r\n--00000000000000ff/0\r\n\x1b\r\n", rfc822},
        {"8-bit", "Subject: x\r\n\r\ngr\xc3\xbc\xc3\x9f \r\n", global, encoded},
        {"Latin-1", "Subject: x\r\n\r\ngr\xfc\xdf\r\n.\r\n", global, encoded},
        {"no line end", "Subject: x\r\n\r\ngr\xfc\xdf", global, encoded},
        {"UTF-8 header", "Subject: \xc3\xbc\r\n\r\n\xfc\r\n", global, encoded},
        {"Latin-1 header", "Subject: \xfc\r\n\r\n\xfc\r\n", header, encoded},
        {"a line of 998", "A: x\r\n\r\n" + std::string(998, 'x') + "\r\n", rfc822},
        {"998, 8-bit", "A: x\r\n\r\n" + std::string(998, '\xfc') + "\r\n", global, encoded},
        {"a line of 999", "A: x\r\n\r\n" + std::string(999, 'x') + "\r\n", header},
        {"999, 8-bit", "A: x\r\n\r\n" + std::string(999, '\xfc') + "\r\n", header},
        {"bare LF", "A: x\r\n\r\na\nb\r\n", header},
        {"bare CR", "A: x\r\n\r\na\rb\r\n", header},
        {"CR at the end", "A: x\r\n\r\na\r", header},
        {"NUL", "A: x\r\n\r\na\0b\r\n"s, header},
    };
    for (const Row& row : rows) {
        SCOPED_TRACE(row.what);
        DeliveryStatusReport report = report_of({failed("a@b")});
        report.original_content = row.content;
        report.return_content = true;
        const Part part = take_apart(write_delivery_status(report), row.type).parts[2];
        EXPECT_EQ(encoding_of(part.header), row.encoding);
        const std::string body =
            row.encoding == std::string(encoded) ? decode_quoted_printable(part.body) : part.body;
        const std::string returned =
            row.type == header ? row.content.substr(0, row.content.find("\r\n") + 2) : row.content;
        EXPECT_EQ(body, returned.ends_with("\r\n") ? returned : returned + "\r\n");
    }
}

TEST(DeliveryStatus, WhatTheSenderCalledIt) {
    DeliveryStatusRecipient one = failed("final@dest.example");
    one.original_recipient = "rfc822;first+list@orig.example";
    DeliveryStatusRecipient other = failed("x@dest.example");
    other.original_recipient = "x-odd;a;b\r\nAction: delivered";
    DeliveryStatusReport report = report_of({one, other});
    report.original_envelope_id = "QQ314159 of mine";
    const auto groups = groups_of(take_apart(write_delivery_status(report)).parts[1].body);
    ASSERT_EQ(groups.size(), 3u);
    EXPECT_EQ(field(groups[0], "Original-Envelope-Id"), "QQ314159 of mine");
    EXPECT_EQ(field(groups[1], "Original-Recipient"), "rfc822; first+list@orig.example");
    EXPECT_EQ(field(groups[1], "Final-Recipient"), "rfc822; final@dest.example");
    EXPECT_EQ(field(groups[2], "Original-Recipient"), "x-odd; a;b??Action: delivered");
    EXPECT_TRUE(groups[1].starts_with("Original-Recipient")); // RFC 3464 2.3: before the final one
}

TEST(DeliveryStatus, Success) {
    struct Row {
        std::vector<DeliveryAction> actions;
        const char* subject;
        const char* text;
        const char* action; // of the first
    };
    const Row rows[] = {
        {{DeliveryAction::delivered}, "Your mail was delivered", "was delivered to", "delivered"},
        {{DeliveryAction::relayed}, "Your mail was passed on", "not confirm", "relayed"},
        {{DeliveryAction::relayed, DeliveryAction::delivered},
         "Your mail was delivered",
         "not confirm",
         "relayed"},
        {{DeliveryAction::delivered, DeliveryAction::delayed},
         "Delayed mail (still being tried)",
         "warning only",
         "delivered"},
        {{DeliveryAction::relayed, DeliveryAction::failed},
         "Undelivered mail returned to sender",
         "No further attempt",
         "relayed"},
    };
    for (const Row& row : rows) {
        DeliveryStatusReport report = report_of({});
        for (DeliveryAction action : row.actions)
            report.recipients.push_back(succeeded("user@dest.example", action));
        const Message message = take_apart(write_delivery_status(report));
        EXPECT_EQ(field(message.header, "Subject"), row.subject);
        EXPECT_NE(message.parts[0].body.find(row.text), std::string::npos) << row.text << " in\n"
                                                                           << message.parts[0].body;
        const auto groups = groups_of(message.parts[1].body);
        ASSERT_EQ(groups.size(), 1 + row.actions.size());
        EXPECT_EQ(field(groups[1], "Action"), row.action);
        EXPECT_EQ(field(groups[1], "Status"), "2.1.5");
        EXPECT_EQ(field(groups[1], "Remote-MTA"), "dns; mx.dest.example");
        EXPECT_EQ(field(groups[1], "Diagnostic-Code"), "smtp; 250 2.1.5 queued as 7");
    }
}

TEST(DeliveryStatus, WhatExpiredMayBeSentAgain) {
    DeliveryStatusRecipient expired = failed("a@b");
    expired.status = status::delivery_time_expired;
    std::string text = take_apart(write_delivery_status(report_of({expired}))).parts[0].body;
    EXPECT_NE(text.find("You may send the message again"), std::string::npos) << text;
    EXPECT_EQ(text.find("Check the addresses"), std::string::npos);
    text = take_apart(write_delivery_status(report_of({expired, failed("c@d")}))).parts[0].body;
    EXPECT_NE(text.find("Check the addresses"), std::string::npos);
}

TEST(DeliveryStatus, Delay) {
    const Message message =
        take_apart(write_delivery_status(report_of({delayed("user@dest.example")})));
    EXPECT_EQ(field(message.header, "Subject"), "Delayed mail (still being tried)");
    const auto groups = groups_of(message.parts[1].body);
    ASSERT_EQ(groups.size(), 2u);
    EXPECT_EQ(field(groups[1], "Action"), "delayed");
    EXPECT_EQ(field(groups[1], "Status"), "4.4.1");
    EXPECT_EQ(field(groups[1], "Remote-MTA"), "(none)");
    EXPECT_EQ(field(groups[1], "Diagnostic-Code"), "X-Postern; connection timed out");
    EXPECT_EQ(field(groups[1], "Will-Retry-Until"), "Fri, 27 Nov 2026 17:35:30 +0000");
    const std::string& text = message.parts[0].body;
    EXPECT_NE(text.find("warning only"), std::string::npos);
    EXPECT_NE(text.find("Fri, 27 Nov 2026 17:35:30 +0000"), std::string::npos);
    EXPECT_EQ(text.find("No further attempt"), std::string::npos);
}

TEST(DeliveryStatus, SeveralRecipientsKeepTheirOrderAndAction) {
    DeliveryStatusReport report =
        report_of({failed("a@x.example"), delayed("b@y.example"), failed("c@z.example")});
    report.original_envelope_id = "ENV id 7";
    report.utc_offset = std::chrono::minutes(60);
    const Message message = take_apart(write_delivery_status(report));
    EXPECT_EQ(field(message.header, "Subject"), "Undelivered mail returned to sender");
    const auto groups = groups_of(message.parts[1].body);
    ASSERT_EQ(groups.size(), 4u);
    EXPECT_EQ(field(groups[0], "Original-Envelope-Id"), "ENV id 7");
    EXPECT_EQ(field(groups[0], "Arrival-Date"), "Mon, 23 Nov 2026 17:35:30 +0100");
    EXPECT_EQ(field(groups[1], "Final-Recipient"), "rfc822; a@x.example");
    EXPECT_EQ(field(groups[2], "Action"), "delayed");
    EXPECT_EQ(field(groups[3], "Final-Recipient"), "rfc822; c@z.example");
}

TEST(DeliveryStatus, StatusFitsTheAction) {
    struct Row {
        DeliveryAction action;
        EnhancedStatusCode given;
        const char* written;
    };
    const Row rows[] = {
        {DeliveryAction::failed, status::none, "5.0.0"},
        {DeliveryAction::failed, status::bad_mailbox, "5.1.1"},
        {DeliveryAction::failed, status::no_answer, "4.4.1"},
        {DeliveryAction::failed, status::success, "5.0.0"},
        {DeliveryAction::delayed, status::none, "4.0.0"},
        {DeliveryAction::delayed, status::no_answer, "4.4.1"},
        {DeliveryAction::delayed, status::bad_mailbox, "4.1.1"},
        {DeliveryAction::delivered, status::none, "2.0.0"},
        {DeliveryAction::relayed, status::bad_mailbox, "2.1.1"},
    };
    for (const Row& row : rows) {
        DeliveryStatusRecipient recipient = failed("a@b");
        recipient.action = row.action;
        recipient.status = row.given;
        const Message message = take_apart(write_delivery_status(report_of({recipient})));
        EXPECT_EQ(field(groups_of(message.parts[1].body).at(1), "Status"), row.written);
    }
}

TEST(DeliveryStatus, QuotedAddressesStayWhatTheyAre) {
    const std::string address = "\"a  b\\\"" + std::string(50, 'x') + " c\"@dest.example";
    DeliveryStatusReport report = report_of({failed(address)});
    report.to = address;
    const Message message = take_apart(write_delivery_status(report));
    EXPECT_EQ(field(message.header, "To"), '<' + address + '>');
    EXPECT_EQ(field(groups_of(message.parts[1].body).at(1), "Final-Recipient"),
              "rfc822; " + address);
}

// RFC 6533 3: to a sender in ASCII the report is 7-bit, whatever it is about, and reaches him over
// hosts that know neither SMTPUTF8 nor 8BITMIME.
TEST(DeliveryStatus, InternationalizedAddressesIn7Bit) {
    DeliveryStatusRecipient recipient = failed("\xc3\xa5sa@dest.example");
    recipient.original_recipient = "utf-8;b\xc3\xb6@old.example";
    const Message message = take_apart(write_delivery_status(report_of({recipient})));
    const auto group = groups_of(message.parts[1].body).at(1);
    EXPECT_EQ(field(group, "Final-Recipient"), "utf-8; \\x{E5}sa@dest.example");
    EXPECT_EQ(field(group, "Original-Recipient"), "utf-8; b\\x{F6}@old.example");
    EXPECT_EQ(encoding_of(message.parts[0].header), "quoted-printable");
    const std::string text = decode_quoted_printable(message.parts[0].body);
    EXPECT_NE(text.find("<\xc3\xa5sa@dest.example>"), std::string::npos) << text;
}

// RFC 6533 4: to a sender in UTF-8 it goes by SMTPUTF8, and has the addresses as they are.
TEST(DeliveryStatus, InternationalizedAddressesToASenderInUtf8) {
    DeliveryStatusRecipient recipient = failed("\xc3\xa5sa@dest.example");
    recipient.original_recipient = "utf-8;b\xc3\xb6@old.example";
    DeliveryStatusRecipient deceptive = failed("a\xe2\x80\xae\xc3\xa5@dest.example"); // U+202E
    deceptive.original_recipient = "rfc822;plain@old.example";
    DeliveryStatusReport report = report_of({recipient, deceptive});
    report.to = "j\xc3\xbcrgen@orig.example";
    const Message message = take_apart(write_delivery_status(report), "text/rfc822-headers", true);
    EXPECT_EQ(field(message.header, "To"), "<j\xc3\xbcrgen@orig.example>");
    const auto groups = groups_of(message.parts[1].body);
    EXPECT_EQ(field(groups.at(1), "Final-Recipient"), "utf-8; \xc3\xa5sa@dest.example");
    EXPECT_EQ(field(groups.at(1), "Original-Recipient"), "utf-8; b\xc3\xb6@old.example");
    EXPECT_EQ(field(groups.at(2), "Final-Recipient"), "utf-8; a\\x{202E}\\x{E5}@dest.example");
    EXPECT_EQ(field(groups.at(2), "Original-Recipient"), "rfc822; plain@old.example");
    EXPECT_EQ(encoding_of(message.parts[0].header), "8bit");
    EXPECT_NE(message.parts[0].body.find("<\xc3\xa5sa@dest.example>"), std::string::npos);
    EXPECT_EQ(message.parts[0].body.find("\xe2\x80\xae"), std::string::npos);
}

// Nothing of an address is cut off: what is left would be another.
// ORCPT can be longer than a path. What does not fit a line is left out: half an address is none.
TEST(DeliveryStatus, AnOriginalRecipientIsWholeOrNotThere) {
    for (const std::size_t letters : {10u, 120u, 140u, 245u})
        for (const bool global : {false, true}) {
            std::string address;
            for (std::size_t i = 0; i < letters; ++i)
                address += "\xd0\xbf";
            DeliveryStatusReport report = report_of({failed("user@dest.example")});
            if (global)
                report.to = "\xd0\xbf@orig.example";
            report.recipients[0].original_recipient = "utf-8;" + address;
            const Message message =
                take_apart(write_delivery_status(report), "text/rfc822-headers", global);
            const std::string written =
                field(groups_of(message.parts[1].body).at(1), "Original-Recipient");
            if (written != "(none)") {
                EXPECT_EQ(parse_utf8_addr(written.substr(7)), address) << written;
            }
            EXPECT_EQ(written == "(none)", !global && letters > 136) << letters;
        }
}

TEST(DeliveryStatus, LongInternationalizedAddresses) {
    std::string local, domain;
    while (local.size() < 62)
        local += "\xc3\xa9";
    while (domain.size() < 182)
        domain += "\xc3\xa9";
    const std::string address = local + '@' + domain + ".example";
    const Message message = take_apart(write_delivery_status(report_of({failed(address)})));
    const std::string written = field(groups_of(message.parts[1].body).at(1), "Final-Recipient");
    EXPECT_EQ(parse_utf8_addr(written.substr(7)), address) << written;
}

// RFC 6533 6.3, RFC 6532 3.7: what of an original is returned, and in which form.
TEST(DeliveryStatus, WhatIsReturnedOfAnInternationalizedMessage) {
    const std::string utf8 = "Subject: gr\xc3\xbc\xc3\x9f\r\n", latin1 = "Subject: gr\xfc\xdf\r\n",
                      ascii = "Subject: x\r\n", body = "\r\ngr\xc3\xbc\xc3\x9f\r\n",
                      control = "Subject: \xc3\xbc\x1b[31m\r\n";
    const std::string encoded = "quoted-printable";
    struct Row {
        const char* what;
        bool smtp_utf8;
        bool to_utf8; // the sender
        std::string content;
        bool whole;
        const char* type;
        std::string encoding;
        std::string returned;
    };
    const Row rows[] = {
        {"header", true, false, utf8 + body, false, "message/global-headers", encoded, utf8},
        {"header, 8-bit", true, true, utf8 + body, false, "message/global-headers", "8bit", utf8},
        {"ASCII", true, false, ascii + body, false, "text/rfc822-headers", "(none)", ascii},
        {"ASCII, 8-bit", true, true, ascii + body, false, "text/rfc822-headers", "(none)", ascii},
        // RFC 6522 4: without SMTPUTF8 it is a broken header.
        {"unannounced", false, false, utf8 + body, false, "text/rfc822-headers", encoded, utf8},
        {"Latin-1", true, false, latin1, false, "text/rfc822-headers", encoded, latin1},
        {"Latin-1, 8-bit", true, true, latin1, false, "text/rfc822-headers", encoded, latin1},
        {"controls", true, true, control, false, "text/rfc822-headers", encoded, control},
        {"whole", true, false, utf8 + body, true, "message/global", encoded, utf8 + body},
        {"whole, 8-bit", true, true, utf8 + body, true, "message/global", "8bit", utf8 + body},
        {"whole, ASCII", true, true, ascii + "\r\nx\r\n", true, "message/rfc822", "(none)",
         ascii + "\r\nx\r\n"},
        {"whole, Latin-1", true, true, latin1 + body, true, "text/rfc822-headers", encoded, latin1},
        {"whole, long line", true, true, utf8 + "\r\n" + std::string(999, 'x') + "\r\n", true,
         "message/global-headers", "8bit", utf8},
    };
    for (const Row& row : rows) {
        SCOPED_TRACE(row.what);
        DeliveryStatusReport report = report_of({failed("a@b")});
        report.original_content = row.content;
        report.original_smtp_utf8 = row.smtp_utf8;
        report.return_content = row.whole;
        if (row.to_utf8)
            report.to = "j\xc3\xbcrgen@orig.example";
        const Part part = take_apart(write_delivery_status(report), row.type, row.to_utf8).parts[2];
        EXPECT_EQ(encoding_of(part.header), row.encoding);
        EXPECT_EQ(row.encoding == encoded ? decode_quoted_printable(part.body) : part.body,
                  row.returned);
    }
}

TEST(DeliveryStatus, LongDiagnosticsAreFolded) {
    std::string words = "550";
    for (int i = 0; i < 100; ++i)
        words += " word" + std::to_string(i);
    DeliveryStatusRecipient wordy = failed("a@b");
    wordy.diagnostic = words;
    DeliveryStatusRecipient endless = failed("c@d");
    endless.diagnostic = std::string(100000, 'x');
    DeliveryStatusRecipient blank = failed("e@f");
    blank.diagnostic = std::string(500, ' ') + "x" + std::string(500, ' ');
    const std::string text = write_delivery_status(report_of({wordy, endless, blank}));
    EXPECT_LT(text.size(), 20000u) << "bounded";
    const auto groups = groups_of(take_apart(text).parts[1].body);
    ASSERT_EQ(groups.size(), 4u);
    EXPECT_EQ(field(groups[1], "Diagnostic-Code"), "smtp; " + words);
    EXPECT_EQ(field(groups[3], "Diagnostic-Code"), "smtp; x");
    EXPECT_EQ(text.find("\r\n \r\n"), std::string::npos) << "no blank continuation";
}

// The next hop says 1 KiB of each of thousands, and the sender perhaps did not write to any: he
// gets little more than their addresses.
TEST(DeliveryStatus, OfThousandsIsBounded) {
    for (bool same : {true, false}) {
        SCOPED_TRACE(same);
        std::vector<DeliveryStatusRecipient> recipients;
        std::string diagnostic = "550 5.1.1 " + std::string(1000, 'x');
        for (int i = 0; i < 10'000; ++i) {
            recipients.push_back(failed("user" + std::to_string(i) + "@dest.example"));
            if (!same)
                diagnostic.replace(4, 5, std::to_string(10'000 + i));
            recipients.back().diagnostic = diagnostic;
        }
        const std::string text = write_delivery_status(report_of(std::move(recipients)));
        EXPECT_LT(text.size(), same ? 4'000'000u : 5'500'000u);
        const Message message = take_apart(text);
        EXPECT_EQ(groups_of(message.parts[1].body).size(), 10'001u);
        std::size_t reasons = 0, addresses = 0;
        const std::string& said = message.parts[0].body;
        for (std::size_t at = 0; (at = said.find(" answered:", at)) != said.npos; ++at)
            ++reasons;
        for (std::size_t at = 0; (at = said.find("@dest.example>\r\n", at)) != said.npos; ++at)
            ++addresses;
        EXPECT_EQ(addresses, 10'000u);
        EXPECT_EQ(reasons, same ? 1u : 10'000u);
    }
}

TEST(DeliveryStatus, NeighboursShareAReason) {
    DeliveryStatusRecipient other = failed("c@d");
    other.diagnostic = "550 5.7.1 Go away";
    const std::string text =
        take_apart(write_delivery_status(report_of(
                       {failed("a@d"), failed("b@d"), other, delayed("e@d"), failed("f@d")})))
            .parts[0]
            .body;
    EXPECT_NE(text.find("  <a@d>\r\n"
                        "  <b@d>\r\n"
                        "    mx.dest.example answered: 550 5.1.1 No such user\r\n"
                        "\r\n"
                        "  <c@d>\r\n"
                        "    mx.dest.example answered: 550 5.7.1 Go away\r\n"
                        "\r\n"
                        "  <f@d>\r\n"
                        "    mx.dest.example answered: 550 5.1.1 No such user\r\n"
                        "\r\n"
                        "No further attempt"),
              std::string::npos)
        << text;
}

TEST(DeliveryStatus, NobodyCanInjectAnything) {
    const std::string evil[] = {
        "x\r\nBcc: victim@example.com",
        "x\nAction: delivered",
        "x\r\n\r\n--00000000000000ff/0--\r\n",
        "\r\n--00000000000000ff/0\r\nContent-Type: text/html\r\n\r\n<b>",
        "x\0y\x1b[31m"s,
        "b\xc3\xbc"
        "cher\xff",
        std::string(5000, 'y'),
        std::string(5000, 'y') + ';' + std::string(5000, 'z'),
        "rfc822;" + std::string(5000, 'z'),
        "",
    };
    for (const std::string& text : evil) {
        SCOPED_TRACE(text.substr(0, 60));
        DeliveryStatusRecipient recipient = failed(text);
        recipient.remote_mta = text;
        recipient.diagnostic = text;
        recipient.original_recipient = text;
        DeliveryStatusReport report = report_of({recipient, failed("good@dest.example")});
        report.reporting_mta = report.to = report.unique = text;
        report.original_id = report.original_envelope_id = text;
        const Message message =
            take_apart(write_delivery_status(report), "text/rfc822-headers", !is_ascii(text));
        EXPECT_EQ(count_fields(message.header, "Bcc"), 0u);
        const auto groups = groups_of(message.parts[1].body);
        ASSERT_EQ(groups.size(), 3u);
        EXPECT_EQ(count_fields(groups[1], "Action"), 1u);
        EXPECT_EQ(field(groups[2], "Final-Recipient"), "rfc822; good@dest.example");
    }
}

TEST(DeliveryStatus, BoundaryOccursInNoPart) {
    DeliveryStatusReport report = report_of({failed("a@b")});
    const std::string content = "X: --00000000000000ff/0\r\nY: --00000000000000ff/1--\r\n"
                                "Z:\r\n --00000000000000ff/2\r\n\r\n";
    report.original_content = content;
    const Message message = take_apart(write_delivery_status(report));
    EXPECT_TRUE(field(message.header, "Content-Type").ends_with("boundary=\"00000000000000ff/3\""));
    EXPECT_EQ(message.parts[2].body + "\r\n", content);
}

TEST(DeliveryStatus, HeadersThatAreNot7BitAreEncoded) {
    std::mt19937 random(2045);
    std::string noise = "X: ";
    for (int i = 0; i < 5000; ++i) {
        char c = static_cast<char>(random());
        noise += c == '\n' ? '\r' : c;
    }
    const std::string contents[] = {
        "Subject: gr\xc3\xbc\xc3\x9f"
        "e\r\nTo: x\r\n",
        "Subject: " + std::string(2000, 'x') + "\r\nTo: x\r\n",
        "Subject: bare\rcr and\nlf\r\n",
        "Subject: a=b \r\nX: \xff trailing\t\r\n",
        "Subject: a\0b\r\n"s,
        noise + "\r\n",
    };
    for (const std::string& content : contents) {
        DeliveryStatusReport report = report_of({failed("a@b")});
        report.original_content = content;
        const Message message = take_apart(write_delivery_status(report));
        EXPECT_EQ(field(message.parts[2].header, "Content-Transfer-Encoding"), "quoted-printable");
        EXPECT_EQ(decode_quoted_printable(message.parts[2].body), content);
        std::size_t from = 0;
        for (std::size_t end; (end = message.parts[2].body.find("\r\n", from)) != std::string::npos;
             from = end + 2)
            EXPECT_LE(end - from, 76u);
    }
}

TEST(DeliveryStatus, ReturnedHeaderIsBounded) {
    std::string content;
    for (int i = 0; i < 10000; ++i)
        content += "X-Line-" + std::to_string(i) + ": text\r\n";
    DeliveryStatusReport report = report_of({failed("a@b")});
    report.original_content = content;
    std::string body = take_apart(write_delivery_status(report)).parts[2].body;
    EXPECT_LE(body.size(), returned_header_limit);
    EXPECT_GT(body.size(), returned_header_limit - 100);
    EXPECT_TRUE(content.starts_with(body));
    EXPECT_TRUE(body.ends_with("text\r\n")) << "whole lines";

    for (const std::string& odd :
         {std::string(), std::string("\r\nbody"), std::string("no header at all"),
          "X: " + std::string(100000, 'x')}) {
        report.original_content = odd;
        body = take_apart(write_delivery_status(report)).parts[2].body;
        EXPECT_EQ(body.find("body"), std::string::npos);
        EXPECT_LT(body.size(), 2 * returned_header_limit);
    }
}

} // namespace
} // namespace postern
