// Whose postmaster nobody takes mail for: said only where it is certain.
#include "smtpd/supervisor/postmaster.h"

#include <gtest/gtest.h>

#include "common/config/parse.h"

namespace postern {
namespace {

struct Row {
    const char* text;
    std::vector<std::string> names;
};

TEST(Postmaster, NamesWithoutOne) {
    const std::vector<std::string> own = {"mx.test.example"};
    const Row rows[] = {
        {"match from any for domain dest.example action a", own},
        {"match from any for domain { dest.example, MX.Test.example } action a", {}},
        {"match from any for domain \"*.test.example\" action a", {}},
        {"match from any for domain \"*.dest.example\" action a", own},
        {"match from any for local action a", {}},
        {"match auth from any for any action a", {}},
        {"match from any !for any action a", own},
        {"match from any !for domain mx.test.example action a", own},
        {"match from any !for domain dest.example action a", {}},
        {"match from any for any reject", own},
        {"match from any for any rcpt-to \"bob@mx.test.example\" action a", own},
        {"match from any for any rcpt-to \"Postmaster@mx.test.example\" action a", {}},
        {"match from any for any rcpt-to \"@mx.test.example\" action a", {}},
        {"match from any for rcpt-to \"postmaster\" action a", {}},
        {"match from any for rcpt-to bob action a", {}}, // it may be a domain: not certain
        // Each name has a postmaster of its own.
        {"listen on ::1 hostname In.test.example\nmatch from any for domain mx.test.example "
         "action a",
         {"in.test.example"}},
        {"listen on ::1 port 2424 hostname in.test.example lmtp\n"
         "match from any for domain mx.test.example action a",
         {}},
        {"listen on ::1 hostname \"mx.b\u00fccher.example\"\n"
         "match from any for domain { mx.test.example, \"mx.b\u00fccher.example\" } action a",
         {}},
    };
    for (const Row& row : rows) {
        const std::string text = "listen on 127.0.0.1\naction a relay\n" + std::string(row.text);
        const ParsedConfiguration parsed =
            parse_configuration("f", text, [](const std::string& path) -> Result<std::string> {
                return system_error(path, ENOENT);
            });
        ASSERT_TRUE(parsed.configuration) << row.text << parsed.errors.at(0).to_string();
        EXPECT_EQ(names_without_postmaster(*parsed.configuration, "MX.test.example"), row.names)
            << row.text;
        EXPECT_EQ(postmaster_warning(*parsed.configuration, "mx.test.example").empty(),
                  row.names.empty());
    }
}

TEST(Postmaster, WhoListensNowhereNeedsNone) {
    EXPECT_EQ(postmaster_warning(Configuration(), "mx.test.example"), "");
}

} // namespace
} // namespace postern
