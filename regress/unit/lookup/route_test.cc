#include "smtpd/lookup/route.h"

#include <gtest/gtest.h>

#include <set>

#include "common/config/relay_url.h"
#include "common/smtp/text.h"
#include "smtpd/lookup/relay_secrets.h"

namespace postern {
namespace {

int64_t no_clock() { return 0; }

using ipc::RouteVerdict;

constexpr const char* verdicts[] = {"accepted", "refused", "no_rule", "no_mailbox", "temporary"};

Table list(const std::string& name, std::vector<std::string> values) {
    Table table;
    table.name = name;
    table.values = std::move(values);
    return table;
}

MatchRule for_domain(const std::string& domain, const std::string& action) {
    MatchRule rule;
    Criterion from;
    from.kind = CriterionKind::from_any;
    Criterion to;
    to.kind = CriterionKind::for_domain;
    to.table = domain;
    rule.criteria = {from, to};
    rule.action = action;
    return rule;
}

Action action(const std::string& name, ActionKind kind) {
    Action action;
    action.name = name;
    action.kind = kind;
    return action;
}

// A domain for each kind of action, named after it.
ipc::LookupSettings settings() {
    ipc::LookupSettings settings;
    Action smarthost = action("smarthost", ActionKind::relay);
    smarthost.host = RelayHost{RelayScheme::smtp, "hub.test", 2525, ""};
    smarthost.helo = "out.test";
    smarthost.source = IpAddress::parse("192.0.2.1");
    smarthost.ttl = std::chrono::hours(1);
    Action lmtp = action("lmtp", ActionKind::lmtp);
    lmtp.host = RelayHost{RelayScheme::lmtp, "", 0, "/run/lmtp"};
    lmtp.lmtp_rcpt_to = true;
    Action shared = action("shared", ActionKind::maildir);
    shared.user = "vmail";
    Action lost = action("lost", ActionKind::maildir);
    lost.user = "nobody-here";
    settings.actions = {action("mx", ActionKind::relay),        smarthost, lmtp,
                        action("maildir", ActionKind::maildir), shared,    lost};
    for (const char* name : {"mx", "smarthost", "lmtp", "maildir", "shared", "lost"}) {
        settings.tables[name] = list(name, {std::string(name) + ".test"});
        settings.rules.push_back(for_domain(name, name));
    }
    settings.tables["refused"] = list("refused", {"refused.test"});
    settings.rules.push_back(for_domain("refused", ""));
    settings.switch_user = true;
    return settings;
}

// The system's users; "broken" cannot be looked up.
struct Users {
    std::set<std::string> names = {"alice", "vmail", "bob.b", "a+b", "root"};
    std::vector<std::string> asked;

    UserExists lookup() {
        return [this](const std::string& name) -> Result<bool> {
            asked.push_back(name);
            if (name == "broken")
                return Error{"the user database is away"};
            return names.contains(name);
        };
    }
};

ipc::RouteAnswer route(const ipc::LookupSettings& settings, const std::string& recipient,
                       Users& users, const std::string& reverse_path = "from@far.test") {
    Result<Router> router = Router::prepare(settings, no_clock);
    EXPECT_TRUE(router.ok());
    ipc::RouteQuery query;
    query.request = 9;
    query.origin.client = *IpAddress::parse("203.0.113.5");
    query.origin.local_hostname = "gateway.test";
    query.reverse_path = reverse_path;
    query.recipient = recipient;
    TableAnswers none;
    ipc::RouteAnswer answer = router->route(query, users.lookup(), none);
    EXPECT_EQ(answer.request, 9u);
    return answer;
}

// What a table that is elsewhere has, by its keys; "away" cannot be told.
ipc::RouteAnswer route_with(const std::map<std::string, std::string>& aliases,
                            const std::string& recipient, std::set<std::string>* asked = nullptr,
                            Wanted wanted = Wanted::everybody, size_t* rounds = nullptr) {
    ipc::LookupSettings all = settings();
    for (Action& action : all.actions)
        if (action.name == "maildir")
            action.aliases = "elsewhere";
    all.tables["elsewhere"].kind = TableKind::external;
    const Result<Router> router = Router::prepare(all, no_clock);
    EXPECT_TRUE(router.ok());
    ipc::RouteQuery query;
    query.origin.client = *IpAddress::parse("203.0.113.5");
    query.reverse_path = "from@far.test";
    query.recipient = recipient;
    TableAnswers answers;
    Users users;
    for (;;) {
        ipc::RouteAnswer answer = router->route(query, users.lookup(), answers, nullptr, wanted);
        if (!answers.wanting())
            return answer;
        if (rounds)
            ++*rounds;
        for (const TableKey& key : answers.take_wanted()) {
            EXPECT_EQ(key.service, TableService::alias);
            const auto found = aliases.find(key.key);
            if (asked)
                asked->insert(key.key);
            if (key.key == "away")
                answers.learn(key, {});
            else if (found == aliases.end())
                answers.learn(key, {ipc::TableVerdict::not_found, ""});
            else
                answers.learn(key, {ipc::TableVerdict::found, found->second});
        }
    }
}

TEST(Router, AliasesOfATableThatIsElsewhere) {
    const std::map<std::string, std::string> aliases = {{"sales", "alice, second, x@mx.test"},
                                                        {"second", "bob.b"},
                                                        {"lost", "away"},
                                                        {"command", "alice, |cat"},
                                                        {"file", "/tmp/x"},
                                                        {"list", ":include:/etc/list"}};
    std::set<std::string> asked;
    const ipc::RouteAnswer answer = route_with(aliases, "Sales+tag@maildir.test", &asked);
    EXPECT_EQ(answer.verdict, RouteVerdict::expanded);
    std::set<std::string> recipients;
    for (const ipc::ExpandedRecipient& one : answer.expanded)
        recipients.insert(one.target ? one.target->text : one.recipient);
    EXPECT_EQ(recipients, (std::set<std::string>{"alice", "bob.b", "x@mx.test"}));
    EXPECT_TRUE(asked.contains("sales+tag"));
    EXPECT_EQ(route_with(aliases, "alice@maildir.test").verdict, RouteVerdict::accepted);
    EXPECT_EQ(route_with(aliases, "carol@maildir.test").verdict, RouteVerdict::no_mailbox);
    // The answer is not known, or is none that may come from there.
    for (const char* name : {"away", "lost", "command", "file", "list"})
        EXPECT_EQ(route_with(aliases, std::string(name) + "@maildir.test").verdict,
                  RouteVerdict::temporary)
            << name;
    // In quotes it is not the address of somebody else, nor is its owner.
    asked.clear();
    route_with(aliases, "\"sales@maildir.test\"@maildir.test", &asked);
    EXPECT_EQ(asked, std::set<std::string>());
}

// A long list takes no more rounds than its depth; where one member is enough the others are not
// asked for.
TEST(Router, MembersOfAListElsewhereAreAskedForTogether) {
    std::map<std::string, std::string> aliases;
    for (int i = 0; i < 3000; ++i) {
        aliases["list"] += (i ? ", n" : "n") + std::to_string(i);
        aliases["n" + std::to_string(i)] = "x" + std::to_string(i) + "@mx.test";
    }
    size_t rounds = 0;
    const ipc::RouteAnswer answer =
        route_with(aliases, "list@maildir.test", nullptr, Wanted::everybody, &rounds);
    EXPECT_EQ(answer.verdict, RouteVerdict::expanded);
    EXPECT_EQ(answer.expanded.size(), 3000u);
    EXPECT_LE(rounds, 5u);
    std::set<std::string> asked;
    EXPECT_EQ(route_with(aliases, "list@maildir.test", &asked, Wanted::somebody).verdict,
              RouteVerdict::expanded);
    EXPECT_LE(asked.size(), 5u);
}

TEST(Router, MapsRecipientsToRoutes) {
    struct {
        const char* recipient;
        const char* expected; // verdict, action, then what matters for its kind
    } const cases[] = {
        {"x@MX.Test", "accepted mx domain=mx.test"},
        {"j\u00fcrgen@mx.test", "accepted mx domain=mx.test"},
        {"x@smarthost.test", "accepted smarthost host=hub.test:2525 helo=out.test src=192.0.2.1"},
        {"X+y@lmtp.test", "accepted lmtp host=/run/lmtp rcpt-to"},
        {"alice@maildir.test", "accepted maildir user=alice"},
        {"Alice@maildir.test", "accepted maildir user=alice"},
        {"alice+tag@maildir.test", "accepted maildir user=alice"},
        {"alice+a+b@maildir.test", "accepted maildir user=alice"},
        {"bob.b@maildir.test", "accepted maildir user=bob.b"},
        {"carol@maildir.test", "no_mailbox"},
        {"\u00e5lice@maildir.test", "no_mailbox"}, // no name of a system user
        {"alice+\u00fc@maildir.test", "accepted maildir user=alice"},
        {"\xfc@mx.test", "no_mailbox"},
        {"Postmaster@maildir.test", "accepted maildir user=root"}, // RFC 5321 4.5.1
        {"broken@maildir.test", "temporary"},
        {"broken+tag@maildir.test", "temporary"},
        {"\"../alice\"@maildir.test", "no_mailbox"},
        {"\"a b\"@maildir.test", "no_mailbox"},
        {"\"+tag\"@maildir.test", "no_mailbox"},
        {"-alice@maildir.test", "no_mailbox"},
        {"anybody@shared.test", "accepted shared user=vmail"},
        {"\"any/body\"@shared.test", "accepted shared user=vmail"},
        {"anybody@lost.test", "temporary"},
        {"x@refused.test", "refused"},
        {"x@elsewhere.test", "no_rule"},
        {"no address", "no_mailbox"},
        {"", "no_mailbox"},
        {"x@mx.test> RCPT", "no_mailbox"},
    };
    for (const auto& c : cases) {
        Users users;
        const ipc::RouteAnswer answer = route(settings(), c.recipient, users);
        std::string got = verdicts[static_cast<int>(answer.verdict)];
        const ipc::Route& r = answer.route;
        got += r.action.empty() ? "" : " " + r.action;
        got += r.domain.empty() ? "" : " domain=" + r.domain;
        if (r.host)
            got += " host=" + (r.host->unix_path.empty()
                                   ? r.host->host + ":" + std::to_string(r.host->port)
                                   : r.host->unix_path);
        got += r.helo.empty() ? "" : " helo=" + r.helo;
        for (const ipc::SourceAddress& source : r.sources)
            got += " src=" + source.address.to_string();
        got += r.user.empty() ? "" : " user=" + r.user;
        got += r.lmtp_rcpt_to ? " rcpt-to" : "";
        EXPECT_EQ(got, c.expected) << c.recipient;
    }
}

TEST(Router, RecipientsOfOneDestinationHaveEqualRoutes) {
    Users users;
    const auto a = route(settings(), "a@smarthost.test", users);
    const auto b = route(settings(), "b@Smarthost.test", users);
    EXPECT_EQ(ipc::encode_bytes(a.route), ipc::encode_bytes(b.route));
    EXPECT_EQ(a.route.ttl, std::chrono::hours(1));
}

// "host label, host label from address name"
std::string describe(const ipc::Route& route) {
    std::string text;
    const auto add = [&text](const RelayHost& host, const std::string& label) {
        text += (text.empty() ? "" : ", ") + config::to_url(host) +
                (label.empty() ? "" : " as " + label);
    };
    if (route.host)
        add(*route.host, route.label);
    for (const RelayTarget& other : route.others)
        add(other.host, other.label);
    text += route.domain.empty() ? "" : "mx " + route.domain;
    text += route.backup_name.empty() ? "" : " before " + route.backup_name;
    for (const ipc::SourceAddress& source : route.sources)
        text += " from " + source.address.to_string() + " " + source.helo;
    return text;
}

Table mapping(const std::string& name, std::map<std::string, std::string> pairs) {
    Table table;
    table.name = name;
    table.is_mapping = true;
    table.pairs = std::move(pairs);
    return table;
}

TEST(Router, RelayHostsFromTables) {
    ipc::LookupSettings all = settings();
    all.local_names = {"gw.test"};
    Action& mx = all.actions[0];
    mx.hosts = "hubs";
    mx.credentials = "secrets";
    all.tables["hubs"] = list("hubs", {"smtp://a.test", "smtp+tls://me@b.test:587"});
    Users users;
    EXPECT_EQ(describe(route(all, "x@mx.test", users).route),
              "smtp://a.test:25, smtp+tls://b.test:587 as me");
    EXPECT_EQ(route(all, "x@mx.test", users).route.credentials, "secrets");

    mx.hosts.clear();
    mx.host_by_domain = "map";
    all.tables["mx"].values.push_back("other.test");
    all.tables["map"] = mapping("map", {{"mx.test", "smtp://c.test, smtps://d.test"}});
    EXPECT_EQ(describe(route(all, "x@MX.test", users).route),
              "smtp://c.test:25, smtps://d.test:465");
    EXPECT_EQ(route(all, "x@other.test", users).verdict, RouteVerdict::temporary);
    all.tables["map"].pairs["*"] = "smtp://rest.test";
    EXPECT_EQ(describe(route(all, "x@other.test", users).route), "smtp://rest.test:25");

    mx.host_by_domain.clear();
    mx.backup = true;
    EXPECT_EQ(describe(route(all, "x@mx.test", users).route), "mx mx.test before gw.test");
    mx.backup_name = "mx2.test";
    EXPECT_EQ(describe(route(all, "x@mx.test", users).route), "mx mx.test before mx2.test");
}

// All recipients of a message, and all attempts, have the same addresses; senders are spread.
TEST(Router, SourceAddressesGoByTheSender) {
    ipc::LookupSettings all = settings();
    all.tables["pool"] = list("pool", {"192.0.2.1", "192.0.2.2", "2001:db8::1", "192.0.2.3"});
    all.tables["names"] =
        mapping("names", {{"192.0.2.1", "a.test"}, {"[2001:db8::1]", "six.test"}});
    all.tables["mx"].values.push_back("other.test");
    all.actions[0].sources = "pool";
    all.actions[0].helo_by_source = "names";
    Users users;
    std::map<std::string, int> shares;
    for (int i = 0; i < 3000; ++i) {
        const std::string sender = "sender" + std::to_string(i) + "@test";
        const auto one = route(all, "x@mx.test", users, sender).route;
        ASSERT_EQ(one.sources.size(), 2u);
        EXPECT_EQ(one.sources[0].helo,
                  one.sources[0].address.to_string() == "192.0.2.1" ? "a.test" : "");
        EXPECT_EQ(one.sources[1].helo, "six.test");
        EXPECT_EQ(ipc::encode_bytes(one.sources),
                  ipc::encode_bytes(route(all, "y@other.test", users, sender).route.sources));
        ++shares[one.sources[0].address.to_string()];
    }
    for (const auto& [address, share] : shares)
        EXPECT_NEAR(share, 1000, 150) << address;
    EXPECT_EQ(shares.size(), 3u);
    // Reports have no sender: their domains are spread.
    std::set<std::string> reports;
    for (int i = 0; i < 30; ++i) {
        all.tables["mx"].values.push_back("d" + std::to_string(i) + ".test");
        reports.insert(describe(route(all, "x@" + all.tables["mx"].values.back(), users, "").route)
                           .substr(std::string("mx dN.test").size()));
    }
    EXPECT_GT(reports.size(), 3u);
}

TEST(Router, AnotherAddressInThePoolMovesItsOwnShareOnly) {
    std::vector<ipc::SourceAddress> pool;
    for (int i = 1; i <= 4; ++i)
        pool.push_back({*IpAddress::parse("192.0.2." + std::to_string(i)), ""});
    std::vector<ipc::SourceAddress> larger = pool;
    larger.push_back({*IpAddress::parse("192.0.2.5"), ""});
    int moved = 0;
    for (int i = 0; i < 1000; ++i) {
        const std::string key = std::to_string(i);
        const IpAddress before = choose_sources(pool, key).front().address;
        const IpAddress after = choose_sources(larger, key).front().address;
        moved += before != after;
        EXPECT_TRUE(before == after || after == larger.back().address);
    }
    EXPECT_NEAR(moved, 200, 60);
}

// One choice for both families: a limit of an address is not that of its partners, too.
TEST(Router, AddressesOfBothFamiliesAreChosenInPairs) {
    std::vector<ipc::SourceAddress> pool;
    for (const char* text : {"192.0.2.1", "2001:db8::1", "192.0.2.2", "2001:db8::2", "192.0.2.3"})
        pool.push_back({*IpAddress::parse(text), ""});
    std::set<std::string> pairs;
    for (int i = 0; i < 300; ++i) {
        std::string pair;
        for (const ipc::SourceAddress& source : choose_sources(pool, std::to_string(i)))
            pair += source.address.to_string() + " ";
        pairs.insert(pair);
    }
    EXPECT_EQ(pairs, (std::set<std::string>{"192.0.2.1 2001:db8::1 ", "192.0.2.2 2001:db8::2 ",
                                            "192.0.2.3 2001:db8::1 "}));
    EXPECT_TRUE(choose_sources({}, "x").empty());
}

TEST(Router, TablesOfOtherThingsAreRefused) {
    const std::pair<const char*, std::string Action::*> rows[] = {
        {"hosts", &Action::hosts},
        {"pool", &Action::sources},
        {"map", &Action::host_by_domain},
        {"none", &Action::hosts},
    };
    for (const auto& [name, member] : rows) {
        ipc::LookupSettings all = settings();
        all.tables["hosts"] = list("hosts", {"foo://bar"});
        all.tables["pool"] = list("pool", {"somewhere"});
        all.tables["map"] = mapping("map", {{"d.test", "smtp://"}});
        all.actions[0].*member = name;
        EXPECT_FALSE(Router::prepare(all, no_clock)) << name;
    }
    ipc::LookupSettings all = settings();
    all.tables["empty"] = list("empty", {});
    all.actions[0].sources = "empty"; // rather than from anywhere
    EXPECT_FALSE(Router::prepare(all, no_clock));
}

TEST(RelaySecrets, OnlyThoseOfActions) {
    ipc::LookupSettings all = settings();
    all.tables["secrets"] = mapping("secrets", {{"me", "bob:pa:ss"}});
    all.tables["users"] = mapping("users", {{"me", "alice:$y$"}});
    all.actions[0].credentials = "secrets";
    const Result<RelaySecrets> secrets = RelaySecrets::prepare(all);
    ASSERT_TRUE(secrets);
    const auto ask = [&](const char* table, const char* label) {
        ipc::CredentialQuery query;
        query.request = 7;
        query.table = table;
        query.label = label;
        return secrets->find(query);
    };
    const ipc::CredentialAnswer found = ask("secrets", "ME");
    EXPECT_TRUE(found.found);
    EXPECT_EQ(found.request, 7u);
    EXPECT_EQ(found.user, "bob");
    EXPECT_EQ(found.password.view(), "pa:ss");
    EXPECT_FALSE(ask("secrets", "you").found);
    EXPECT_FALSE(ask("users", "me").found);
    RelaySecrets::wipe_tables(all);
    EXPECT_EQ(all.tables["secrets"].pairs["me"], "");
    EXPECT_TRUE(ask("secrets", "me").found) << "which needs them no more";

    all.tables["secrets"].pairs = {{"you", "nothing"}};
    const Result<RelaySecrets> bad = RelaySecrets::prepare(all);
    ASSERT_FALSE(bad);
    EXPECT_EQ(bad.error().message.find("nothing"), std::string::npos);
}

TEST(Router, InternationalizedDomainsAreAskedForAsALabels) {
    Users users;
    ipc::LookupSettings all = settings();
    all.tables["mx"].values.push_back("b\u00fccher.test");
    const auto answer = route(all, "u@b\u00fccher.test", users, "j\u00fcrgen@\u00fc.test");
    EXPECT_EQ(answer.verdict, RouteVerdict::accepted);
    EXPECT_EQ(answer.route.domain, "xn--bcher-kva.test");
    const auto same = route(all, "u@xn--bcher-kva.test", users);
    EXPECT_EQ(ipc::encode_bytes(answer.route), ipc::encode_bytes(same.route));
    EXPECT_EQ(route(all, "u@\u2603.test", users).verdict, RouteVerdict::no_mailbox);
}

TEST(Router, TheNullReversePathIsOne) {
    Users users;
    EXPECT_EQ(route(settings(), "x@mx.test", users, "").verdict, RouteVerdict::accepted);
}

TEST(Router, OddNamesAreNotEvenLookedUp) {
    Users users;
    route(settings(), "\"; rm -rf\"@maildir.test", users);
    EXPECT_TRUE(users.asked.empty());
}

TEST(Router, WithoutRootAnActionsUserNeedNotExist) {
    ipc::LookupSettings unprivileged = settings();
    unprivileged.switch_user = false;
    Users users;
    const auto answer = route(unprivileged, "x@lost.test", users);
    EXPECT_EQ(answer.verdict, RouteVerdict::accepted);
    EXPECT_EQ(answer.route.user, "nobody-here");
    EXPECT_TRUE(users.asked.empty());
    // But who has no mailbox has none.
    EXPECT_EQ(route(unprivileged, "carol@maildir.test", users).verdict, RouteVerdict::no_mailbox);
}

TEST(Router, PostmasterNeedsNoDomain) {
    ipc::LookupSettings with_local = settings();
    MatchRule local;
    Criterion to;
    to.kind = CriterionKind::for_local;
    local.criteria = {to};
    local.action = "shared";
    with_local.rules.push_back(local);
    Users users;
    const auto answer = route(with_local, "postmaster", users);
    EXPECT_EQ(answer.verdict, RouteVerdict::accepted);
    EXPECT_EQ(answer.route.action, "shared");
}

constexpr int64_t day = 86400;

struct Forwarding {
    bool internal = true; // mail of our own, such as what is forwarded
    int64_t day = 20'000; // since the epoch
    std::vector<MatchRule> more_rules{};
    Wanted wanted = Wanted::somebody;
};

MatchRule from_local(const std::string& domain, const std::string& action) {
    MatchRule rule = for_domain(domain, action);
    rule.criteria[0].kind = CriterionKind::from_local;
    return rule;
}

// By a gateway that forwards from `srs.test` to anywhere.
ipc::RouteAnswer forwarded(const std::string& recipient, const std::string& reverse_path,
                           const Forwarding& how = {}) {
    ipc::LookupSettings all = settings();
    all.actions[0].srs = true;
    all.srs.key = "0123456789abcdef";
    all.srs.domain = "srs.test";
    for (const char* name : {"srs", "far", "near"})
        all.tables[name] = list(name, {std::string(name) + ".test"});
    all.rules.insert(all.rules.end(), how.more_rules.begin(), how.more_rules.end());
    all.rules.push_back(from_local("far", "mx"));
    all.rules.push_back(from_local("near", "shared"));
    const Result<Router> router = Router::prepare(all, [&] { return how.day * day; });
    EXPECT_TRUE(router.ok());
    ipc::RouteQuery query;
    query.origin.client = *IpAddress::parse("203.0.113.5");
    query.origin.internal = how.internal;
    query.reverse_path = reverse_path;
    query.recipient = recipient;
    Users users;
    TableAnswers none;
    return router->route(query, users.lookup(), none, nullptr, how.wanted);
}

TEST(Router, RewritesSendersOfForwardedMail) {
    const auto answer = forwarded("bob@mx.test", "ann@far.test");
    ASSERT_TRUE(answer.route.reverse_path);
    const std::string rewritten = *answer.route.reverse_path;
    EXPECT_TRUE(rewritten.starts_with("SRS0=") && rewritten.ends_with("=far.test=ann@srs.test"))
        << rewritten;
    struct Case {
        const char* why;
        const char* recipient;
        const char* reverse_path;
        bool internal;
    };
    for (const Case& c : {Case{"not forwarded", "bob@mx.test", "ann@far.test", false},
                          Case{"a report", "bob@mx.test", "", true},
                          Case{"the sender is one here", "bob@mx.test", "owner@near.test", true},
                          Case{"we are his exchanger", "bob@mx.test", "ann@smarthost.test", true},
                          Case{"ours already", "bob@mx.test", "owner@srs.test", true},
                          Case{"without srs", "bob@smarthost.test", "ann@far.test", true},
                          Case{"it stays here", "bob@maildir.test", "ann@far.test", true}})
        EXPECT_FALSE(
            forwarded(c.recipient, c.reverse_path, {.internal = c.internal}).route.reverse_path)
            << c.why;
}

// Reports to a rewritten sender reach him, whoever they come from.
TEST(Router, RestoresSendersWhomItHasRewritten) {
    const std::string rewritten = *forwarded("bob@mx.test", "ann@far.test").route.reverse_path;
    const Forwarding from_elsewhere{.internal = false, .day = 20'007};
    for (const std::string& recipient : {rewritten, ascii_lower(rewritten)}) {
        const auto answer = forwarded(recipient, "", from_elsewhere);
        EXPECT_EQ(answer.verdict, RouteVerdict::expanded);
        ASSERT_EQ(answer.expanded.size(), 1u);
        EXPECT_EQ(answer.expanded[0].recipient, "ann@far.test");
        EXPECT_FALSE(answer.expanded[0].target);
        EXPECT_EQ(answer.expanded[0].owner, "");
    }
    Forwarding late = from_elsewhere;
    late.day = 20'008;
    EXPECT_EQ(forwarded(rewritten, "", late).words,
              "550 5.1.1 This is a rewritten address whose time is over");
    late.wanted = Wanted::everybody;
    EXPECT_EQ(forwarded(rewritten, "", late).verdict, RouteVerdict::expanded) << "taken in time";
}

TEST(Router, RestoresSendersForReportsAlone) {
    const std::string rewritten = *forwarded("bob@mx.test", "ann@far.test").route.reverse_path;
    const Forwarding outside{.internal = false};
    std::string forged = rewritten;
    forged.replace(forged.find("=ann@"), 5, "=bob@");
    const auto answer = forwarded(forged, "", outside);
    EXPECT_EQ(answer.verdict, RouteVerdict::refused);
    EXPECT_EQ(answer.words, "550 5.1.1 This is a rewritten address that is not of our making");
    EXPECT_EQ(forwarded(rewritten, "eve@x.test", outside).words,
              "550 5.7.1 This address is for reports alone");
    // Others of that domain are not told from those of any other.
    EXPECT_EQ(forwarded("ann@srs.test", "", outside).verdict, RouteVerdict::no_rule);
    // Nobody would take it from us.
    const std::string unknown = *forwarded("bob@mx.test", "ann@unknown.test").route.reverse_path;
    EXPECT_EQ(forwarded(unknown, "", outside).verdict, RouteVerdict::no_rule);
    const auto with = [&](const MatchRule& rule) {
        return forwarded(rewritten, "", {.internal = false, .more_rules = {rule}}).verdict;
    };
    EXPECT_EQ(with(for_domain("srs", "shared")), RouteVerdict::expanded);
    EXPECT_EQ(with(for_domain("srs", "")), RouteVerdict::refused);
    EXPECT_EQ(with(for_domain("far", "")), RouteVerdict::refused);
}

TEST(Router, RefusesSettingsThatContradictThemselves) {
    ipc::LookupSettings no_action = settings();
    no_action.actions.clear();
    EXPECT_FALSE(Router::prepare(no_action, no_clock).ok());
    ipc::LookupSettings no_table = settings();
    no_table.tables.clear();
    EXPECT_FALSE(Router::prepare(no_table, no_clock).ok());
}

TEST(UserName, IsPlain) {
    for (const char* good : {"alice", "a", "_apt", "www-data", "bob.b", "x9", "UPPER"})
        EXPECT_TRUE(is_user_name(good)) << good;
    for (const std::string& bad :
         {std::string(), std::string("-x"), std::string(".x"), std::string("a/b"),
          std::string("a b"), std::string("a:b"), std::string("a\0b", 3), std::string("\xc3\xa4"),
          std::string(65, 'a')})
        EXPECT_FALSE(is_user_name(bad)) << bad;
}

} // namespace
} // namespace postern
