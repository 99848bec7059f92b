// The address grammar of RFC 5321 4.1.2 and 4.1.3, row by row: what is a mailbox or a path, what it
// means, how it is written again, and what is wrong with the rest.
#include "common/smtp/address.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

using namespace std::string_literals; // for strings with a NUL inside

using E = AddressError;

const std::string l61(61, 'l');
const std::string l63(63, 'l');
const std::string l64(64, 'l');
const std::string l65(65, 'l');
// 63 + 1 + 63 + 1 + 63 + 1 + 63 = 255
const std::string d255 = l63 + '.' + l63 + '.' + l63 + '.' + l63;
// 187, with a local part of 64, '@' and brackets: a path of 254
const std::string d187 = l63 + '.' + l63 + '.' + std::string(59, 'm');

struct Good {
    std::string text;
    std::string local_part;
    std::string domain;
    std::string wire = {}; // if it differs from `text`
};

const Good good_mailboxes[] = {
    // dot-string
    {"a@b", "a", "b"},
    {"user@example.com", "user", "example.com"},
    {"User@example.com", "User", "example.com"},
    {"USER@EXAMPLE.COM", "USER", "example.com", "USER@example.com"},
    {"user@ExAmPlE.CoM", "user", "example.com", "user@example.com"},
    {"first.last@example.com", "first.last", "example.com"},
    {"a.b.c.d.e.f@example.com", "a.b.c.d.e.f", "example.com"},
    {"user+tag@example.com", "user+tag", "example.com"},
    {"user+@example.com", "user+", "example.com"},
    {"+@example.com", "+", "example.com"},
    {"-@example.com", "-", "example.com"},
    {"-user@example.com", "-user", "example.com"},
    {"user-@example.com", "user-", "example.com"},
    {"_@example.com", "_", "example.com"},
    {"_user_@example.com", "_user_", "example.com"},
    {"0@example.com", "0", "example.com"},
    {"1234567890@example.com", "1234567890", "example.com"},
    {"!@example.com", "!", "example.com"},
    {"host!user@example.com", "host!user", "example.com"},
    {"user%host@example.com", "user%host", "example.com"},
    {"#@example.com", "#", "example.com"},
    {"$@example.com", "$", "example.com"},
    {"%@example.com", "%", "example.com"},
    {"&@example.com", "&", "example.com"},
    {"'@example.com", "'", "example.com"},
    {"*@example.com", "*", "example.com"},
    {"/@example.com", "/", "example.com"},
    {"=@example.com", "=", "example.com"},
    {"?@example.com", "?", "example.com"},
    {"^@example.com", "^", "example.com"},
    {"`@example.com", "`", "example.com"},
    {"{}@example.com", "{}", "example.com"},
    {"|@example.com", "|", "example.com"},
    {"~@example.com", "~", "example.com"},
    {"!#$%&'*+-/=?^_`{|}~@example.com", "!#$%&'*+-/=?^_`{|}~", "example.com"},
    {"/c=de/o=x/@example.com", "/c=de/o=x/", "example.com"},
    {"SRS0=hash=tt=orig.example=user@fwd.example", "SRS0=hash=tt=orig.example=user", "fwd.example"},
    {"prvs=1234abcdef=user@example.com", "prvs=1234abcdef=user", "example.com"},
    {"bounce-123-user=dest.example@list.example", "bounce-123-user=dest.example", "list.example"},
    {"o'brien@example.ie", "o'brien", "example.ie"},
    {"a/b@example.com", "a/b", "example.com"},
    {"customer/department=shipping@example.com", "customer/department=shipping", "example.com"},
    {l64 + "@example.com", l64, "example.com"},
    // quoted-string: quoting is undone, and done again only where needed
    {"\"user\"@example.com", "user", "example.com", "user@example.com"},
    {"\"first.last\"@example.com", "first.last", "example.com", "first.last@example.com"},
    {"\"a b\"@example.com", "a b", "example.com"},
    {"\" \"@example.com", " ", "example.com"},
    {"\"  two  \"@example.com", "  two  ", "example.com"},
    {"\"\"@example.com", "", "example.com"},
    {"\"a@b\"@example.com", "a@b", "example.com"},
    {"\"a,b\"@example.com", "a,b", "example.com"},
    {"\"Joe\\,Smith\"@example.com", "Joe,Smith", "example.com", "\"Joe,Smith\"@example.com"},
    {"\"a;b\"@example.com", "a;b", "example.com"},
    {"\"a:b\"@example.com", "a:b", "example.com"},
    {"\"<a>\"@example.com", "<a>", "example.com"},
    {"\"(a)\"@example.com", "(a)", "example.com"},
    {"\"[a]\"@example.com", "[a]", "example.com"},
    {"\"a\\\"b\"@example.com", "a\"b", "example.com"},
    {"\"a\\\\b\"@example.com", "a\\b", "example.com"},
    {"\"\\\\\"@example.com", "\\", "example.com"},
    {"\"\\\"\"@example.com", "\"", "example.com"},
    {"\"\\a\\b\\c\"@example.com", "abc", "example.com", "abc@example.com"},
    {"\"\\ \"@example.com", " ", "example.com", "\" \"@example.com"},
    {"\".\"@example.com", ".", "example.com"},
    {"\"..\"@example.com", "..", "example.com"},
    {"\".a\"@example.com", ".a", "example.com"},
    {"\"a.\"@example.com", "a.", "example.com"},
    {"\"a..b\"@example.com", "a..b", "example.com"},
    {"\"very.(),:;<>[]\\\".VERY.\\\"very@\\\\ \\\"very\\\".unusual\"@example.com",
     "very.(),:;<>[]\".VERY.\"very@\\ \"very\".unusual", "example.com"},
    {'"' + std::string(62, 'q') + "\"@example.com", std::string(62, 'q'), "example.com",
     std::string(62, 'q') + "@example.com"},
    // domains
    {"a@localhost", "a", "localhost"},
    {"a@1", "a", "1"},
    {"a@1.2.3.4", "a", "1.2.3.4"},
    {"a@0.example", "a", "0.example"},
    {"a@3com.com", "a", "3com.com"},
    {"a@a-b.example", "a", "a-b.example"},
    {"a@a--b.example", "a", "a--b.example"},
    {"a@xn--bcher-kva.example", "a", "xn--bcher-kva.example"},
    {"a@XN--BCHER-KVA.EXAMPLE", "a", "xn--bcher-kva.example", "a@xn--bcher-kva.example"},
    {"a@a.b.c.d.e.f.g.h.example", "a", "a.b.c.d.e.f.g.h.example"},
    {"a@" + l63 + ".example", "a", l63 + ".example"},
    {"a@" + d255, "a", d255},
    // address literals, in canonical form
    {"a@[127.0.0.1]", "a", "[127.0.0.1]"},
    {"a@[0.0.0.0]", "a", "[0.0.0.0]"},
    {"a@[255.255.255.255]", "a", "[255.255.255.255]"},
    {"a@[192.000.002.001]", "a", "[192.0.2.1]", "a@[192.0.2.1]"},
    {"a@[010.8.08.9]", "a", "[10.8.8.9]", "a@[10.8.8.9]"},
    {"a@[IPv6:::1]", "a", "[IPv6:::1]"},
    {"a@[IPv6:::]", "a", "[IPv6:::]"},
    {"a@[ipv6:::1]", "a", "[IPv6:::1]", "a@[IPv6:::1]"},
    {"a@[IPV6:2001:DB8::1]", "a", "[IPv6:2001:db8::1]", "a@[IPv6:2001:db8::1]"},
    {"a@[IPv6:2001:db8:0:0:0:0:0:1]", "a", "[IPv6:2001:db8::1]", "a@[IPv6:2001:db8::1]"},
    {"a@[IPv6:1:2:3:4:5:6:7:8]", "a", "[IPv6:1:2:3:4:5:6:7:8]"},
    {"a@[IPv6:1:2:3:4:5:6::]", "a", "[IPv6:1:2:3:4:5:6::]"},
    {"a@[IPv6:::3:4:5:6:7:8]", "a", "[IPv6:::3:4:5:6:7:8]"},
    {"a@[IPv6:::ffff:192.0.2.1]", "a", "[IPv6:::ffff:192.0.2.1]"},
    {"a@[IPv6:1:2:3:4:5:6:192.0.2.1]", "a", "[IPv6:1:2:3:4:5:6:c000:201]",
     "a@[IPv6:1:2:3:4:5:6:c000:201]"},
    {"a@[IPv6:1:2:3:4::192.0.2.1]", "a", "[IPv6:1:2:3:4::c000:201]", "a@[IPv6:1:2:3:4::c000:201]"},
    {"a@[Tag:content]", "a", "[Tag:content]"},
    {"a@[X400:c=de;a=x/!]", "a", "[X400:c=de;a=x/!]"},
    {"a@[a-b:c:d:e]", "a", "[a-b:c:d:e]"},
};

TEST(Mailbox, GoodOnes) {
    for (const Good& row : good_mailboxes) {
        SCOPED_TRACE(row.text);
        AddressError error = E::empty;
        const auto mailbox = parse_mailbox(row.text, &error);
        ASSERT_TRUE(mailbox) << to_string(error);
        EXPECT_EQ(error, E::none);
        EXPECT_EQ(mailbox->local_part(), row.local_part);
        EXPECT_EQ(mailbox->domain(), row.domain);
        EXPECT_EQ(mailbox->to_string(), row.wire.empty() ? row.text : row.wire);
        EXPECT_EQ(parse_mailbox(mailbox->to_string()), mailbox) << "written form reads back";
        EXPECT_FALSE(mailbox->is_null());
        EXPECT_EQ(mailbox->is_literal(), row.domain.front() == '[');
    }
}

// Every good mailbox in brackets is a path, as long as the path's own limit allows.
TEST(Path, GoodMailboxesInBrackets) {
    for (const Good& row : good_mailboxes) {
        SCOPED_TRACE(row.text);
        const std::string path = '<' + row.text + '>';
        AddressError error = E::none;
        if (path.size() > 256) {
            EXPECT_FALSE(parse_reverse_path(path, &error));
            EXPECT_EQ(error, E::path_too_long);
            continue;
        }
        const auto reverse = parse_reverse_path(path, &error);
        ASSERT_TRUE(reverse) << to_string(error);
        EXPECT_EQ(reverse->local_part(), row.local_part);
        EXPECT_EQ(reverse->domain(), row.domain);
        EXPECT_EQ(parse_forward_path(path), reverse);
        EXPECT_EQ(parse_forward_path("<@relay.example:" + row.text + '>'), reverse);
        EXPECT_EQ(parse_reverse_path(reverse->to_path()), reverse);
    }
}

struct Bad {
    std::string text;
    AddressError error;
};

const Bad bad_mailboxes[] = {
    {"", E::empty},
    {"user", E::no_domain},
    {"user.name", E::no_domain},
    {"postmaster", E::no_domain},
    {"\"user\"", E::no_domain},
    {"@", E::bad_local_part},
    {"@example.com", E::bad_local_part},
    {".@example.com", E::bad_local_part},
    {".user@example.com", E::bad_local_part},
    {"user.@example.com", E::bad_local_part},
    {"us..er@example.com", E::bad_local_part},
    {"us er@example.com", E::bad_local_part},
    {" user@example.com", E::bad_local_part},
    {"user @example.com", E::bad_local_part},
    {"user\t@example.com", E::bad_local_part},
    {"us(comment)er@example.com", E::bad_local_part},
    {"us,er@example.com", E::bad_local_part},
    {"us;er@example.com", E::bad_local_part},
    {"us:er@example.com", E::bad_local_part},
    {"us<er@example.com", E::bad_local_part},
    {"us>er@example.com", E::no_domain},
    {"us[er@example.com", E::bad_local_part},
    {"us]er@example.com", E::bad_local_part},
    {"us\\er@example.com", E::bad_local_part},
    {"us\\@er@example.com", E::bad_local_part},
    {"us\"er@example.com", E::bad_local_part},
    {"us\"e\"r@example.com", E::bad_local_part},
    {"\"us\"er@example.com", E::bad_local_part},
    {"\"us\".er@example.com", E::bad_local_part},
    {"us.\"er\"@example.com", E::bad_local_part},
    {"\"us\"\"er\"@example.com", E::bad_local_part},
    {"\"us\" @example.com", E::bad_local_part},
    {"us\rer@example.com", E::bad_local_part},
    {"us\ner@example.com", E::bad_local_part},
    {"us\r\ner@example.com", E::bad_local_part},
    {"us\0er@example.com"s, E::bad_local_part},
    {"us\x7f"
     "er@example.com",
     E::bad_local_part},
    {"\"us\rer\"@example.com", E::bad_local_part},
    {"\"us\ner\"@example.com", E::bad_local_part},
    {"\"us\ter\"@example.com", E::bad_local_part},
    {"\"us\x7f"
     "er\"@example.com",
     E::bad_local_part},
    {"\"us\\\ner\"@example.com", E::bad_local_part},
    {"\"us\\\ter\"@example.com", E::bad_local_part},
    {"\"\0\"@example.com"s, E::bad_local_part},
    {"\"\\\0\"@example.com"s, E::bad_local_part},
    {"\"user@example.com", E::unterminated},
    {"\"user\\\"@example.com", E::unterminated},
    {"\"", E::unterminated},
    {"\"\\", E::unterminated},
    {"\"user\\", E::unterminated},
    {l65 + "@example.com", E::local_part_too_long},
    {std::string(1000, 'x') + "@example.com", E::local_part_too_long},
    {'"' + std::string(63, 'q') + "\"@example.com", E::local_part_too_long},
    {l64 + ".b@example.com", E::local_part_too_long},
    {"user@", E::bad_domain},
    {"user@.", E::bad_domain},
    {"user@example.com.", E::bad_domain},
    {"user@.example.com", E::bad_domain},
    {"user@example..com", E::bad_domain},
    {"user@-example.com", E::bad_domain},
    {"user@example-.com", E::bad_domain},
    {"user@example.-com", E::bad_domain},
    {"user@example.com-", E::bad_domain},
    {"user@-", E::bad_domain},
    {"user@exam_ple.com", E::trailing_text},
    {"user@_dmarc.example.com", E::bad_domain},
    {"user@exam ple.com", E::trailing_text},
    {"user@ example.com", E::bad_domain},
    {"user@example.com ", E::trailing_text},
    {"user@example.com>", E::trailing_text},
    {"user@example.com\r", E::trailing_text},
    {"user@example.com\n", E::trailing_text},
    {"user@example.com,other@example.com", E::trailing_text},
    {"user@other@example.com", E::trailing_text},
    {"user@@example.com", E::bad_domain},
    {"user@example.com:25", E::trailing_text},
    {"user@exa*mple.com", E::trailing_text},
    {"user@exa!mple.com", E::trailing_text},
    {"user@\"example.com\"", E::bad_domain},
    {"user@(c)example.com", E::bad_domain},
    {"user@exa\0mple.com"s, E::trailing_text},
    {"user@" + l64 + ".example", E::bad_domain},
    {"user@example." + l64, E::bad_domain},
    {"user@" + d255 + ".m", E::domain_too_long},
    {"user@" + std::string(300, 'm'), E::domain_too_long},
    {"user@[", E::unterminated},
    {"user@[127.0.0.1", E::unterminated},
    {"user@[IPv6:::1", E::unterminated},
    {"user@[]", E::bad_address_literal},
    {"user@[ ]", E::bad_address_literal},
    {"user@[1]", E::bad_address_literal},
    {"user@[1.2]", E::bad_address_literal},
    {"user@[1.2.3]", E::bad_address_literal},
    {"user@[1.2.3.]", E::bad_address_literal},
    {"user@[1.2.3.4.]", E::bad_address_literal},
    {"user@[.1.2.3.4]", E::bad_address_literal},
    {"user@[1.2.3.4.5]", E::bad_address_literal},
    {"user@[1..3.4]", E::bad_address_literal},
    {"user@[256.0.0.1]", E::bad_address_literal},
    {"user@[1.2.3.256]", E::bad_address_literal},
    {"user@[1.2.3.999]", E::bad_address_literal},
    {"user@[1.2.3.0004]", E::bad_address_literal},
    {"user@[1.2.3.-4]", E::bad_address_literal},
    {"user@[1.2.3.+4]", E::bad_address_literal},
    {"user@[1.2.3.a]", E::bad_address_literal},
    {"user@[0x7f.0.0.1]", E::bad_address_literal},
    {"user@[ 1.2.3.4]", E::bad_address_literal},
    {"user@[1.2.3.4 ]", E::bad_address_literal},
    {"user@[2130706433]", E::bad_address_literal},
    {"user@[::1]", E::bad_address_literal},
    {"user@[IPv6:]", E::bad_address_literal},
    {"user@[IPv6:1]", E::bad_address_literal},
    {"user@[IPv6:1.2.3.4]", E::bad_address_literal},
    {"user@[IPv6:1:2:3:4:5:6:7]", E::bad_address_literal},
    {"user@[IPv6:1:2:3:4:5:6:7:8:9]", E::bad_address_literal},
    {"user@[IPv6:1::2::3]", E::bad_address_literal},
    {"user@[IPv6::::]", E::bad_address_literal},
    {"user@[IPv6:12345::1]", E::bad_address_literal},
    {"user@[IPv6:g::1]", E::bad_address_literal},
    {"user@[IPv6:fe80::1%eth0]", E::bad_address_literal},
    {"user@[IPv6:::1/128]", E::bad_address_literal},
    {"user@[IPv6: ::1]", E::bad_address_literal},
    // 4.1.3: "::" stands for two groups at least, one with an IPv4 tail counts as two
    {"user@[IPv6:1:2:3:4:5:6:7::]", E::bad_address_literal},
    {"user@[IPv6:1:2:3::5:6:7:8]", E::bad_address_literal},
    {"user@[IPv6:1:2:3:4:5::192.0.2.1]", E::bad_address_literal},
    {"user@[IPv6:::1.2.3.256]", E::bad_address_literal},
    {"user@[:content]", E::bad_address_literal},
    {"user@[Tag:]", E::bad_address_literal},
    {"user@[Tag-:content]", E::bad_address_literal},
    {"user@[T_g:content]", E::bad_address_literal},
    {"user@[Tag:con tent]", E::bad_address_literal},
    {"user@[Tag:con\\tent]", E::bad_address_literal},
    {"user@[Tag:con[tent]", E::bad_address_literal},
    {"user@[Tag:con\ttent]", E::bad_address_literal},
    {"user@[Tag:content]]", E::trailing_text},
    {"user@[127.0.0.1].example", E::trailing_text},
    {"user@[127.0.0.1]x", E::trailing_text},
    {"user@x[127.0.0.1]", E::trailing_text},
    {"user@[Tag:" + std::string(255, 'c') + ']', E::domain_too_long},
    {"\xc3\xbcser@example.com", E::non_ascii},
    {"us\xc3\xa9r@example.com", E::non_ascii},
    {"\"us\xc3\xa9r\"@example.com", E::non_ascii},
    {"\"us\\\xc3\xa9r\"@example.com", E::non_ascii},
    {"user@b\xc3\xbc"
     "cher.example",
     E::non_ascii},
    {"user@\xe4\xbe\x8b.example", E::non_ascii},
    {"user@[Tag:\xc3\xbc]", E::non_ascii},
    {"us\x80r@example.com", E::non_ascii},
    {"us\xffr@example.com", E::non_ascii},
};

TEST(Mailbox, BadOnes) {
    for (const Bad& row : bad_mailboxes) {
        SCOPED_TRACE(row.text);
        AddressError error = E::none;
        EXPECT_FALSE(parse_mailbox(row.text, &error));
        EXPECT_EQ(error, row.error) << to_string(error);
        // In brackets it is no path either, whatever the reason is then.
        if (!row.text.empty() && row.text.find('>') == std::string::npos &&
            row.text != "postmaster") {
            EXPECT_FALSE(parse_forward_path('<' + row.text + '>'));
            EXPECT_FALSE(parse_reverse_path('<' + row.text + '>'));
        }
    }
}

struct BadPath {
    std::string text;
    AddressError reverse;
    AddressError forward;
};

const BadPath bad_paths[] = {
    {"", E::empty, E::empty},
    {"user@example.com", E::no_angle_bracket, E::no_angle_bracket},
    {" <user@example.com>", E::no_angle_bracket, E::no_angle_bracket},
    {"postmaster", E::no_angle_bracket, E::no_angle_bracket},
    {">", E::no_angle_bracket, E::no_angle_bracket},
    {"\xc3\xbc@example.com", E::non_ascii, E::non_ascii},
    {"<", E::unterminated, E::unterminated},
    {"<user", E::unterminated, E::unterminated},
    {"<user@", E::bad_domain, E::bad_domain},
    {"<user@example.com", E::unterminated, E::unterminated},
    {"<user@[127.0.0.1]", E::unterminated, E::unterminated},
    {"<\"user@example.com>", E::unterminated, E::unterminated},
    {"<postmaster", E::unterminated, E::unterminated},
    {"<user>", E::no_domain, E::no_domain},
    {"<postmaster>", E::no_domain, E::none},
    {"<POSTmaster>", E::no_domain, E::none},
    {"<\"postmaster\">", E::no_domain, E::none},
    {"<postmaster@>", E::bad_domain, E::bad_domain},
    {"<postmasters>", E::no_domain, E::no_domain},
    {"<>", E::none, E::null_not_allowed},
    {"< >", E::bad_local_part, E::bad_local_part},
    {"<<>>", E::bad_local_part, E::bad_local_part},
    {"<<user@example.com>>", E::bad_local_part, E::bad_local_part},
    {"<@>", E::bad_source_route, E::bad_source_route},
    {"<@example.com>", E::bad_source_route, E::bad_source_route},
    {"<@a:>", E::bad_local_part, E::bad_local_part},
    {"<@:user@example.com>", E::bad_source_route, E::bad_source_route},
    {"<@a,:user@example.com>", E::bad_source_route, E::bad_source_route},
    {"<@a,b:user@example.com>", E::bad_source_route, E::bad_source_route},
    {"<@a@b:user@example.com>", E::bad_source_route, E::bad_source_route},
    {"<@a,,@b:user@example.com>", E::bad_source_route, E::bad_source_route},
    {"<@a, @b:user@example.com>", E::bad_source_route, E::bad_source_route},
    {"<@a_b:user@example.com>", E::bad_source_route, E::bad_source_route},
    {"<@-a:user@example.com>", E::bad_source_route, E::bad_source_route},
    {"<@a", E::bad_source_route, E::bad_source_route},
    {"<@a,@b", E::bad_source_route, E::bad_source_route},
    {"<@\xc3\xbc:user@example.com>", E::non_ascii, E::non_ascii},
    {"<@a:user>", E::no_domain, E::no_domain},
    {"<user@example.com>>", E::trailing_text, E::trailing_text},
    {"<user@example.com> ", E::trailing_text, E::trailing_text},
    {"<user@example.com>x", E::trailing_text, E::trailing_text},
    {"<>x", E::trailing_text, E::null_not_allowed},
    {"<user@example.com\r\n>", E::bad_domain, E::bad_domain},
    {'<' + l64 + '@' + d187 + "m>", E::none, E::none},  // 255
    {'<' + l64 + '@' + d187 + "mm>", E::none, E::none}, // 256
    {'<' + l64 + '@' + d187 + "mmm>", E::path_too_long, E::path_too_long},
    {"<@" + d187 + ':' + l64 + "@ab>", E::path_too_long, E::path_too_long},
};

TEST(Path, TableOfFailures) {
    for (const BadPath& row : bad_paths) {
        SCOPED_TRACE(row.text);
        AddressError error = E::none;
        EXPECT_EQ(parse_reverse_path(row.text, &error).has_value(), row.reverse == E::none);
        EXPECT_EQ(error, row.reverse) << to_string(error);
        EXPECT_EQ(parse_forward_path(row.text, &error).has_value(), row.forward == E::none);
        EXPECT_EQ(error, row.forward) << to_string(error);
    }
}

TEST(Path, SourceRoutesAreIgnored) {
    const Mailbox expected("user", "example.com");
    for (const char* route : {"", "@a:", "@a,@b:", "@relay.example,@x.y.z,@1:", "@A-B:"}) {
        const std::string path = '<' + std::string(route) + "user@example.com>";
        EXPECT_EQ(parse_reverse_path(path), expected) << path;
        EXPECT_EQ(parse_forward_path(path), expected) << path;
    }
}

TEST(Path, NullAndPostmaster) {
    const auto null = parse_reverse_path("<>");
    ASSERT_TRUE(null);
    EXPECT_TRUE(null->is_null());
    EXPECT_EQ(null->to_path(), "<>");
    EXPECT_EQ(null->to_string(), "");

    const auto postmaster = parse_forward_path("<PostMaster>");
    ASSERT_TRUE(postmaster);
    EXPECT_TRUE(postmaster->is_postmaster());
    EXPECT_EQ(postmaster->domain(), "");
    EXPECT_EQ(postmaster->to_path(), "<PostMaster>");
    EXPECT_FALSE(postmaster->is_null());

    // A quoted empty local part is somebody, not the null path.
    const auto nobody = parse_reverse_path("<\"\"@example.com>");
    ASSERT_TRUE(nobody);
    EXPECT_FALSE(nobody->is_null());
    EXPECT_EQ(nobody->to_path(), "<\"\"@example.com>");
}

TEST(Path, TakenOffTheFront) {
    std::string_view text = "<user@example.com> SIZE=100";
    EXPECT_TRUE(take_reverse_path(text));
    EXPECT_EQ(text, " SIZE=100");
    text = "<postmaster>";
    EXPECT_TRUE(take_forward_path(text));
    EXPECT_EQ(text, "");
    text = "<\"> \"@example.com> X";
    EXPECT_TRUE(take_forward_path(text));
    EXPECT_EQ(text, " X");
    text = "<bad> X";
    EXPECT_FALSE(take_forward_path(text));
    EXPECT_EQ(text, "<bad> X") << "nothing is taken on failure";
}

TEST(Mailbox, EqualHoweverQuoted) {
    const auto plain = parse_mailbox("first.last@example.com");
    for (const char* form : {"\"first.last\"@example.com", "\"fi\\rst.last\"@EXAMPLE.com",
                             "\"\\f\\i\\r\\s\\t\\.\\l\\a\\s\\t\"@example.COM"})
        EXPECT_EQ(parse_mailbox(form), plain) << form;
    EXPECT_NE(parse_mailbox("First.last@example.com"), plain) << "local parts keep their case";
}

// Every octet in every place where it might stand.
TEST(Mailbox, EveryOctet) {
    const std::string atext = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                              "!#$%&'*+-/=?^_`{|}~";
    const auto parses = [](std::string text) { return parse_mailbox(text).has_value(); };
    for (int octet = 0; octet < 256; ++octet) {
        SCOPED_TRACE(octet);
        const char c = static_cast<char>(octet);
        const std::string s(1, c);
        const bool is_atext = atext.find(c) != std::string::npos;
        const bool printable = octet >= 32 && octet < 127;
        const bool let_dig =
            (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        EXPECT_EQ(parses(s + "@example.com"), is_atext);
        EXPECT_EQ(parses("a" + s + "b@example.com"), is_atext || c == '.');
        EXPECT_EQ(parses("\"a" + s + "b\"@example.com"), printable && c != '"');
        EXPECT_EQ(parses("\"a\\" + s + "b\"@example.com"), printable);
        EXPECT_EQ(parses("a@" + s), let_dig);
        EXPECT_EQ(parses("a@a" + s + "b"), let_dig || c == '-' || c == '.');
        EXPECT_EQ(parses("a@[Tag:" + s + "]"),
                  printable && c != ' ' && c != '[' && c != ']' && c != '\\');
        if (octet >= 128) {
            AddressError error = E::none;
            parse_mailbox("a" + s + "@b", &error);
            EXPECT_EQ(error, E::non_ascii);
        }
    }
}

// No prefix of a path is a path: what was cut off on its way is not taken for something else.
TEST(Path, NoPrefixIsAPath) {
    for (const Good& row : good_mailboxes) {
        const std::string path = '<' + row.text + '>';
        for (std::size_t length = 0; length < path.size(); ++length)
            EXPECT_FALSE(parse_forward_path(path.substr(0, length))) << path.substr(0, length);
    }
}

TEST(Domain, Syntax) {
    struct Row {
        std::string text;
        bool refused;  // result without underscores
        bool accepted; // result with underscores
    };
    const Row rows[] = {
        {"", false, false},
        {".", false, false},
        {"a", true, true},
        {"A.B", true, true},
        {"a.", false, false},
        {".a", false, false},
        {"a..b", false, false},
        {"a-b", true, true},
        {"-a", false, false},
        {"a-", false, false},
        {"_", false, true},
        {"a_b.example", false, true},
        {"_a", false, true},
        {"a b", false, false},
        {"a/b", false, false},
        {"[127.0.0.1]", false, false},
        {"b\xc3\xbc"
         "cher",
         false, false},
        {l63, true, true},
        {l64, false, false},
        {d255, true, true},
        {d255 + "l", false, false},
        {d255.substr(2) + ".m", true, true},
        {d255 + ".m", false, false},
    };
    for (const Row& row : rows) {
        EXPECT_EQ(is_domain(row.text), row.refused) << row.text;
        EXPECT_EQ(is_domain(row.text, Underscore::accepted), row.accepted) << row.text;
    }
}

TEST(AddressLiteral, ToAndFromAddresses) {
    EXPECT_EQ(address_literal("192.0.2.1"), "[192.0.2.1]");
    EXPECT_EQ(address_literal("2001:db8::1"), "[IPv6:2001:db8::1]");
    EXPECT_EQ(address_of_literal("[192.0.2.1]"), "192.0.2.1");
    EXPECT_EQ(address_of_literal("[IPv6:2001:db8::1]"), "2001:db8::1");
    EXPECT_EQ(address_of_literal("[Tag:content]"), "");
    EXPECT_EQ(address_of_literal("example.com"), "");
    EXPECT_EQ(address_of_literal("["), "");
    EXPECT_EQ(address_of_literal(""), "");
    EXPECT_EQ(parse_address_literal("[127.0.0.1"), std::nullopt);
    EXPECT_EQ(parse_address_literal("127.0.0.1"), std::nullopt);
    EXPECT_EQ(parse_address_literal("["), std::nullopt);
    EXPECT_EQ(parse_address_literal("[IPv6:::1\0]"s), std::nullopt);
}

TEST(AddressError, AllHaveAText) {
    for (int i = 0; i <= static_cast<int>(E::trailing_text); ++i)
        EXPECT_NE(to_string(static_cast<AddressError>(i)), "bad address");
}

} // namespace
} // namespace postern
