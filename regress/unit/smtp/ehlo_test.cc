// What a next hop says it can do, in good order and in bad.
#include "common/smtp/ehlo.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

TEST(Ehlo, FullReply) {
    const auto ehlo = parse_ehlo(Reply(
        250,
        "mx.example at your service\nPIPELINING\nSIZE 10485760\n8BITMIME\nENHANCEDSTATUSCODES\n"
        "CHUNKING\nBINARYMIME\nSMTPUTF8\nDSN\nSTARTTLS\nREQUIRETLS\nAUTH PLAIN LOGIN\n"
        "MT-PRIORITY MIXER\nDELIVERBY 120\n"
        "LIMITS MAILMAX=20 RCPTMAX=100 RCPTDOMAINMAX=5"));
    EXPECT_EQ(ehlo.domain, "mx.example");
    EXPECT_TRUE(ehlo.pipelining && ehlo.size && ehlo.eight_bit_mime && ehlo.enhanced_status_codes);
    EXPECT_TRUE(ehlo.chunking && ehlo.binary_mime && ehlo.smtp_utf8 && ehlo.dsn);
    EXPECT_TRUE(ehlo.starttls && ehlo.require_tls && ehlo.priority && ehlo.deliver_by);
    EXPECT_EQ(ehlo.min_by_time, 120u);
    EXPECT_EQ(ehlo.max_size, 10485760u);
    EXPECT_EQ(ehlo.auth, (std::vector<std::string>{"PLAIN", "LOGIN"}));
    EXPECT_TRUE(ehlo.has_auth("plain"));
    EXPECT_FALSE(ehlo.has_auth("PLAI"));
    EXPECT_EQ(ehlo.mail_max, 20u);
    EXPECT_EQ(ehlo.rcpt_max, 100u);
    EXPECT_EQ(ehlo.rcpt_domain_max, 5u);
}

TEST(Ehlo, NothingOffered) {
    for (const char* text : {"", "mx.example", "mx.example Hello", "\n", "PIPELINING"}) {
        const auto ehlo = parse_ehlo(Reply(250, text));
        EXPECT_FALSE(ehlo.pipelining || ehlo.size || ehlo.eight_bit_mime || ehlo.starttls) << text;
        EXPECT_TRUE(ehlo.auth.empty());
        EXPECT_FALSE(ehlo.mail_max || ehlo.rcpt_max || ehlo.rcpt_domain_max);
    }
}

TEST(Ehlo, OddInput) {
    const auto with = [](const std::string& line) { return parse_ehlo(Reply(250, "mx\n" + line)); };
    EXPECT_TRUE(with("pipelining").pipelining);
    EXPECT_TRUE(with("  PIPELINING  ").pipelining);
    EXPECT_TRUE(with("PIPELINING extra words").pipelining);
    EXPECT_FALSE(with("PIPELININGX").pipelining);
    EXPECT_FALSE(with("XPIPELINING").pipelining);
    EXPECT_FALSE(with("X PIPELINING").pipelining);
    EXPECT_TRUE(with("\n\n\nSTARTTLS").starttls);

    for (const char* line :
         {"SIZE", "SIZE 0", "SIZE many", "SIZE -1", "SIZE 10M", "SIZE 99999999999999999999999"}) {
        EXPECT_TRUE(with(line).size) << line;
        EXPECT_EQ(with(line).max_size, 0u) << line;
    }
    EXPECT_FALSE(with("SIZE=100").size);
    EXPECT_EQ(with("size 18446744073709551615").max_size, UINT64_MAX);

    const struct {
        const char* line;
        std::uint64_t min_by_time;
    } deliver_by[] = {{"DELIVERBY", 0},
                      {"deliverby 60", 60},
                      {"DELIVERBY 60,X=1 Y", 60},
                      {"DELIVERBY ,X=1", 0},
                      {"DELIVERBY soon", 0},
                      {"DELIVERBY -5", 0},
                      {"DELIVERBY 99999999999999999999999", 0}};
    for (const auto& row : deliver_by) {
        EXPECT_TRUE(with(row.line).deliver_by) << row.line;
        EXPECT_EQ(with(row.line).min_by_time, row.min_by_time) << row.line;
    }
    EXPECT_FALSE(with("DELIVERBYX").deliver_by);

    EXPECT_TRUE(with("SMTPUTF8").eight_bit_mime); // RFC 6531 3.1
    EXPECT_FALSE(with("8BITMIME").smtp_utf8);

    EXPECT_EQ(with("AUTH=PLAIN LOGIN\nAUTH login cram-md5").auth,
              (std::vector<std::string>{"PLAIN", "LOGIN", "CRAM-MD5"}));
    EXPECT_TRUE(with("AUTH").auth.empty());
    EXPECT_TRUE(with("AUTH=").auth.empty());
    std::string many = "AUTH";
    for (int i = 0; i < 1000; ++i)
        many += " M" + std::to_string(i);
    EXPECT_EQ(with(many).auth.size(), 32u);

    const auto limits =
        with("LIMITS RCPTMAX=0 MAILMAX=x RCPTDOMAINMAX FOO=1 =2 mailmax=7 RCPTMAX=");
    EXPECT_EQ(limits.mail_max, 7u);
    EXPECT_FALSE(limits.rcpt_max);
    EXPECT_FALSE(limits.rcpt_domain_max);
}

} // namespace
} // namespace postern
