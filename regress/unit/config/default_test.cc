// The configuration that is installed: it must parse, and it must relay for nobody.
#include <gtest/gtest.h>

#include "common/config/parse.h"
#include "smtpd/lookup/match.h"

namespace postern::test {
namespace {

TEST(DefaultConfiguration, RelaysForNobody) {
    const ParsedConfiguration parsed = parse_configuration_file(DEFAULT_CONFIGURATION);
    for (const Diagnostic& error : parsed.errors)
        ADD_FAILURE() << error.to_string();
    ASSERT_TRUE(parsed.configuration);
    EXPECT_TRUE(parsed.warnings.empty());
    const auto rules = RuleSet::prepare(parsed.configuration->rules, parsed.configuration->tables,
                                        {{"mx.example.org"}, {}});
    ASSERT_TRUE(rules.ok()) << rules.error().message;

    ipc::Origin stranger;
    stranger.client = *IpAddress::parse("203.0.113.7");
    stranger.helo = "mx.example.org"; // whatever it says of itself
    ipc::Origin user = stranger;
    user.authenticated = "bob";
    ipc::Origin here;
    here.client = *IpAddress::parse("127.0.0.1");
    const Mailbox sender("bob", "mx.example.org");
    const Mailbox elsewhere("alice", "example.net");
    TableAnswers none;
    for (const ipc::Origin& origin : {stranger, user, here})
        EXPECT_EQ(rules->match(origin, sender, elsewhere, none), std::nullopt);
    // Mail to the machine itself is taken from the machine itself.
    EXPECT_NE(rules->match(here, sender, Mailbox("root", "localhost"), none), std::nullopt);
    for (const Listen& listen : parsed.configuration->listens)
        EXPECT_TRUE(IpAddress::parse(listen.on) && IpAddress::parse(listen.on)->is_loopback());
}

} // namespace
} // namespace postern::test
