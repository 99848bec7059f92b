#include "common/mail/alias.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

std::string describe(const Result<std::vector<AliasValue>>& values) {
    static constexpr const char* kinds[] = {"name", "mailbox", "address", "command",
                                            "file", "include", "error"};
    if (!values)
        return "error: " + values.error().message;
    std::string text;
    for (const AliasValue& value : *values)
        text += (text.empty() ? "" : ", ") + std::string(kinds[static_cast<size_t>(value.kind)]) +
                " " + value.text;
    return text;
}

TEST(Alias, ValuesAreOfManyKinds) {
    struct {
        const char* text;
        const char* expected;
    } const cases[] = {
        {"bob", "name bob"},
        {" Bob , carol,", "name bob, name carol"},
        {"bob+tag", "name bob+tag"},
        {"\"bob\"", "name bob"},
        {"\"a b\"", "name a b"},
        {"\\bob, x@Y.test", "mailbox bob, address x@y.test"},
        {"\"\\bob\"", "name bob"},
        {"\"a, b\"@y.test", "address \"a, b\"@y.test"},
        {"|cat", "command cat"},
        {"|\"cat -v, x\", bob", "command cat -v, x, name bob"},
        {"\"|cat \\\"x y\\\", z\"", "command cat \"x y\", z"},
        {"| cat >/dev/null", "command cat >/dev/null"},
        {"/var/mail/archive", "file /var/mail/archive"},
        {"\"/var/mail/a b\"", "file /var/mail/a b"},
        {"file:/x", "file /x"},
        {":include:/etc/list", "include /etc/list"},
        {"\":include:/etc/a list\"", "include /etc/a list"},
        {"error:550 Gone, for good", "error 550 5.7.1 Gone, for good"},
        {"\"error:450 4.2.1 Later\"", "error 450 4.2.1 Later"},
        {"error:550 5.1.6 Moved", "error 550 5.1.6 Moved"},
        {"error:550 4.2.1 Moved", "error 550 5.2.1 Moved"}, // RFC 2034 4: one class
        {"", "error: there is no value"},
        {",", "error: there is no value"},
        {"\"bob", "error: \"\"bob\" has a quote that is not closed"},
        {"x@", "error: \"x@\" is no address"},
        {"|", "error: \"|\" is no command or path of 4096 octets at most"},
        {":include:list", "error: \":include:list\" has no absolute path behind \":include:\""},
        {"error:250 Fine",
         "error: \"error:250 Fine\" has no code of class 4 or 5 behind \"error:\""},
        {"error:550", "error: \"error:550\" has no text behind the code"},
        {"error:550 \xc3\xbc",
         "error: \"error:550 \\xc3\\xbc\" is no line of US-ASCII text of 400 octets at most"},
    };
    for (const auto& c : cases)
        EXPECT_EQ(describe(parse_alias_values(c.text)), c.expected) << c.text;
}

TEST(Alias, IncludedFilesHaveNamesAndAddressesAlone) {
    EXPECT_EQ(describe(parse_alias_include("# members\nbob\n\n x@y.test, carol\r\n")),
              "name bob, address x@y.test, name carol");
    EXPECT_EQ(describe(parse_alias_include("")), "");
    for (const char* bad : {"|cat", "/tmp/x", ":include:/etc/more", "error:550 No", "\\bob"})
        EXPECT_EQ(describe(parse_alias_include("bob\n" + std::string(bad))),
                  "error: line 2: \"" + (*bad == '\\' ? "\\" + std::string(bad) : bad) +
                      "\" may not be in an included file: only names and addresses may");
}

} // namespace
} // namespace postern
