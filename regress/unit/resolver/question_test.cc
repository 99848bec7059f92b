#include "smtpd/resolver/question.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

TEST(Question, RefusesWhatIsNoName) {
    struct {
        std::string name;
        const char* expected; // empty: refused
    } const cases[] = {
        {"Example.ORG", "example.org"},
        {"example.org.", "example.org"},
        {"_25._tcp.mx.example.org", "_25._tcp.mx.example.org"},
        {"localhost", "localhost"},
        {"", ""},
        {".", ""},
        {"a..b", ""},
        {".a", ""},
        {"a b", ""},
        {"a\\032b", ""},
        {std::string("a\0b", 3), ""},
        {"b\xc3\xbc.example", ""},
        {"1/25.example", ""},
        {std::string(63, 'a') + ".example", nullptr},
        {std::string(64, 'a') + ".example", ""},
        {std::string(60, 'a') + "." + std::string(60, 'b') + "." + std::string(60, 'c') + "." +
             std::string(60, 'd') + ".example",
         nullptr},
        {std::string(60, 'a') + "." + std::string(60, 'b') + "." + std::string(60, 'c') + "." +
             std::string(60, 'd') + ".example.org",
         ""},
    };
    for (const auto& c : cases) {
        ipc::ResolveQuery query;
        query.type = ipc::RecordType::mx;
        query.name = c.name;
        const std::string expected = c.expected ? c.expected : c.name;
        const auto question = make_question(query);
        EXPECT_EQ(question ? question->name : "", expected) << c.name;
    }
}

TEST(Question, TurnsAddressesAround) {
    struct {
        const char* address;
        const char* name;
    } const cases[] = {
        {"192.0.2.1", "1.2.0.192.in-addr.arpa"},
        {"255.0.10.9", "9.10.0.255.in-addr.arpa"},
        {"2001:db8::567:89ab",
         "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"},
    };
    for (const auto& c : cases) {
        ipc::ResolveQuery query;
        query.type = ipc::RecordType::ptr;
        query.address = *IpAddress::parse(c.address);
        EXPECT_EQ(make_question(query)->name, c.name);
    }
}

} // namespace
} // namespace postern
