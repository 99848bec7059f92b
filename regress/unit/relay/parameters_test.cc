// What is said behind the addresses, as tables: for each next hop what it is told, or why it is not
// asked.
#include "deliver/relay/parameters.h"

#include <gtest/gtest.h>

#include "common/smtp/limits.h"

namespace postern::relay {
namespace {

using namespace std::chrono_literals;

const std::string umlaut = "gr\xc3\xbc\xc3\x9f"; // "grüß"
constexpr TimePoint start{100h};

// What EHLO offers, as words: "DSN SIZE=1000" is DSN and SIZE 1000.
EhloCapabilities offering(std::string words) {
    for (char& c : words)
        c = c == ' ' ? '\n' : c == '=' ? ' ' : c;
    return parse_ehlo(Reply(250, "mx.example\n" + words));
}

// As clients write it, to be told from what is not said at all.
DeliverBy by(std::string_view text) {
    DeliverBy result;
    const size_t semicolon = text.find(';');
    result.seconds = std::stoll(std::string(text.substr(0, semicolon)));
    result.give_up = text[semicolon + 1] == 'R';
    result.trace = text.back() == 'T';
    return result;
}

struct Parameters : testing::Test {
    MemoryContent content{std::string(21, 'x')};
    Message message{content};
    Recipient recipient{"u@d.example"};
    TimePoint now = start;

    Parameters() {
        message.reverse_path = "a@s.example";
        message.as_of = start;
    }
    // "" or " SIZE=21"; "5.6.7" where there is an obstacle.
    std::string mail(const std::string& offered, bool lmtp = false) {
        const EhloCapabilities capabilities = offering(offered);
        const Abilities next_hop{capabilities, lmtp};
        if (const auto obstacle = find_obstacle(message, next_hop, now))
            return to_string(obstacle->status);
        return mail_parameters(message, next_hop, needs_utf8(message), now);
    }
    std::string rcpt(const std::string& offered, bool lmtp = false) {
        const EhloCapabilities capabilities = offering(offered);
        const Abilities next_hop{capabilities, lmtp};
        if (const auto obstacle = find_obstacle(recipient, next_hop))
            return to_string(obstacle->status);
        return recipient_parameters(recipient, next_hop, needs_utf8(recipient));
    }
};

TEST_F(Parameters, SizeAndBody) {
    struct Row {
        const char* what;
        const char* offered;
        Body body;
        bool eight_bit;
        const char* said;
    };
    const Row rows[] = {
        {"nothing offered", "HELP", Body::seven_bit, false, ""},
        {"SIZE", "SIZE", Body::seven_bit, false, " SIZE=21"},
        {"large enough", "SIZE=21", Body::seven_bit, false, " SIZE=21"},
        {"too small", "SIZE=20", Body::seven_bit, false, "5.3.4"},
        {"7-bit content says nothing", "8BITMIME", Body::seven_bit, false, ""},
        {"declared 8-bit", "8BITMIME", Body::eight_bit_mime, false, " BODY=8BITMIME"},
        {"really 8-bit", "8BITMIME", Body::seven_bit, true, " BODY=8BITMIME"},
        {"declared, but 7-bit, and not offered", "HELP", Body::eight_bit_mime, false, ""},
        {"8-bit and not offered", "HELP", Body::eight_bit_mime, true, "5.6.3"},
        {"SMTPUTF8 brings 8BITMIME along", "SMTPUTF8", Body::seven_bit, true, " BODY=8BITMIME"},
        {"binary", "8BITMIME BINARYMIME CHUNKING SIZE", Body::binary_mime, true,
         " SIZE=21 BODY=BINARYMIME"},
        {"binary, by its name alone", "BINARYMIME CHUNKING", Body::binary_mime, false,
         " BODY=BINARYMIME"},
        {"binary and no BDAT", "8BITMIME BINARYMIME", Body::binary_mime, false, "5.6.3"},
        {"binary and no BINARYMIME", "8BITMIME CHUNKING", Body::binary_mime, false, "5.6.3"},
        {"BINARYMIME makes nothing binary", "8BITMIME BINARYMIME CHUNKING", Body::seven_bit, true,
         " BODY=8BITMIME"},
    };
    for (const Row& row : rows) {
        message.parameters.body = row.body;
        message.eight_bit = row.eight_bit;
        EXPECT_EQ(mail(row.offered), row.said) << row.what;
        EXPECT_EQ(mail(row.offered, true), row.said) << row.what << ", LMTP";
    }
}

TEST_F(Parameters, Utf8) {
    struct Row {
        const char* what;
        std::string reverse_path;
        bool utf8_header;
        bool declared;
        const char* offered;
        const char* said;
    };
    const Row rows[] = {
        {"declared and not needed", "a@s.example", false, true, "HELP", ""},
        {"declared, not needed, offered", "a@s.example", false, true, "SMTPUTF8", ""},
        {"the null path", "", false, true, "HELP", ""},
        {"the reverse-path", umlaut + "@s.example", false, true, "SMTPUTF8", " SMTPUTF8"},
        {"the reverse-path, not offered", umlaut + "@s.example", false, true, "8BITMIME", "5.6.7"},
        {"the header", "a@s.example", true, true, "SMTPUTF8", " BODY=8BITMIME SMTPUTF8"},
        {"the header, not offered", "a@s.example", true, true, "8BITMIME", "5.6.9"},
        {"no UTF-8", "gr\xfc@s.example", false, true, "SMTPUTF8", "5.1.7"},
        {"half a character", "gr\xc3", false, true, "SMTPUTF8", "5.1.7"},
        {"an overlong line feed", "a\xc0\x8a@s.example", false, true, "SMTPUTF8", "5.1.7"},
        {"NEXT LINE", "a\xc2\x85@s.example", false, true, "SMTPUTF8", "5.1.7"},
        {"a line feed", "a\n@s.example", false, false, "SMTPUTF8", "5.1.7"},
        {"DEL", "a\x7f@s.example", false, false, "SMTPUTF8", "5.1.7"},
    };
    for (const Row& row : rows) {
        message.reverse_path = row.reverse_path;
        message.utf8_header = message.eight_bit = row.utf8_header;
        message.parameters.smtp_utf8 = row.declared;
        EXPECT_EQ(mail(row.offered), row.said) << row.what;
    }
}

TEST_F(Parameters, DsnOfTheMessage) {
    struct Row {
        Returned returned;
        const char* envelope_id;
        const char* said; // where DSN is offered
    };
    const Row rows[] = {
        {Returned::unspecified, "", ""},
        {Returned::all, "", " RET=FULL"},
        {Returned::header, "", " RET=HDRS"},
        {Returned::unspecified, "QQ+2B1", " ENVID=QQ+2B1"},
        {Returned::header, "id@s.example", " RET=HDRS ENVID=id@s.example"},
        {Returned::unspecified, "a b", "5.5.4"},
        {Returned::unspecified, "a\r\nRSET", "5.5.4"},
        {Returned::unspecified, "+0D+0A", "5.5.4"},
    };
    for (const Row& row : rows) {
        message.parameters.returned = row.returned;
        message.parameters.envelope_id = row.envelope_id;
        EXPECT_EQ(mail("DSN"), row.said) << row.envelope_id;
        const std::string elsewhere = row.said[0] == '5' ? "5.5.4" : "";
        EXPECT_EQ(mail("8BITMIME"), elsewhere) << row.envelope_id;
        EXPECT_EQ(mail("DSN", true), elsewhere) << row.envelope_id << ", LMTP";
    }
}

TEST_F(Parameters, DsnOfTheRecipient) {
    struct Row {
        Notify notify;
        std::string original;
        const char* said; // where DSN is offered
        const char* lmtp; // and there
    };
    const Row rows[] = {
        {notify::unspecified, "", "", ""},
        {notify::never, "", " NOTIFY=NEVER", ""},
        {notify::success | notify::delay, "", " NOTIFY=SUCCESS,DELAY", ""},
        {notify::unspecified, "rfc822;U+2B@d.example", " ORCPT=rfc822;U+2B@d.example",
         " ORCPT=rfc822;U+2B@d.example"},
        {notify::failure, "x400;a", " NOTIFY=FAILURE ORCPT=x400;a", " ORCPT=x400;a"},
        {notify::never | notify::failure, "", "5.5.4", "5.5.4"},
        {16, "", "5.5.4", "5.5.4"},
        {notify::unspecified, "rfc822;a b", "5.5.4", "5.5.4"},
        {notify::unspecified, "rfc822;a\r\nDATA", "5.5.4", "5.5.4"},
        {notify::unspecified, "rfc822;gr\xc3\xbc", "5.5.4", "5.5.4"},
        {notify::unspecified, "utf-8;gr\xfc", "5.5.4", "5.5.4"},
    };
    for (const Row& row : rows) {
        recipient.parameters.notify = row.notify;
        recipient.parameters.original_recipient = row.original;
        EXPECT_EQ(rcpt("DSN"), row.said) << row.original;
        EXPECT_EQ(rcpt("DSN", true), row.lmtp) << row.original << ", LMTP";
        EXPECT_EQ(rcpt("SIZE"), row.said[0] == '5' ? "5.5.4" : "") << row.original;
    }
}

TEST_F(Parameters, RecipientsInUtf8) {
    std::string many;
    for (int i = 0; i < 90; ++i)
        many += "\xc3\xbc";
    struct Row {
        const char* what;
        std::string address;
        std::string original;
        const char* offered;
        std::string said;
    };
    const Row rows[] = {
        {"offered", umlaut + "@d.example", "", "SMTPUTF8", ""},
        {"not offered", umlaut + "@d.example", "", "8BITMIME", "5.6.7"},
        {"the original as it was", umlaut + "@d.example", "utf-8;" + umlaut, "SMTPUTF8 DSN",
         " ORCPT=utf-8;" + umlaut},
        {"the original in a transaction without SMTPUTF8", "u@d.example",
         "utf-8;" + umlaut + "\xf0\x9f\x98\x80@d.example", "DSN",
         " ORCPT=utf-8;gr\\x{FC}\\x{DF}\\x{1F600}@d.example"},
        {"no such form", "u@d.example", "utf-8;" + umlaut + "+41", "DSN", "5.5.4"},
        {"too long then", "u@d.example", "utf-8;" + many, "DSN", ""},
        {"no mailbox", "", "", "SMTPUTF8", "5.1.3"},
        {"a parameter", "a@b.example> NOTIFY=NEVER X=<", "", "SMTPUTF8", "5.1.3"},
        {"a blank in quotes", "\"a <b> \\\"c\"@d.example", "", "SMTPUTF8", ""},
        {"two commands", "u@d.example>\r\nRCPT TO:<v@d.example", "", "SMTPUTF8", "5.1.3"},
        {"no UTF-8", "gr\xfc@d.example", "", "SMTPUTF8", "5.1.3"},
    };
    for (const Row& row : rows) {
        recipient.address = row.address;
        recipient.parameters.original_recipient = row.original;
        EXPECT_EQ(rcpt(row.offered), row.said) << row.what;
    }
}

TEST_F(Parameters, Priority) {
    for (const auto& [priority, said] :
         {std::pair(0, ""), {9, " MT-PRIORITY=9"}, {-9, " MT-PRIORITY=-9"}, {10, "5.5.4"}}) {
        message.parameters.priority = static_cast<std::int8_t>(priority);
        EXPECT_EQ(mail("MT-PRIORITY=MIXER"), said);
        EXPECT_EQ(mail("8BITMIME"), priority == 10 ? "5.5.4" : "");
    }
}

// RFC 2852: `passed` seconds after the message was handed over.
TEST_F(Parameters, DeliverBy) {
    struct Row {
        const char* by;
        int passed;
        const char* offered;
        const char* said;
        const char* lmtp;
    };
    const Row rows[] = {
        {"120;N", 0, "DELIVERBY", " BY=120;N", " BY=120;N"},
        {"120;NT", 20, "DELIVERBY", " BY=100;NT", " BY=100;NT"},
        {"10;N", 10, "DELIVERBY", " BY=0;N", " BY=0;N"},
        {"-5;N", 10, "DELIVERBY", " BY=-15;N", " BY=-15;N"},
        {"-999999999;N", 10, "DELIVERBY", " BY=-999999999;N", " BY=-999999999;N"},
        {"60;N", 0, "DELIVERBY=120", " BY=60;N", " BY=60;N"},
        {"60;N", 0, "HELP", "", ""},
        {"120;R", 0, "DELIVERBY", " BY=120;R", " BY=120;R"},
        {"120;RT", 0, "DELIVERBY=120", " BY=120;RT", " BY=120;RT"},
        {"120;R", 1, "DELIVERBY=120", "5.4.7", " BY=119;R"},
        {"120;R", 119, "DELIVERBY", " BY=1;R", " BY=1;R"},
        {"120;R", 120, "DELIVERBY", "5.4.7", "5.4.7"},
        {"-1;R", 0, "DELIVERBY", "5.4.7", "5.4.7"},
        {"120;R", 0, "HELP", "5.4.7", ""},
    };
    for (const Row& row : rows) {
        message.parameters.deliver_by = by(row.by);
        now = start + std::chrono::seconds(row.passed);
        EXPECT_EQ(mail(row.offered), row.said) << row.by << ", " << row.offered;
        EXPECT_EQ(mail(row.offered, true), row.lmtp) << row.by << ", " << row.offered << ", LMTP";
    }
}

// Who has it in the message has made sure that the server offers it (RFC 8689 4.2.1).
TEST_F(Parameters, RequireTlsIsPassedOn) {
    EXPECT_EQ(mail("REQUIRETLS"), "");
    message.parameters.require_tls = true;
    EXPECT_EQ(mail("REQUIRETLS"), " REQUIRETLS");
}

// RFC 5321 4.5.3.1.4 and what the extensions add to it.
TEST_F(Parameters, TheLongestLinesAreWithinTheirLimits) {
    const std::string longest_path(limits::path - 2, 'x');
    const std::string everything =
        "SIZE 8BITMIME SMTPUTF8 DSN MT-PRIORITY DELIVERBY BINARYMIME CHUNKING";
    message.reverse_path = longest_path;
    message.utf8_header = message.eight_bit = true;
    message.parameters.body = Body::binary_mime;
    message.parameters.returned = Returned::all;
    message.parameters.envelope_id = std::string(100, 'e');
    message.parameters.priority = -9;
    message.parameters.deliver_by = by("-999999999;NT");
    message.parameters.require_tls = true;
    const std::string line = "MAIL FROM:<" + longest_path + ">" + mail(everything) + "\r\n";
    EXPECT_NE(line.find(" BY=-999999999;NT"), line.npos);
    EXPECT_LE(line.size(), limits::mail_command_line);

    recipient.address = longest_path;
    recipient.parameters.notify = notify::success | notify::failure | notify::delay;
    recipient.parameters.original_recipient = "rfc822;" + std::string(493, 'o');
    const std::string to = "RCPT TO:<" + longest_path + ">" + rcpt(everything) + "\r\n";
    EXPECT_NE(to.find("ooo\r\n"), to.npos);
    EXPECT_LE(to.size(), limits::rcpt_command_line);
}

TEST(Handover, Table) {
    const EhloCapabilities plain = offering("8BITMIME"), aware = offering("DSN");
    EXPECT_EQ(handover_to(Abilities{plain, false}), ipc::Handover::relayed);
    EXPECT_EQ(handover_to(Abilities{aware, false}), ipc::Handover::relayed_aware);
    EXPECT_EQ(handover_to(Abilities{plain, true}), ipc::Handover::delivered);
    EXPECT_EQ(handover_to(Abilities{aware, true}), ipc::Handover::delivered);
}

} // namespace
} // namespace postern::relay
