#include "smtpd/lookup/route.h"

#include <gtest/gtest.h>

#include <set>

namespace postern {
namespace {

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
    Result<Router> router = Router::prepare(settings);
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
        got += r.source ? " src=" + r.source->to_string() : "";
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

TEST(Router, RefusesSettingsThatContradictThemselves) {
    ipc::LookupSettings no_action = settings();
    no_action.actions.clear();
    EXPECT_FALSE(Router::prepare(no_action).ok());
    ipc::LookupSettings no_table = settings();
    no_table.tables.clear();
    EXPECT_FALSE(Router::prepare(no_table).ok());
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
