// Which rule a recipient falls under. Rules are written in the language of smtpd.conf.
#include "smtpd/lookup/match.h"

#include <gtest/gtest.h>

#include "common/config/parse.h"
#include "regress/unit/config/files.h"

namespace postern::test {
namespace {

constexpr const char* actions = "action a relay\naction b relay\naction c relay\n";

const LocalIdentity gateway{{"mx.gate.example", "gate.example"},
                            {*IpAddress::parse("198.51.100.1"), *IpAddress::parse("2001:db8::1")}};

RuleSet rules_of(const std::string& text) {
    const ParsedConfiguration parsed = parse_configuration("f", actions + text, Files().reader());
    for (const Diagnostic& error : parsed.errors)
        ADD_FAILURE() << error.to_string();
    const Configuration configuration = parsed.configuration.value_or(Configuration());
    auto rules = RuleSet::prepare(configuration.rules, configuration.tables, gateway);
    EXPECT_TRUE(rules.ok());
    return *std::move(rules);
}

// A transaction in a few words: "client=192.0.2.1 helo=x auth=bob from=a@b.example to=c@d.example".
struct Transaction {
    ipc::Origin origin;
    Mailbox reverse_path;
    Mailbox recipient;

    explicit Transaction(const std::string& text) {
        origin.client = *IpAddress::parse("203.0.113.7");
        recipient = Mailbox("someone", "elsewhere.example");
        size_t at = 0;
        while (at < text.size()) {
            const size_t end = std::min(text.find(' ', at), text.size());
            set(text.substr(at, end - at));
            at = end + 1;
        }
    }

    void set(const std::string& word) {
        const std::string name = word.substr(0, word.find('='));
        const std::string value = word.substr(std::min(name.size() + 1, word.size()));
        if (name == "client")
            origin.client = *IpAddress::parse(value);
        else if (name == "socket")
            origin.client = {};
        else if (name == "internal")
            origin.internal = true, origin.client = {};
        else if (name == "tls")
            origin.tls = true;
        else if (name == "rdns")
            origin.reverse_name = value;
        else if (name == "helo")
            origin.helo = value;
        else if (name == "tag")
            origin.tag = value;
        else if (name == "auth")
            origin.authenticated = value;
        else if (name == "listener")
            origin.local_hostname = value;
        else if (name == "from")
            reverse_path = mailbox(value);
        else if (name == "to")
            recipient = mailbox(value);
        else
            ADD_FAILURE() << "unknown word " << word;
    }

    static Mailbox mailbox(const std::string& text) {
        if (const auto parsed = parse_mailbox(text, nullptr, Internationalized::accepted))
            return *parsed;
        const size_t at = text.rfind('@');
        return at == std::string::npos ? Mailbox(text, "")
                                       : Mailbox(text.substr(0, at), text.substr(at + 1));
    }
};

struct Case {
    const char* rules;
    const char* transaction;
    int rule; // -1: none
};

void expect_matches(std::initializer_list<Case> cases) {
    for (const Case& c : cases) {
        const Transaction t(c.transaction);
        TableAnswers none;
        const auto index = rules_of(c.rules).match(t.origin, t.reverse_path, t.recipient, none);
        EXPECT_EQ(index ? static_cast<int>(*index) : -1, c.rule) << c.rules << "\n"
                                                                 << c.transaction;
    }
}

TEST(Match, TheFirstRuleThatMatchesDecides) {
    constexpr const char* rules = "match from any for domain x.example action a\n"
                                  "match from any for domain { x.example, y.example } reject\n"
                                  "match from any for any action b\n";
    expect_matches(
        {{rules, "to=u@x.example", 0}, {rules, "to=u@y.example", 1}, {rules, "to=u@z.example", 2}});
}

TEST(Match, WithoutFromAndForARuleIsLocal) {
    constexpr const char* rule = "match action a";
    expect_matches({{rule, "client=127.0.0.1 to=u@localhost", 0},
                    {rule, "client=203.0.113.7 to=u@localhost", -1},
                    {rule, "client=127.0.0.1 to=u@x.example", -1},
                    {"match for any action a", "client=203.0.113.7", -1},
                    {"match for any action a", "client=127.0.0.1", 0},
                    {"match from any action a", "to=u@gate.example", 0},
                    {"match from any action a", "to=u@x.example", -1}});
}

TEST(Match, FromLocal) {
    constexpr const char* rule = "match from local for any action a";
    constexpr const char* negated = "match !from local for any action a";
    expect_matches({{rule, "client=127.9.9.9", 0},
                    {rule, "client=::1", 0},
                    {rule, "client=198.51.100.1", 0}, // its own address
                    {rule, "client=2001:db8::1", 0},
                    {rule, "client=198.51.100.2", -1},
                    {rule, "socket", 0},
                    {rule, "internal", 0},
                    {rule, "client=203.0.113.7 helo=localhost rdns=localhost", -1},
                    {negated, "client=203.0.113.7", 0},
                    {negated, "client=127.0.0.1", -1},
                    {negated, "internal", -1}});
}

TEST(Match, FromSource) {
    constexpr const char* rule = "match from src { 192.0.2.0/24, 198.51.100.77, "
                                 "\"2001:db8:5::/48\", 10/8 } for any action a";
    expect_matches({{rule, "client=192.0.2.255", 0},
                    {rule, "client=192.0.3.0", -1},
                    {rule, "client=198.51.100.77", 0},
                    {rule, "client=198.51.100.78", -1},
                    {rule, "client=2001:db8:5:ffff::1", 0},
                    {rule, "client=2001:db8:6::1", -1},
                    {rule, "client=10.200.3.4", 0},
                    {rule, "client=::ffff:10.200.3.4", 0},
                    {rule, "socket", -1},
                    {rule, "internal", -1},
                    {"match from src { \"local\" } for any action a", "socket", 0},
                    {"match from src { \"local\" } for any action a", "internal", 0},
                    {"match from src { \"local\" } for any action a", "client=127.0.0.1", -1},
                    {"match from src 0.0.0.0/0 for any action a", "client=192.0.2.1", 0},
                    {"match from src 0.0.0.0/0 for any action a", "client=2001:db8::9", -1},
                    {"match from src ::/0 for any action a", "client=2001:db8::9", 0},
                    {"match !from src 192.0.2.1 for any action a", "client=192.0.2.1", -1},
                    {"match !from src 192.0.2.1 for any action a", "client=192.0.2.2", 0}});
}

TEST(Match, Authentication) {
    constexpr const char* users = "match from auth { Bob, \"eve@x.example\", \"@y.example\" } "
                                  "for any action a";
    expect_matches({{"match from auth for any action a", "auth=bob", 0},
                    {"match from auth for any action a", "", -1},
                    {"match from auth for any action a", "client=127.0.0.1", -1},
                    {"match !from auth for any action a", "", 0},
                    {"match !from auth for any action a", "auth=bob", -1},
                    {"match auth for any action a", "auth=bob", -1}, // and from local
                    {"match auth from any for any action a", "auth=bob", 0},
                    {"match auth from any for any action a", "", -1},
                    {"match !auth from any for any action a", "", 0},
                    {users, "auth=bob", 0},
                    {users, "auth=BOB", 0},
                    {users, "auth=bobby", -1},
                    {users, "auth=bob@z.example", 0}, // the entry "Bob" is of any domain
                    {users, "auth=eve@X.example", 0},
                    {users, "auth=eve@z.example", -1},
                    {users, "auth=eve", -1},
                    {users, "auth=joe@y.example", 0},
                    {users, "", -1}});
}

TEST(Match, WhatTheServerWritesItselfIsTrustedMoreThanAnyUser) {
    expect_matches({{"match from any auth for any action a", "internal", 0},
                    {"match auth bob from any for any action a", "internal", 0},
                    {"match from auth { bob } for any action a", "internal", 0},
                    {"match !auth from any for any reject", "internal", -1},
                    {"match !tls from any for any reject", "internal", -1},
                    {"match tls from any for any action a", "internal", 0},
                    {"match for any action a", "internal", 0},
                    {"match from any for any action a", "internal", 0},
                    // Not from the network, so neither "from rdns" nor its contrary.
                    {"match from rdns for any action a", "internal", -1},
                    {"match !from rdns for any reject", "internal", -1},
                    {"match from socket for any action a", "internal", -1},
                    {"match !from socket for any reject", "internal", -1}});
}

TEST(Match, ReverseName) {
    constexpr const char* rule = "match from rdns { mx.example, *.good.example } for any action a";
    constexpr const char* negated = "match !from rdns *.good.example for any action a";
    expect_matches({{"match from rdns for any action a", "rdns=x.example", 0},
                    {"match from rdns for any action a", "", -1},
                    {"match !from rdns for any action a", "", 0},
                    {"match !from rdns for any action a", "rdns=x.example", -1},
                    {rule, "rdns=MX.example.", 0},
                    {rule, "rdns=a.b.good.example", 0},
                    {rule, "rdns=good.example", -1},
                    {rule, "rdns=bad.example", -1},
                    {rule, "", -1},
                    {negated, "rdns=a.good.example", -1},
                    {negated, "rdns=x.example", 0},
                    {negated, "", -1}}); // nothing to compare: the rule does not apply
}

TEST(Match, Socket) {
    expect_matches({{"match from socket for any action a", "socket", 0},
                    {"match from socket for any action a", "client=127.0.0.1", -1},
                    {"match !from socket for any action a", "client=127.0.0.1", 0},
                    {"match !from socket for any action a", "socket", -1}});
}

TEST(Match, ForLocal) {
    constexpr const char* rule = "match from any for local action a";
    expect_matches({{rule, "to=u@localhost", 0},
                    {rule, "to=u@LOCALHOST", 0},
                    {rule, "to=u@mx.gate.example", 0},
                    {rule, "to=u@gate.example", 0},
                    {rule, "to=u@sub.gate.example", -1},
                    {rule, "to=u@[198.51.100.1]", 0},
                    {rule, "to=u@[IPv6:2001:db8::1]", 0},
                    {rule, "to=u@[127.0.0.1]", 0},
                    {rule, "to=u@[198.51.100.2]", -1},
                    {rule, "to=postmaster", 0}, // RFC 5321 4.1.1.3
                    {rule, "to=u@x.example", -1},
                    {"match from any !for local action a", "to=u@x.example", 0},
                    {"match from any !for local action a", "to=u@localhost", -1}});
}

TEST(Match, ForDomain) {
    constexpr const char* rule =
        "match from any for domain "
        "{ X.example, *.y.example, mail*.z.example, [192.0.2.1] } action a";
    expect_matches({{rule, "to=u@x.example", 0},
                    {rule, "to=u@X.EXAMPLE", 0},
                    {rule, "to=u@a.x.example", -1},
                    {rule, "to=u@xx.example", -1},
                    {rule, "to=u@y.example", -1},
                    {rule, "to=u@a.y.example", 0},
                    {rule, "to=u@a.b.y.example", 0},
                    {rule, "to=u@ay.example", -1},
                    {rule, "to=u@mail.z.example", 0},
                    {rule, "to=u@mail17.z.example", 0},
                    {rule, "to=u@mx.z.example", -1},
                    {rule, "to=u@[192.0.2.1]", 0},
                    {rule, "to=u@[192.0.2.2]", -1},
                    {"match from any for domain * action a", "to=u@x.example", 0},
                    {"match from any !for domain x.example action a", "to=u@x.example", -1},
                    {"match from any !for domain x.example action a", "to=u@y.example", 0},
                    // A recipient without a domain is in the server's.
                    {"match from any for domain mx.gate.example action a", "to=postmaster", 0},
                    {"match from any for domain in.gate.example action a",
                     "to=postmaster listener=in.gate.example", 0},
                    {"match from any for domain x.example action a", "to=postmaster", -1}});
}

TEST(Match, Recipients) {
    constexpr const char* rule =
        "match from any for rcpt-to { \"Ann@x.example\", \"@y.example\", root, "
        "\"tagged+yes@x.example\", \"list@*.z.example\" } action a";
    expect_matches({{rule, "to=ann@x.example", 0},
                    {rule, "to=ANN@X.example", 0},
                    {rule, "to=ann@other.example", -1},
                    {rule, "to=ann+news@x.example", 0}, // an entry without a tag: any tag
                    {rule, "to=annex@x.example", -1},
                    {rule, "to=anyone@y.example", 0},
                    {rule, "to=anyone@a.y.example", -1},
                    {rule, "to=root@anywhere.example", 0},
                    {rule, "to=root+x@anywhere.example", 0},
                    {rule, "to=tagged+yes@x.example", 0},
                    {rule, "to=tagged+no@x.example", -1},
                    {rule, "to=tagged@x.example", -1},
                    {rule, "to=list@a.z.example", 0},
                    {rule, "to=list+owner@a.b.z.example", 0},
                    {rule, "to=list@z.example", -1},
                    {rule, "to=nolist@a.z.example", -1},
                    {"match from any for rcpt-to \"@\" action a", "to=u@x.example", 0},
                    {"match from any !for rcpt-to ann action a", "to=ann@x.example", -1},
                    {"match from any !for rcpt-to ann action a", "to=bob@x.example", 0},
                    {"match from any for any rcpt-to ann action a", "to=ann@x.example", 0},
                    {"match from any for any !rcpt-to ann action a", "to=ann@x.example", -1},
                    {"match from any for any rcpt-to \"postmaster@mx.gate.example\" action a",
                     "to=postmaster", 0}});
}

// However a name is written: U-labels or A-labels, composed or decomposed, here and there.
TEST(Match, InternationalizedAddresses) {
    constexpr const char* domains =
        "match from any for domain { \"B\u00fccher.example\", "
        "\"*.bu\u0308cher.example\", \"mx*.stra\u00dfe.example\" } action a";
    constexpr const char* recipients =
        "match from any for rcpt-to { \"j\u00fcrgen@b\u00fccher.example\", "
        "\"@\u65e5\u672c.example\", "
        "\"\u00e5ke\", \"zo\u00eb@*.b\u00fccher.example\" } action a";
    constexpr const char* senders =
        "match from any for any mail-from \"@xn--bcher-kva.example\" action a";
    constexpr const char* users =
        "match from any auth { \"J\u00fcrgen\", \"j\u00fc@b\u00fccher.example\" } for any action a";
    expect_matches({
        {domains, "to=u@b\u00fccher.example", 0},
        {domains, "to=u@B\u00dcCHER.EXAMPLE", 0},
        {domains, "to=u@bu\u0308cher.example", 0},
        {domains, "to=u@xn--bcher-kva.example", 0},
        {domains, "to=u@XN--BCHER-KVA.example", 0},
        {domains, "to=u@bucher.example", -1},
        {domains, "to=u@a.b\u00fccher.example", 0},
        {domains, "to=u@a.b.xn--bcher-kva.example", 0},
        {domains, "to=u@mx7.stra\u00dfe.example", 0},
        {domains, "to=u@mx7.strasse.example", -1}, // another domain since IDNA 2008
        {domains, "to=\u00fc@b\u00fccher.example", 0},
        {recipients, "to=j\u00fcrgen@b\u00fccher.example", 0},
        {recipients, "to=J\u00fcrgen+x@xn--bcher-kva.example", 0},
        {recipients, "to=ju\u0308rgen@b\u00fccher.example", 0},
        {recipients, "to=jurgen@b\u00fccher.example", -1},
        {recipients, "to=j\u00fcrgen@bucher.example", -1},
        {recipients, "to=\u4e2d@\u65e5\u672c.example", 0},
        {recipients, "to=\u212bke@x.example", -1}, // an upper-case \u00c5 is another letter
        {recipients, "to=a\u030ake@x.example", 0},
        {recipients, "to=zo\u00eb@mx.b\u00fccher.example", 0},
        {recipients, "to=zo\u00eb@b\u00fccher.example", -1},
        {senders, "from=u@b\u00fccher.example", 0},
        {senders, "from=u@bucher.example", -1},
        {users, "auth=ju\u0308rgen", 0},
        {users, "auth=jurgen", -1},
        {users, "auth=j\u00fc@xn--bcher-kva.example", 0},
        {users, "auth=j\u00fc@B\u00fccher.example", 0},
        {"match from any helo \"mx.b\u00fccher.example\" for any action a",
         "helo=mx.xn--bcher-kva.example", 0},
        {"match from rdns \"*.b\u00fccher.example\" for any action a",
         "rdns=mx.xn--bcher-kva.example", 0},
    });
}

TEST(Match, ReversePath) {
    constexpr const char* any = "match from any for any mail-from \"@\" action a";
    constexpr const char* null = "match from any for any mail-from \"<>\" action a";
    expect_matches(
        {{"match from any for any mail-from \"@x.example\" action a", "from=u@x.example", 0},
         {"match from any for any mail-from \"@x.example\" action a", "from=u@y.example", -1},
         {"match from any for any mail-from \"@x.example\" action a", "", -1},
         {"match from any for any mail-from \"@*\" action a", "", -1},
         {"match from mail-from \"u@x.example\" for any action a", "from=u@x.example", 0},
         {"match from mail-from \"u@x.example\" for any action a", "from=v@x.example", -1},
         {"match !from mail-from \"u@x.example\" for any action a", "from=v@x.example", 0},
         {"match !from mail-from \"u@x.example\" for any action a", "", 0},
         {any, "", 0},
         {any, "from=u@x.example", 0},
         {null, "", 0},
         {null, "from=u@x.example", -1}});
}

TEST(Match, HeloTagAndTls) {
    expect_matches(
        {{"match helo { x.example, *.y.example, [192.0.2.1] } from any for any action a",
          "helo=X.example", 0},
         {"match helo { x.example, *.y.example } from any for any action a", "helo=a.y.example", 0},
         {"match helo [192.0.2.1] from any for any action a", "helo=[192.0.2.1]", 0},
         {"match helo x.example from any for any action a", "helo=z.example", -1},
         {"match helo * from any for any action a", "", -1},
         {"match !helo x.example from any for any action a", "", 0},
         {"match tag In from any for any action a", "tag=in", 0},
         {"match tag { in, out } from any for any action a", "tag=OUT", 0},
         {"match tag in from any for any action a", "tag=inside", -1},
         {"match tag in from any for any action a", "", -1},
         {"match !tag in from any for any action a", "", 0},
         {"match tls from any for any action a", "tls", 0},
         {"match tls from any for any action a", "", -1},
         {"match !tls from any for any action a", "", 0},
         {"match !tls from any for any action a", "tls", -1},
         {"match tls from any for any action a", "socket", 0}});
}

TEST(Match, AllCriteriaMustHold) {
    constexpr const char* rule = "match tag in helo h.example !mail-from \"@bad.example\" "
                                 "from src 192.0.2.1 for domain d.example action a";
    expect_matches(
        {{rule, "client=192.0.2.1 tag=in helo=h.example from=a@b.example to=u@d.example", 0},
         {rule, "client=192.0.2.2 tag=in helo=h.example from=a@b.example to=u@d.example", -1},
         {rule, "client=192.0.2.1 tag=no helo=h.example from=a@b.example to=u@d.example", -1},
         {rule, "client=192.0.2.1 tag=in helo=x.example from=a@b.example to=u@d.example", -1},
         {rule, "client=192.0.2.1 tag=in helo=h.example from=a@bad.example to=u@d.example", -1},
         {rule, "client=192.0.2.1 tag=in helo=h.example from=a@b.example to=u@x.example", -1}});
}

TEST(Match, AMappingIsTheListOfItsKeys) {
    constexpr const char* rules = "table m { \"a@x.example\" = 1, b = 2 }\n"
                                  "match from any for any rcpt-to <m> action a\n"
                                  "match from any auth <m> for any action b\n";
    expect_matches({{rules, "to=a@x.example", 0},
                    {rules, "to=b@z.example", 0},
                    {rules, "to=c@x.example", -1},
                    {rules, "to=c@x.example auth=B", 1}});
}

TEST(Match, OneTableMayServeSeveralUses) {
    constexpr const char* rules = "table t { x.example }\n"
                                  "match from any helo <t> for any action a\n"
                                  "match from any tag <t> for any action b\n"
                                  "match from any for domain <t> action c\n";
    expect_matches(
        {{rules, "helo=x.example", 0}, {rules, "tag=x.example", 1}, {rules, "to=u@x.example", 2}});
}

TEST(Match, RulesFromAPeerAreNotTrusted) {
    MatchRule rule;
    rule.line = 7;
    rule.action = "a";
    const auto prepare = [&](CriterionKind kind, const char* table) {
        rule.criteria = {{kind, false, table}};
        Table words;
        words.values = {"no network"};
        const auto rules = RuleSet::prepare({rule}, {{"words", words}}, gateway);
        return rules.ok() ? "" : rules.error().message;
    };
    EXPECT_EQ(prepare(CriterionKind::for_domain, "none"),
              "match rule in line 7: there is no table \"none\"");
    EXPECT_EQ(prepare(CriterionKind::for_domain, ""),
              "match rule in line 7: there is no table \"\"");
    EXPECT_EQ(prepare(CriterionKind::from_source, "words"),
              "match rule in line 7: table \"words\" has a value that is no network");
    EXPECT_EQ(prepare(CriterionKind::auth, ""), "");
    EXPECT_EQ(prepare(static_cast<CriterionKind>(200), "words"), "");
}

TEST(Match, NoRulesMatchNothing) {
    const auto rules = RuleSet::prepare({}, {}, {});
    ASSERT_TRUE(rules.ok());
    const Transaction t("internal to=u@localhost");
    TableAnswers none;
    EXPECT_EQ(rules->match(t.origin, t.reverse_path, t.recipient, none), std::nullopt);
}

} // namespace
} // namespace postern::test
