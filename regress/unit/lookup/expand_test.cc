// Expansions through the router: rules, tables and users together.
#include "smtpd/lookup/expand.h"

#include <gtest/gtest.h>

#include "common/config/aliases.h"
#include "smtpd/lookup/route.h"

namespace postern {
namespace {

int64_t no_clock() { return 0; }

Table mapping(const std::string& name, std::map<std::string, std::string> pairs) {
    Table table;
    table.name = name;
    table.is_mapping = true;
    table.pairs = std::move(pairs);
    return table;
}

Table list(const std::string& name, std::vector<std::string> values) {
    Table table;
    table.name = name;
    table.values = std::move(values);
    return table;
}

// Local domains home.test (alias), lists.test (the same), virtual.test (virtual), only.test
// (expand-only), forward.test (forward-only), shared.test (alias, all mail is vmail's); whatever is
// ours goes to far.test too.
class Site {
  public:
    Site() {
        add("home", ActionKind::maildir, "", "aliases");
        add("virtual", ActionKind::maildir, "", "", "virtual");
        add("only", ActionKind::expand_only, "daemon", "aliases");
        add("forward", ActionKind::forward_only, "", "aliases");
        add("shared", ActionKind::maildir, "vmail", "aliases");
        rule("home", "home.test", "home");
        rule("also", "lists.test", "home");
        rule("virtual", "virtual.test", "virtual");
        rule("only", "only.test", "only");
        rule("forward", "forward.test", "forward");
        rule("shared", "shared.test", "shared");
        Action relay;
        relay.name = "relay";
        settings.actions.push_back(relay);
        MatchRule out;
        out.action = "relay";
        out.criteria = {{CriterionKind::from_local, false, ""},
                        {CriterionKind::for_domain, false, "far"}};
        settings.tables["far"] = list("far", {"far.test"});
        settings.rules.push_back(out);
        settings.switch_user = true;
    }

    void add(const std::string& name, ActionKind kind, const std::string& user,
             const std::string& aliases, const std::string& virtual_users = "") {
        Action action;
        action.name = name;
        action.kind = kind;
        action.user = user;
        action.aliases = aliases;
        action.virtual_users = virtual_users;
        settings.actions.push_back(action);
    }
    void rule(const std::string& table, const std::string& domain, const std::string& action) {
        settings.tables[table + "-domains"] = list(table, {domain});
        MatchRule one;
        one.action = action;
        one.criteria = {{CriterionKind::from_any, false, ""},
                        {CriterionKind::for_domain, false, table + "-domains"}};
        settings.rules.push_back(one);
    }

    ipc::RouteAnswer ask(const std::string& recipient, const std::string& from = "a@far.test") {
        settings.tables["aliases"] = mapping("aliases", aliases);
        settings.tables["virtual"] = mapping("virtual", virtual_users);
        const Result<Router> router = Router::prepare(settings, no_clock);
        EXPECT_TRUE(router.ok());
        ipc::RouteQuery query;
        query.origin.client = *IpAddress::parse("203.0.113.5");
        query.origin.local_hostname = "home.test";
        query.reverse_path = from;
        query.recipient = recipient;
        query.target = target;
        problems.clear();
        TableAnswers answers;
        return router->route(
            query,
            [](const std::string& name) -> Result<bool> {
                if (name == "broken")
                    return Error{"the user database is away"};
                static const std::set<std::string> names = {"alice", "bob",    "carol",
                                                            "vmail", "daemon", "root"};
                return names.contains(name);
            },
            answers, &problems, wanted);
    }

    std::string describe(const std::string& recipient, const std::string& from = "a@far.test") {
        static constexpr const char* verdicts[] = {"accepted",   "refused",   "no_rule",
                                                   "no_mailbox", "temporary", "expanded"};
        static constexpr const char* kinds[] = {"address", "\\", "|", "file ", "user "};
        const ipc::RouteAnswer answer = ask(recipient, from);
        std::string text = verdicts[static_cast<size_t>(answer.verdict)];
        if (answer.verdict == ipc::RouteVerdict::accepted)
            text += " " + answer.route.action + " " + answer.route.user;
        if (!answer.words.empty())
            text += " " + answer.words;
        for (const ipc::ExpandedRecipient& one : answer.expanded) {
            text += "; " + one.recipient;
            if (one.target)
                text += " " + std::string(kinds[static_cast<size_t>(one.target->kind)]) +
                        one.target->text;
            if (!one.owner.empty())
                text += " from " + one.owner;
        }
        return text;
    }

    ipc::LookupSettings settings;
    std::map<std::string, std::string> aliases = {
        {"postmaster", "root"},
        {"root", "alice"},
        {"support", "alice, bob, x@far.test"},
        {"self", "self"},
        {"bob", "bob, bob@far.test"},
        {"carol", "\\carol, carol@far.test"},
        {"twice", "alice, alice, alice@home.test, x@FAR.test, x@far.test"},
        {"deep1", "deep2"},
        {"deep2", "deep3@lists.test"},
        {"deep3", "alice"},
        {"loop1", "loop2"},
        {"loop2", "loop1@home.test"},
        {"half", "loop1, alice"},
        {"gone", "error:550 5.1.6 Gone"},
        {"later", "error:450 Come back"},
        {"nobody", "no-such-user"},
        {"some", "no-such-user, alice"},
        {"away", "alice, broken"},
        {"stranger", "x@elsewhere.test"},
        {"list", ":include:/etc/list"},
        {"owner-list", "alice"},
        {"empty", ":include:/etc/empty"},
        {"cmd", "|/bin/prog a, /var/spool/file"},
        {"tag+one", "carol@far.test"},
        {"tag", "alice"},
        {"x", "info@virtual.test"},
        {"j\u00fcrgen", "alice"},
    };
    std::map<std::string, std::string> virtual_users = {
        {"info@virtual.test", "alice, y@far.test"},
        {"user", "bob"},
        {"@virtual.test", "carol"},
        {"loop@virtual.test", "loop@virtual.test"},
        {"list@virtual.test", "\"x\"@far.test"},
        {"owner-list@virtual.test", "alice"},
        {"refused@virtual.test", "error:554 No"},
    };
    std::optional<ipc::Target> target;
    Wanted wanted = Wanted::everybody;
    std::vector<std::string> problems;
};

TEST(Expander, PutsOthersInARecipientsPlace) {
    struct {
        const char* recipient;
        const char* expected;
    } const cases[] = {
        {"alice@home.test", "accepted home alice"},
        {"nobody-at-all@home.test", "no_mailbox"},
        {"Support@Home.Test", "expanded; alice@home.test user alice; bob@home.test user bob; "
                              "bob@far.test; x@far.test"},
        {"support+tag@home.test", "expanded; alice@home.test user alice; bob@home.test user bob; "
                                  "bob@far.test; x@far.test"},
        {"bob@home.test", "expanded; bob@home.test user bob; bob@far.test"},
        {"carol@home.test", "expanded; carol@home.test \\carol; carol@far.test"},
        {"root@home.test", "expanded; alice@home.test user alice"},
        {"postmaster", "expanded; alice@home.test user alice"},
        {"self@home.test", "no_mailbox"}, // there is no such user
        {"twice@home.test", "expanded; alice@home.test user alice; alice@home.test; x@far.test"},
        {"deep1@home.test", "expanded; alice@lists.test user alice"},
        {"loop1@home.test", "refused 550 5.4.6 This address leads back to itself"},
        {"half@home.test", "expanded; alice@home.test user alice"},
        {"gone@home.test", "refused 550 5.1.6 Gone"},
        {"later@home.test", "temporary 450 4.7.1 Come back"},
        {"nobody@home.test", "no_mailbox"},
        {"some@home.test", "expanded; alice@home.test user alice"},
        {"away@home.test", "temporary"},
        {"stranger@home.test", "no_mailbox"},
        {"empty@home.test", "no_mailbox"},
        {"tag+one@home.test", "expanded; carol@far.test"},
        {"tag+two@home.test", "expanded; alice@home.test user alice"},
        {"j\u00fcrgen@home.test", "expanded; alice@home.test user alice"},
        {"cmd@only.test", "expanded; cmd@only.test |/bin/prog a; cmd@only.test file "
                          "/var/spool/file"},
        {"cmd@home.test", "no_mailbox"}, // as nobody
        {"alice@only.test", "no_mailbox"},
        {"support@only.test", "expanded; bob@far.test; x@far.test"},
        {"support@forward.test", "expanded; bob@far.test; x@far.test"},
        {"tag@forward.test", "no_mailbox"},
        {"deep1@forward.test", "no_mailbox"},
        {"support@shared.test", "expanded; alice@shared.test user alice; bob@shared.test user bob; "
                                "bob@far.test; x@far.test"},
        {"anybody@shared.test", "accepted shared vmail"},
        {"info@virtual.test", "expanded; alice@virtual.test user alice; y@far.test"},
        {"info+x@virtual.test", "expanded; alice@virtual.test user alice; y@far.test"},
        {"user@virtual.test", "expanded; bob@virtual.test user bob"},
        {"alice@virtual.test", "expanded; carol@virtual.test user carol"},
        {"anybody@virtual.test", "expanded; carol@virtual.test user carol"},
        {"refused@virtual.test", "refused 554 5.7.1 No"},
        {"loop@virtual.test", "no_mailbox"},
        {"x@home.test", "expanded; alice@virtual.test user alice; y@far.test"},
    };
    Site site;
    for (const auto& c : cases)
        EXPECT_EQ(site.describe(c.recipient), c.expected) << c.recipient;
}

TEST(Expander, WithoutACatchAllAVirtualDomainHasNobodyElse) {
    Site site;
    site.virtual_users.erase("@virtual.test");
    EXPECT_EQ(site.describe("alice@virtual.test"), "no_mailbox");
    EXPECT_EQ(site.describe("postmaster@virtual.test"), "accepted virtual root");
    site.virtual_users["@"] = "bob";
    EXPECT_EQ(site.describe("alice@virtual.test"), "expanded; bob@virtual.test user bob");
}

TEST(Expander, ListsHaveOwners) { // RFC 5321 3.9.2
    Site site;
    site.settings.tables[config::include_table("/etc/list")] =
        list("", {"x@far.test", "alice", "\"a b\"@far.test"});
    EXPECT_EQ(site.describe("list@home.test"),
              "expanded; x@far.test from owner-list@home.test; "
              "alice@home.test user alice from owner-list@home.test; "
              "\"a b\"@far.test from owner-list@home.test");
    EXPECT_EQ(site.describe("list@virtual.test"),
              "expanded; x@far.test from owner-list@virtual.test");
    // What nobody is told about stays so.
    EXPECT_EQ(site.describe("list@virtual.test", ""), "expanded; x@far.test");
    EXPECT_EQ(site.describe("owner-list@home.test"), "expanded; alice@home.test user alice");
}

TEST(Expander, AVirtualListHasOneOwnerWhateverTheTag) {
    Site site;
    site.virtual_users["owner-all"] = "alice";
    site.virtual_users["all"] = "x@far.test";
    EXPECT_EQ(site.describe("list+news@virtual.test"),
              "expanded; x@far.test from owner-list@virtual.test");
    EXPECT_EQ(site.describe("All+news@virtual.test"),
              "expanded; x@far.test from owner-all@virtual.test");
}

TEST(Expander, PostmasterIsNotWhoeverTakesWhatIsForNobody) { // RFC 5321 4.5.1
    Site site;
    site.virtual_users["@"] = "bob";
    EXPECT_EQ(site.describe("Postmaster@virtual.test"), "accepted virtual root");
    EXPECT_EQ(site.describe("anybody@virtual.test"), "expanded; carol@virtual.test user carol");
    site.virtual_users["postmaster"] = "alice";
    EXPECT_EQ(site.describe("postmaster@virtual.test"),
              "expanded; alice@virtual.test user alice");
}

TEST(Expander, WhatIsLeftOutIsSaid) {
    Site site;
    site.describe("some@home.test");
    EXPECT_EQ(site.problems, std::vector<std::string>{"some@home.test: there is no user "
                                                      "no-such-user"});
    site.describe("half@home.test");
    EXPECT_EQ(site.problems.size(), 1u);
    // Whoever asks for nobody fills no log.
    site.virtual_users.erase("@virtual.test");
    for (const char* nobody : {"who@home.test", "who@virtual.test", "who@only.test"}) {
        EXPECT_EQ(site.describe(nobody), "no_mailbox");
        EXPECT_TRUE(site.problems.empty()) << nobody;
    }
}

TEST(Expander, SomebodyIsEnoughForAnAnswerToRcpt) {
    Site site;
    site.wanted = Wanted::somebody;
    EXPECT_EQ(site.describe("support@home.test"), "expanded; alice@home.test user alice");
    EXPECT_EQ(site.describe("some@home.test"), "expanded; alice@home.test user alice");
    EXPECT_EQ(site.describe("nobody@home.test"), "no_mailbox");
    EXPECT_EQ(site.describe("gone@home.test"), "refused 550 5.1.6 Gone");
    EXPECT_EQ(site.describe("alice@home.test"), "accepted home alice");
}

TEST(Expander, IsBoundedInDepth) {
    Site site;
    for (int i = 0; i < 20; ++i)
        site.aliases["n" + std::to_string(i)] = "n" + std::to_string(i + 1);
    site.aliases["n20"] = "alice";
    EXPECT_EQ(site.describe("n11@home.test"), "expanded; alice@home.test user alice");
    EXPECT_EQ(site.describe("n10@home.test"),
              "refused 550 5.4.6 This address leads back to itself");
}

TEST(Expander, IsBoundedInSize) {
    Site site;
    std::vector<std::string> members;
    for (size_t i = 0; i < ipc::expansion_limit; ++i)
        members.push_back("x" + std::to_string(i) + "@far.test");
    Table& table = site.settings.tables[config::include_table("/etc/list")];
    table.values = members;
    EXPECT_EQ(site.ask("list@home.test").expanded.size(), ipc::expansion_limit);
    table.values.push_back("one-more@far.test");
    const ipc::RouteAnswer answer = site.ask("list@home.test");
    EXPECT_EQ(answer.verdict, ipc::RouteVerdict::temporary);
    EXPECT_TRUE(answer.expanded.empty());
}

// Ten levels that each name the next one twice under different names.
TEST(Expander, TakesEachEntryOnce) {
    Site site;
    for (int i = 0; i < 9; ++i) {
        std::string next;
        for (int j = 0; j < 20; ++j)
            next += "n" + std::to_string(i + 1) + "-" + std::to_string(j) + ",";
        for (int j = 0; j < 20; ++j)
            site.aliases["n" + std::to_string(i) + "-" + std::to_string(j)] = next;
    }
    for (int j = 0; j < 20; ++j)
        site.aliases["n9-" + std::to_string(j)] = "alice";
    EXPECT_EQ(site.describe("n0-0@home.test"), "expanded; alice@home.test user alice");
}

TEST(Expander, TargetsAreRoutedByTheirKind) {
    using ipc::TargetKind;
    struct {
        TargetKind kind;
        const char* text;
        const char* user;
        const char* recipient;
        const char* expected; // verdict, kind, user
    } const cases[] = {
        {TargetKind::user, "alice", "", "support@home.test", "0 1 alice"},
        {TargetKind::mailbox, "bob", "", "bob@home.test", "0 1 bob"},
        {TargetKind::mailbox, "gone", "", "bob@home.test", "3 0 "},
        {TargetKind::user, "bob", "", "bob@shared.test", "0 1 vmail"},
        {TargetKind::command, "cat", "", "cmd@only.test", "0 4 daemon"},
        {TargetKind::file, "/x", "", "cmd@only.test", "0 3 daemon"},
        {TargetKind::command, "cat", "alice", "alice@home.test", "0 4 alice"},
        {TargetKind::command, "cat", "root", "alice@home.test", "2 0 "},
        {TargetKind::command, "cat", "", "alice@home.test", "2 0 "}, // as nobody
        {TargetKind::user, "alice", "", "alice@only.test", "3 0 "},
        // Else it would go to the address that led to the user.
        {TargetKind::user, "alice", "", "list@relayed.test", "2 0 "},
        {TargetKind::mailbox, "alice", "", "list@relayed.test", "2 0 "},
    };
    for (const auto& c : cases) {
        Site site;
        site.rule("relayed", "relayed.test", "relay");
        site.target.emplace();
        site.target->kind = c.kind;
        site.target->text = c.text;
        site.target->user = c.user;
        const ipc::RouteAnswer answer = site.ask(c.recipient);
        EXPECT_EQ(std::to_string(static_cast<int>(answer.verdict)) + " " +
                      std::to_string(static_cast<int>(answer.route.kind)) + " " + answer.route.user,
                  c.expected)
            << c.recipient << " " << c.text;
    }
}

} // namespace
} // namespace postern
