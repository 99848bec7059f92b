#include "smtpd/tables/ldap_filter.h"

#include <gtest/gtest.h>

namespace postern::tables {
namespace {

using namespace std::string_literals;

TEST(LdapFilterTest, ValuesAreEscaped) {
    const std::pair<std::string, std::string> rows[] = {
        {"bob+tag@x.example", "bob+tag@x.example"},
        {"*", "\\2a"},
        {"a)(uid=*", "a\\29\\28uid=\\2a"},
        {"back\\slash", "back\\5cslash"},
        {"a\0b"s, "a\\00b"},
        {"J\u00fcrgen", "J\\c3\\bcrgen"},
        {"\x1f\x7f", "\\1f\\7f"},
        {"", ""},
    };
    for (const auto& [value, escaped] : rows)
        EXPECT_EQ(escape_filter_value(value), escaped);
}

TEST(LdapFilterTest, PlaceholdersAreReplacedOnce) {
    const std::tuple<const char*, const char*, const char*> rows[] = {
        {"(mail=%u)", "bob", "(mail=bob)"},
        {"(|(uid=%s)(cn=%u))", "bob", "(|(uid=bob)(cn=bob))"},
        {"(&(uid=%u)(ou=%h))", "bob", "(&(uid=bob)(ou=people \\28all\\29))"},
        {"(share=100%%)", "bob", "(share=100%)"},
        {"(uid=%u)", "%h", "(uid=%h)"},
        {"(uid=%u)", "*)(uid=root", "(uid=\\2a\\29\\28uid=root)"},
    };
    for (const auto& [filter, key, expanded] : rows)
        EXPECT_EQ(expand_filter(filter, key, "people (all)"), expanded);
}

} // namespace
} // namespace postern::tables
