// Domain comparison and table patterns.
#include "common/mail/domain.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

TEST(Domain, Normalized) {
    EXPECT_EQ(normalize_domain("Example.COM"), "example.com");
    EXPECT_EQ(normalize_domain("example.com."), "example.com");
    EXPECT_EQ(normalize_domain(""), "");
    EXPECT_EQ(normalize_domain("."), "");
    EXPECT_EQ(normalize_domain("a.."), "a.");
}

TEST(Domain, Same) {
    EXPECT_TRUE(same_domain("a.Example", "A.eXAMPLE."));
    EXPECT_FALSE(same_domain("a.example", "b.example"));
    EXPECT_FALSE(same_domain("a.example", "a.example.com"));
    EXPECT_FALSE(same_domain("", "a"));
    // Case is that of US-ASCII: '[' and '{' differ by the same bit as 'A' and 'a'.
    EXPECT_FALSE(same_domain("[", "{"));
    EXPECT_FALSE(same_domain("\xc9", "\xe9"));
}

struct Row {
    const char* pattern;
    const char* domain;
    bool matches;
};

const Row rows[] = {
    {"example.com", "example.com", true},
    {"Example.com", "EXAMPLE.com.", true},
    {"example.com.", "example.com", true},
    {"example.com", "a.example.com", false},
    {"example.com", "example.co", false},
    {"example.com", "xexample.com", false},
    {"*.example.com", "a.example.com", true},
    {"*.example.com", "A.EXAMPLE.COM", true},
    {"*.example.com", "a.b.c.example.com", true},
    {"*.example.com", "example.com", false},
    {"*.example.com", "aexample.com", false},
    {"*.example.com", "a.example.com.evil.example", false},
    {"*.example.com", "a.example.comx", false},
    {"*.example.com", "a.example.example.com", true},
    {"*", "anything.example", true},
    {"*", "", true},
    {"**", "x", true},
    {"mx*.example", "mx.example", true},
    {"mx*.example", "mx12.example", true},
    {"mx*.example", "my.example", false},
    {"example.*", "example.org", true},
    {"example.*", "example", false},
    {"*.example.*", "a.example.org", true},
    {"*.example.*", "example.org", false},
    {"", "", true},
    {"", "a", false},
    {"a", "", false},
    {"a?", "ab", false},
    {"[ab]", "a", false},
    {"[127.0.0.1]", "[127.0.0.1]", true},
};

TEST(Domain, Patterns) {
    for (const Row& row : rows)
        EXPECT_EQ(domain_matches(row.pattern, row.domain), row.matches)
            << row.pattern << " and " << row.domain;
}

TEST(Domain, ManyStarsStayCheap) {
    std::string pattern;
    for (int i = 0; i < 100; ++i)
        pattern += "*a";
    EXPECT_FALSE(domain_matches(pattern + "b", std::string(255, 'a')));
    EXPECT_TRUE(domain_matches(pattern, std::string(255, 'a')));
}

} // namespace
} // namespace postern
