// What the queue believes of what a deliverer says, and where it thinks a route leads.
#include "queue/dispatch.h"

#include <algorithm>
#include <gtest/gtest.h>

#include "queue/router.h"

namespace postern {
namespace {

ipc::RecipientOutcome outcome(uint32_t index, ipc::RecipientStatus status, std::string enhanced,
                              std::string diagnostic = "said") {
    ipc::RecipientOutcome result;
    result.index = index;
    result.status = status;
    result.enhanced = std::move(enhanced);
    result.diagnostic = std::move(diagnostic);
    return result;
}

using Status = ipc::RecipientStatus;

TEST(CheckOutcomes, LiesAreFound) {
    struct Case {
        const char* what;
        std::vector<uint32_t> told;
        bool good;
    };
    const Case cases[] = {
        {"all of them", {3, 5}, true},      {"in another order", {5, 3}, true},
        {"one is missing", {5}, true},      {"all are missing", {}, true},
        {"somebody else's", {3, 4}, false}, {"one too many", {3, 5, 6}, false},
        {"twice", {3, 3}, false},
    };
    for (const Case& c : cases) {
        std::vector<ipc::RecipientOutcome> told;
        for (uint32_t index : c.told)
            told.push_back(outcome(index, Status::delivered, "2.0.0"));
        auto checked = check_outcomes({3, 5}, std::move(told), {});
        ASSERT_EQ(checked.ok(), c.good) << c.what;
        if (!c.good)
            continue;
        EXPECT_EQ(checked->size(), 2u) << c.what;
        for (const auto& one : *checked) {
            const bool heard = std::count(c.told.begin(), c.told.end(), one.index);
            EXPECT_EQ(one.status, heard ? Status::delivered : Status::temporary) << c.what;
        }
    }
}

TEST(CheckOutcomes, CodesAgreeWithTheStatus) {
    struct Case {
        Status status;
        const char* said;
        const char* taken;
    };
    const Case cases[] = {
        {Status::delivered, "2.1.5", "2.1.5"},   {Status::delivered, "", "2.0.0"},
        {Status::temporary, "4.2.2", "4.2.2"},   {Status::temporary, "5.1.1", "4.1.1"},
        {Status::permanent, "5.1.1", "5.1.1"},   {Status::permanent, "4.2.2", "5.2.2"},
        {Status::permanent, "garbage", "5.0.0"},
    };
    for (const Case& c : cases) {
        auto checked = check_outcomes({0}, {outcome(0, c.status, c.said)}, {});
        ASSERT_TRUE(checked);
        EXPECT_EQ(checked->front().enhanced, c.taken) << c.said;
    }
}

TEST(CheckOutcomes, AUsersForwardNamesWhatIsHis) {
    using ipc::TargetKind;
    struct Case {
        std::optional<std::string> forwarder;
        ipc::Target target;
        bool good;
    };
    const Case cases[] = {
        {"bob", {TargetKind::address, "x@far.example", ""}, true},
        {"bob", {TargetKind::address, "", ""}, false},
        {"bob", {TargetKind::mailbox, "bob", ""}, true},
        {"bob", {TargetKind::mailbox, "carol", ""}, false},
        {"bob", {TargetKind::command, "cat", "bob"}, true},
        {"bob", {TargetKind::command, "cat", "root"}, false},
        {"bob", {TargetKind::command, "cat", ""}, false},
        {"bob", {TargetKind::file, "/x", "bob"}, true},
        {"bob", {TargetKind::file, "/x", "carol"}, false},
        {"bob", {TargetKind::user, "bob", ""}, false},
        {"", {TargetKind::address, "x@far.example", ""}, true},
        {"", {TargetKind::mailbox, "", ""}, false},
        {"", {TargetKind::command, "cat", ""}, false},
        {std::nullopt, {TargetKind::address, "x@far.example", ""}, false}, // a relay
    };
    for (const Case& c : cases) {
        ipc::RecipientOutcome forwarded = outcome(0, Status::forwarded, "2.0.0");
        forwarded.targets = {c.target};
        const auto checked = check_outcomes({0}, {forwarded}, c.forwarder);
        ASSERT_EQ(checked.ok(), c.forwarder.has_value()) << "no relay says that";
        if (!checked)
            continue;
        EXPECT_EQ(checked->front().status, c.good ? Status::forwarded : Status::temporary)
            << static_cast<int>(c.target.kind) << c.target.text << " " << c.target.user;
        EXPECT_EQ(checked->front().targets.empty(), !c.good);
    }
}

TEST(CheckOutcomes, TextIsMadeHarmless) {
    auto checked = check_outcomes(
        {0}, {outcome(0, Status::temporary, "4.0.0", "a\r\nb\x01\x80" + std::string(5000, 'x'))},
        {});
    ASSERT_TRUE(checked);
    const std::string& text = checked->front().diagnostic;
    EXPECT_EQ(text.substr(0, 7), "a??b??x");
    EXPECT_EQ(text.size(), 1024u);
}

TEST(PlaceOf, SaysWhoSharesWhat) {
    ipc::Route exchanger;
    exchanger.domain = "Dest.Example.";
    ipc::Route from_address = exchanger;
    from_address.sources = {{*IpAddress::parse("192.0.2.9")}};
    ipc::Route smarthost;
    smarthost.host = RelayHost{RelayScheme::smtp, "Smart.Example", 587, ""};
    ipc::Route no_tls = smarthost;
    no_tls.host->scheme = RelayScheme::smtp_no_tls;
    ipc::Route demanding = exchanger;
    demanding.tls.required = true;
    ipc::Route on_terms = smarthost;
    on_terms.host->scheme = RelayScheme::smtp_tls;
    on_terms.tls = {false, false, "lab", "HIGH", true, false};
    ipc::Route smtps = smarthost;
    smtps.host->scheme = RelayScheme::smtps;
    ipc::Route lmtp;
    lmtp.kind = ActionKind::lmtp;
    lmtp.host = RelayHost{RelayScheme::lmtp, "127.0.0.1", 24, ""};
    ipc::Route lmtp_socket = lmtp;
    lmtp_socket.host->unix_path = "/run/lmtp";
    ipc::Route maildir;
    maildir.kind = ActionKind::maildir;
    maildir.action = "home";

    ipc::Route of_user = maildir;
    of_user.user = "alice";

    struct Case {
        const ipc::Route& route;
        const char* destination;
        bool local;
    };
    const Case cases[] = {
        {exchanger, "dest.example", false},
        {from_address, "dest.example from 192.0.2.9", false},
        {smarthost, "smtp://smart.example:587", false},
        {no_tls, "smtp+notls://smart.example:587",
         false}, // mail that goes by one may fail by another
        {demanding, "dest.example tls", false},
        {on_terms, "smtp+tls://smart.example:587 no-verify ca lab ciphers HIGH TLSv1.2", false},
        {smtps, "smtps://smart.example:587", false},
        {lmtp, "lmtp://127.0.0.1:24", false},
        {lmtp_socket, "lmtp:/run/lmtp", false},
        {maildir, "maildir:home:u@here.example", true},
        {of_user, "maildir:home:alice", true}, // whatever address of hers it is
    };
    for (const Case& c : cases) {
        const Place place = place_of(c.route, "u@here.example");
        EXPECT_EQ(place.destination, c.destination);
        EXPECT_EQ(place.local, c.local);
    }
}

} // namespace
} // namespace postern
