// Addresses beyond US-ASCII (RFC 6531 3.3), row by row, and the forms in which they are compared.
#include "common/smtp/address.h"

#include "common/base/utf8.h"
#include "common/smtp/internationalized.h"
#include "common/smtp/limits.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

using namespace std::string_literals; // for strings with a NUL inside

using E = AddressError;
constexpr auto accepted = Internationalized::accepted;

// `count` times ü, two octets each.
std::string umlauts(std::size_t count) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i)
        text += "\u00fc";
    return text;
}

// `count` times "\u00fc.", which is xn--tda. as A-label.
std::string labels(std::size_t count) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i)
        text += "\u00fc.";
    return text;
}

const std::string l63(63, 'l');

struct Good {
    std::string text;
    std::string local_part;
    std::string domain;
    bool is_ascii = false;
    std::string wire = {}; // if it differs from local part, '@' and domain
};

const Good good_mailboxes[] = {
    // local parts: dot-string
    {"j\u00fcrgen@example.com", "j\u00fcrgen", "example.com"},
    {"J\u00dcRGEN@EXAMPLE.com", "J\u00dcRGEN", "example.com"},
    {"\u00fc@b", "\u00fc", "b"},
    {"\u7530\u4e2d@example.jp", "\u7530\u4e2d", "example.jp"},
    {"\u0434\u043c\u0438\u0442\u0440\u0438\u0439.\u043f@example.ru",
     "\u0434\u043c\u0438\u0442\u0440\u0438\u0439.\u043f", "example.ru"},
    {"\u05d0\u05d1.\u05d2@example.com", "\u05d0\u05d1.\u05d2", "example.com"},
    {"\U0001f4ec@example.com", "\U0001f4ec", "example.com"},
    {"\U0001f468\u200d\U0001f469@example.com", "\U0001f468\u200d\U0001f469", "example.com"},
    {"u\u0308@example.com", "u\u0308", "example.com"}, // not NFC, and not changed on its way
    {"a\u00a0b@example.com", "a\u00a0b", "example.com"},
    {"a\u3002b@example.com", "a\u3002b", "example.com"},
    {"\u00ff\u07ff\u0800\ufffd\U00010000\U0010ffff@b",
     "\u00ff\u07ff\u0800\ufffd\U00010000\U0010ffff", "b"},
    {"user+\u00fc@example.com", "user+\u00fc", "example.com"},
    {umlauts(32) + "@example.com", umlauts(32), "example.com"},
    // quoted-string, with quotes again only where they are needed
    {"\"j\u00fcrgen\"@example.com", "j\u00fcrgen", "example.com"},
    {"\"j\u00fc r\"@example.com", "j\u00fc r", "example.com", false, "\"j\u00fc r\"@example.com"},
    {"\"j\u00fc\\\"r\"@example.com", "j\u00fc\"r", "example.com", false,
     "\"j\u00fc\\\"r\"@example.com"},
    {"\"\u00fc@\u00fc\"@example.com", "\u00fc@\u00fc", "example.com", false,
     "\"\u00fc@\u00fc\"@example.com"},
    {"\".\u00fc\"@example.com", ".\u00fc", "example.com", false, "\".\u00fc\"@example.com"},
    {"\"a\\b\u00fc\"@example.com", "ab\u00fc", "example.com"},
    {"\"" + umlauts(31) + "\"@example.com", umlauts(31), "example.com"},
    // domains become A-labels
    {"user@b\u00fccher.example", "user", "xn--bcher-kva.example", true},
    {"user@B\u00dcCHER.Example", "user", "xn--bcher-kva.example", true},
    {"user@bu\u0308cher.example", "user", "xn--bcher-kva.example", true},
    {"user@XN--BCHER-KVA.example", "user", "xn--bcher-kva.example", true},
    {"user@xn--bcher-kva.b\u00fccher.example", "user", "xn--bcher-kva.xn--bcher-kva.example", true},
    {"user@fa\u00df.example", "user", "xn--fa-hia.example", true},
    {"user@\u03c3\u03c2.example", "user", "xn--3xab.example", true},
    {"user@\u65e5\u672c\u8a9e.jp", "user", "xn--wgv71a119e.jp", true},
    {"user@\u65e5\u672c\u8a9e.\u30c6\u30b9\u30c8", "user", "xn--wgv71a119e.xn--zckzah", true},
    {"user@\ud55c\uad6d", "user", "xn--3e0b707e", true},
    {"user@\u05d01.example", "user", "xn--1-zhc.example", true},
    {"user@\u0915\u094d\u200d\u0937.example", "user", "xn--11b2ezcw70k.example", true}, // ZWJ
    {"user@l\u00b7l.example", "user", "xn--ll-0ea.example", true},
    {"user@\u00fc-x.example", "user", "xn---x-wka.example", true},
    {"j\u00fcrgen@b\u00fccher.example", "j\u00fcrgen", "xn--bcher-kva.example"},
    // ASCII is what it always was
    {"User@EXAMPLE.com", "User", "example.com", true},
    {"a@a--b.example", "a", "a--b.example", true},
    {"a@xn--not-a-label-99.example", "a", "xn--not-a-label-99.example", true},
    {"\"a b\"@example.com", "a b", "example.com", true, "\"a b\"@example.com"},
    {"j\u00fcrgen@[192.0.2.1]", "j\u00fcrgen", "[192.0.2.1]"},
    {"j\u00fcrgen@[ipv6:2001:db8::1]", "j\u00fcrgen", "[IPv6:2001:db8::1]"},
};

TEST(InternationalMailbox, GoodOnes) {
    for (const Good& row : good_mailboxes) {
        SCOPED_TRACE(row.text);
        AddressError error = E::empty;
        const auto mailbox = parse_mailbox(row.text, &error, accepted);
        ASSERT_TRUE(mailbox) << to_string(error);
        EXPECT_EQ(error, E::none);
        EXPECT_EQ(mailbox->local_part(), row.local_part);
        EXPECT_EQ(mailbox->domain(), row.domain);
        EXPECT_EQ(mailbox->is_ascii(), row.is_ascii);
        EXPECT_EQ(mailbox->to_string(),
                  row.wire.empty() ? row.local_part + '@' + row.domain : row.wire);
        EXPECT_EQ(parse_mailbox(mailbox->to_string(), nullptr, accepted), mailbox);
    }
}

// In brackets each is a path; what is not ASCII is refused where nobody asked for it.
TEST(InternationalPath, GoodMailboxesInBrackets) {
    for (const Good& row : good_mailboxes) {
        SCOPED_TRACE(row.text);
        const std::string path = '<' + row.text + '>';
        const auto reverse = parse_reverse_path(path, nullptr, accepted);
        ASSERT_TRUE(reverse);
        EXPECT_EQ(reverse->local_part(), row.local_part);
        EXPECT_EQ(reverse->domain(), row.domain);
        EXPECT_EQ(parse_forward_path(path, nullptr, accepted), reverse);
        EXPECT_EQ(
            parse_forward_path("<@b\u00fccher.example,@b:" + row.text + '>', nullptr, accepted),
            reverse);
        EXPECT_EQ(parse_reverse_path(reverse->to_path(), nullptr, accepted), reverse);
        std::string_view rest = path;
        EXPECT_EQ(take_forward_path(rest, nullptr, accepted), reverse);
        EXPECT_EQ(rest, "");

        AddressError error = E::none;
        const bool ascii = is_ascii(row.text);
        EXPECT_EQ(parse_mailbox(row.text, &error).has_value(), ascii);
        EXPECT_EQ(error, ascii ? E::none : E::non_ascii);
        EXPECT_EQ(parse_forward_path(path, &error).has_value(), ascii);
        EXPECT_EQ(error, ascii ? E::none : E::non_ascii);
        for (std::size_t length = 0; length < path.size(); ++length)
            EXPECT_FALSE(parse_forward_path(path.substr(0, length), nullptr, accepted)) << length;
    }
}

struct Bad {
    std::string text;
    AddressError error;
};

const Bad bad_mailboxes[] = {
    // local parts: not UTF-8
    {"j\xfcrgen@example.com", E::bad_utf8},
    {"\x80@example.com", E::bad_utf8},
    {"\xff@example.com", E::bad_utf8},
    {"\xc0\xaf@example.com", E::bad_utf8}, // overlong
    {"\xc1\xbf@example.com", E::bad_utf8},
    {"\xe0\x9f\xbf@example.com", E::bad_utf8},
    {"\xf0\x8f\xbf\xbf@example.com", E::bad_utf8},
    {"\xc0\x80@example.com", E::bad_utf8},                 // a NUL in disguise
    {"\xed\xa0\x80@example.com", E::bad_utf8},             // a surrogate
    {"\xed\xa0\xbd\xed\xb3\xac@example.com", E::bad_utf8}, // and a pair of them
    {"\xf4\x90\x80\x80@example.com", E::bad_utf8},         // beyond U+10FFFF
    {"\xf8\x88\x80\x80\x80@example.com", E::bad_utf8},
    {"\xc3@example.com", E::bad_utf8}, // cut short
    {"\xe2\x82@example.com", E::bad_utf8},
    {"\xf0\x9f\x93@example.com", E::bad_utf8},
    {"\"\xc3\"@example.com", E::bad_utf8},
    {"\"a\xff\"@example.com", E::bad_utf8},
    {"\u00fc\xc3", E::bad_utf8},
    {"\xc3", E::bad_utf8},
    // controls and what is no part of an address in ASCII either
    {"a\u0080b@example.com", E::bad_local_part},
    {"a\u0085b@example.com", E::bad_local_part},
    {"\"a\u009fb\"@example.com", E::bad_local_part},
    {"\u00fc\x7f@example.com", E::bad_local_part},
    {"\u00fc\n@example.com", E::bad_local_part},
    {"\"\u00fc\n\"@example.com", E::bad_local_part},
    {"\u00fc\0@example.com"s, E::bad_local_part},
    {"j\u00fc r@example.com", E::bad_local_part},
    {".\u00fc@example.com", E::bad_local_part},
    {"\u00fc.@example.com", E::bad_local_part},
    {"\u00fc..\u00fc@example.com", E::bad_local_part},
    {"\"\\\u00fc\"@example.com", E::bad_local_part}, // quoted-pairSMTP is ASCII
    {"\"\u00fc\"\u00fc@example.com", E::bad_local_part},
    {"\u00fc\"\u00fc\"@example.com", E::bad_local_part},
    {"\"\u00fc@example.com", E::unterminated},
    {"\u00fc", E::no_domain},
    // 64 octets, not characters
    {umlauts(33) + "@example.com", E::local_part_too_long},
    {"\"" + umlauts(32) + "\"@example.com", E::local_part_too_long},
    {"a" + umlauts(32) + "@example.com", E::local_part_too_long},
    // domains: not UTF-8, not IDNA
    {"user@b\xfc"
     "cher.example",
     E::bad_utf8},
    {"user@\xc0\xae.example", E::bad_utf8},
    {"user@\xed\xa0\x80.example", E::bad_utf8},
    {"user@b\xc3", E::bad_utf8},
    {"user@\u2603.example", E::bad_international_domain}, // a symbol
    {"user@\U0001f4ec.example", E::bad_international_domain},
    {"user@a\u200db.example", E::bad_international_domain}, // ZWJ out of its context
    {"user@a\u200cb.example", E::bad_international_domain},
    {"user@\u200b\u00fc.example", E::bad_international_domain},
    {"user@\u00ad\u00fc.example", E::bad_international_domain},
    {"user@\u202e\u00fc.example", E::bad_international_domain},
    {"user@\u0085.example", E::bad_international_domain},
    {"user@\u00a0.example", E::bad_international_domain},
    {"user@\u0308a.example", E::bad_international_domain},          // begins with a combining mark
    {"user@\uff45xample.com", E::bad_international_domain},         // full width: not mapped
    {"user@b\u00fccher\u3002example", E::bad_international_domain}, // nor is the ideographic dot
    {"user@a\uff0eb", E::bad_international_domain},
    {"user@\ufb01\u00fc.example", E::bad_international_domain}, // ligature
    {"user@\u2100\u00fc.example", E::bad_international_domain}, // a/c in one
    {"user@\u212aelvin.example", E::bad_international_domain},  // NFC makes it ASCII
    {"user@1\u05d0.example", E::bad_international_domain},      // RFC 5893
    {"user@a\u05d0.example", E::bad_international_domain},
    {"user@xn--\u00fc.example", E::bad_international_domain},
    {"user@\u00e1b--cd.example", E::bad_international_domain},
    {"user@-\u00fc.example", E::bad_international_domain},
    {"user@\u00fc-.example", E::bad_international_domain},
    {"user@\u0378.example", E::bad_international_domain}, // unassigned
    {"user@" + umlauts(100) + ".example", E::bad_international_domain},
    {"user@\u00fc..example", E::bad_domain},
    {"user@.\u00fc", E::bad_domain},
    {"user@\u00fc.", E::bad_domain},
    {"user@\u00fc.-a", E::bad_domain},
    {"user@\u00fc_\u00fc.example", E::trailing_text},
    {"user@\u00fc example", E::trailing_text},
    {"user@" + l63 + '.' + l63 + '.' + l63 + '.' + umlauts(32), E::domain_too_long},
    {"user@" + labels(60) + "b", E::domain_too_long}, // 181 octets as it came, 481 as A-labels
    // nothing in a literal is UTF-8
    {"user@[\u0661.0.0.1]", E::bad_address_literal},
    {"user@[Tag:\u00fc]", E::bad_address_literal},
};

TEST(InternationalMailbox, BadOnes) {
    for (const Bad& row : bad_mailboxes) {
        SCOPED_TRACE(testing::PrintToString(row.text));
        AddressError error = E::none;
        EXPECT_FALSE(parse_mailbox(row.text, &error, accepted));
        EXPECT_EQ(error, row.error) << to_string(error);
    }
}

TEST(InternationalPath, BadOnes) {
    const Bad rows[] = {
        {"\u00fc@b", E::no_angle_bracket},
        {"<\u00fc>", E::no_domain},
        {"<\u00fc@b", E::unterminated},
        {"<@\u2603.example:user@b>", E::bad_source_route},
        {"<@\xff:user@b>", E::bad_source_route},
        {"<@b\u00fccher:user@b", E::unterminated},
        {"<\u00fc@b>\u00fc", E::trailing_text},
        {"<postmaster\u00fc>", E::no_domain},
        // 256 octets with brackets as it came, more with A-labels: it could not be sent.
        {"<" + umlauts(32) + "@\u00fc." + l63 + '.' + l63 + '.' + std::string(59, 'm') + ">",
         E::path_too_long},
    };
    for (const Bad& row : rows) {
        SCOPED_TRACE(testing::PrintToString(row.text));
        AddressError error = E::none;
        EXPECT_FALSE(parse_forward_path(row.text, &error, accepted));
        EXPECT_EQ(error, row.error) << to_string(error);
    }
    const std::string longest =
        "<" + umlauts(32) + "@xn--tda." + l63 + '.' + l63 + '.' + std::string(53, 'm') + ">";
    ASSERT_EQ(longest.size(), limits::path);
    EXPECT_TRUE(parse_forward_path(longest, nullptr, accepted));
}

// Every character in both places: what is taken is what was meant to be, and reads back.
TEST(InternationalMailbox, EveryCharacterOfTheFirstPlane) {
    for (char32_t code = 0x80; code <= 0xffff; ++code) {
        std::string text;
        if (code < 0x800) {
            text = {static_cast<char>(0xc0 | code >> 6), static_cast<char>(0x80 | (code & 0x3f))};
        } else {
            text = {static_cast<char>(0xe0 | code >> 12),
                    static_cast<char>(0x80 | (code >> 6 & 0x3f)),
                    static_cast<char>(0x80 | (code & 0x3f))};
        }
        const bool is_character = code > 0x9f && (code < 0xd800 || code > 0xdfff);
        const auto mailbox = parse_mailbox("a" + text + "@b", nullptr, accepted);
        ASSERT_EQ(mailbox.has_value(), is_character) << std::hex << static_cast<uint32_t>(code);
        const auto domain = parse_mailbox("a@a" + text + "b", nullptr, accepted);
        if (domain) {
            ASSERT_TRUE(is_character);
            ASSERT_TRUE(domain->domain().starts_with("xn--")) << domain->domain();
            ASSERT_EQ(parse_mailbox(domain->to_string(), nullptr, accepted), domain);
        }
    }
}

TEST(ALabels, OfPatternsToo) {
    struct Row {
        std::string text;
        std::string a_labels; // empty: none
    };
    const Row rows[] = {
        {"", ""},
        {"Example.COM", "Example.COM"},
        {"b\u00fccher.Example", "xn--bcher-kva.Example"},
        {"b\u00fccher.example.", "xn--bcher-kva.example."},
        {"*.b\u00fccher.example", "*.xn--bcher-kva.example"},
        {"mx*.b\u00fccher.example", "mx*.xn--bcher-kva.example"},
        {"_dmarc.b\u00fccher.example", "_dmarc.xn--bcher-kva.example"},
        {"b\u00fccher*.example", ""},
        {"*b\u00fccher.example", ""},
        {"_b\u00fccher.example", ""},
        {"b\u00fccher?.example", ""},
        {"b\u00fc cher.example", ""},
        {"b\u00fc\0cher.example"s, ""},
        {"b\xfc.example", ""},
        {std::string(100000, 'a') + "\u00fc", ""},
    };
    for (const Row& row : rows)
        EXPECT_EQ(to_a_labels(row.text).value_or(""), row.a_labels) << row.text.substr(0, 40);
}

TEST(ComparableName, NfcAndLowerCase) {
    struct Row {
        std::string name;
        std::string compared;
    };
    const Row rows[] = {
        {"", ""},
        {"Bob+X", "bob+x"},
        {"J\u00fcrgen", "j\u00fcrgen"},
        {"Ju\u0308rgen", "j\u00fcrgen"},
        {"J\u00dcRGEN", "j\u00dcrgen"},
        {"\u212b", "\u00c5"}, // the angstrom sign
        {"\u212a", "k"},      // the Kelvin sign is a K
        {"\ufb01", "\ufb01"}, // a ligature is not two letters
        {"stra\u00dfe", "stra\u00dfe"},
        {"\uac00", "\uac00"},
        {"\u1100\u1161", "\uac00"},
        {"A\xff", "a\xff"},
        {"A\0B\u00fc"s, "a\0b\u00fc"s},
    };
    for (const Row& row : rows)
        EXPECT_EQ(comparable_name(row.name), row.compared) << row.name;
}

} // namespace
} // namespace postern
