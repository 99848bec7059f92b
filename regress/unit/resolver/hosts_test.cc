#include "smtpd/resolver/hosts.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

using ipc::RecordType;
using ipc::ResolveStatus;

constexpr const char* file = "127.0.0.1\tlocalhost\n"
                             "# 192.0.2.9 commented.test\n"
                             "192.0.2.1 Mail.Test mail  # the gateway\n"
                             "192.0.2.2 mail.test\n"
                             "2001:db8::1 six.test\n"
                             "not-an-address name.test\n"
                             "192.0.2.5\n"
                             "192.0.2.6 bad\\name good.test\r\n"
                             "192.0.2.7 last.test";

// What the answer is: "-" to ask the DNS, "" for no data, else names and addresses.
std::string ask(RecordType type, const std::string& what, const char* text = file) {
    DnsQuestion question{type, what, {}};
    if (type == RecordType::ptr) {
        question.address = *IpAddress::parse(what);
        question.name = reverse_name(question.address);
    }
    const auto answer = HostsFile::parse(text).answer(question);
    if (!answer)
        return "-";
    EXPECT_EQ(answer->status, answer->records.empty() ? ResolveStatus::no_data : ResolveStatus::ok);
    EXPECT_FALSE(answer->secure);
    EXPECT_EQ(answer->canonical_name, question.name);
    std::string out;
    for (const auto& record : answer->records)
        out += (out.empty() ? "" : " ") + record.name +
               (record.address.version ? record.address.to_string() : "");
    return out;
}

TEST(Hosts, AnswersForWhatIsListed) {
    struct {
        RecordType type;
        const char* what;
        const char* expected;
    } const cases[] = {
        {RecordType::a, "mail.test", "192.0.2.1 192.0.2.2"},
        {RecordType::a, "mail", "192.0.2.1"},
        {RecordType::aaaa, "mail.test", ""}, // not the DNS's: the file has the name
        {RecordType::aaaa, "six.test", "2001:db8::1"},
        {RecordType::a, "six.test", ""},
        {RecordType::mx, "mail.test", "-"}, // the file says nothing about mail
        {RecordType::txt, "mail.test", "-"},
        {RecordType::a, "commented.test", "-"},
        {RecordType::a, "name.test", "-"},
        {RecordType::a, "good.test", "192.0.2.6"},
        {RecordType::a, "last.test", "192.0.2.7"},
        {RecordType::ptr, "192.0.2.1", "mail.test"},
        {RecordType::ptr, "192.0.2.2", "mail.test"},
        {RecordType::ptr, "192.0.2.6", "good.test"},
        {RecordType::ptr, "192.0.2.5", "-"},
        {RecordType::ptr, "192.0.2.9", "-"},
    };
    for (const auto& c : cases)
        EXPECT_EQ(ask(c.type, c.what), c.expected) << c.what;
}

TEST(Hosts, LocalhostNeverReachesTheDns) {
    EXPECT_EQ(ask(RecordType::a, "localhost"), "127.0.0.1");
    EXPECT_EQ(ask(RecordType::aaaa, "localhost"), ""); // the file lists it without one
    EXPECT_EQ(ask(RecordType::aaaa, "localhost", ""), "::1");
    EXPECT_EQ(ask(RecordType::a, "a.b.localhost", ""), "127.0.0.1");
    EXPECT_EQ(ask(RecordType::mx, "localhost", ""), "");
    EXPECT_EQ(ask(RecordType::ptr, "127.0.0.1", ""), "localhost");
    EXPECT_EQ(ask(RecordType::ptr, "::1", ""), "localhost");
    EXPECT_EQ(ask(RecordType::ptr, "127.0.0.2", ""), "-");
    EXPECT_EQ(ask(RecordType::a, "notlocalhost", ""), "-");
}

} // namespace
} // namespace postern
