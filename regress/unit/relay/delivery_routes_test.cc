// Several relay hosts, source addresses of both families, authentication, and trouble of our own.
#include <set>

#include "common/base/base64.h"
#include "regress/unit/relay/delivery_fixture.h"

namespace postern::relay {
namespace {

RelayTarget target(const std::string& host, RelayScheme scheme = RelayScheme::smtp,
                   const std::string& label = "") {
    RelayTarget result;
    result.host.scheme = scheme;
    result.host.host = host;
    result.label = label;
    return result;
}

struct DeliveryRoutes : DeliveryTest {
    DeliveryRoutes() {
        network.address("one.example", "192.0.2.11");
        network.address("two.example", "192.0.2.12");
        network.address("three.example", "192.0.2.13");
    }
    ~DeliveryRoutes() override {
        time.advance(10s);
        EXPECT_EQ(network.errors(), "");
    }
    ipc::Deliver to(const std::vector<RelayTarget>& targets) {
        ipc::Deliver deliver = order();
        deliver.route.host = targets.front().host;
        deliver.route.label = targets.front().label;
        deliver.route.others.assign(targets.begin() + 1, targets.end());
        deliver.route.credentials = "secrets";
        return deliver;
    }
};

TEST_F(DeliveryRoutes, TheNextHostIsTriedWhenOneFails) {
    network.serve("192.0.2.12:25", "S: 220 mx\n C: EHLO gw.example\n S: 250 mx\n"
                                   "C: MAIL FROM:<a@s.example>\n S: 451 no\n" +
                                       leave);
    network.serve("192.0.2.13:25", hello + takes + leave);
    EXPECT_EQ(run(to({target("one.example"), target("two.example"), target("three.example")})),
              "delivered 2.6.0 three.example[192.0.2.13]:25");
    EXPECT_EQ(network.tried(), "192.0.2.11:25 192.0.2.12:25 192.0.2.13:25");
}

TEST_F(DeliveryRoutes, AHostThatIsUnknownKeepsNobodyFromTheNext) {
    network.answer(ipc::RecordType::a, "one.example", ipc::ResolveStatus::no_domain);
    network.serve("192.0.2.12:25", hello + takes + leave);
    EXPECT_EQ(run(to({target("one.example"), target("two.example")})),
              "delivered 2.6.0 two.example[192.0.2.12]:25");
}

TEST_F(DeliveryRoutes, WhenAllAreAwayTheDestinationIsDown) {
    EXPECT_EQ(run(to({target("one.example"), target("two.example")})), "temporary 4.4.1 ");
    EXPECT_TRUE(outcome.destination_down);
}

// A verdict of one host is not asked for again at another.
TEST_F(DeliveryRoutes, OneHostsVerdictCounts) {
    network.serve("192.0.2.11:25", hello + "C: MAIL FROM:<a@s.example>\n S: 550 5.7.1 no\n" +
                                       leave);
    EXPECT_EQ(run(to({target("one.example"), target("two.example")})),
              "permanent 5.7.1 one.example[192.0.2.11]:25");
    EXPECT_EQ(network.tried(), "192.0.2.11:25");
}

// It costs one message its wait, and not the next, which goes to the others first.
TEST_F(DeliveryRoutes, AHostThatKeepsUsWaitingIsTriedLast) {
    network.fail("192.0.2.11:25", ETIMEDOUT, 30s);
    network.serve("192.0.2.12:25", hello + takes + takes + leave);
    const auto deliver = [this] { return to({target("one.example"), target("two.example")}); };
    EXPECT_EQ(run(deliver()), "delivered 2.6.0 two.example[192.0.2.12]:25");
    const TimePoint before = time.now();
    EXPECT_EQ(run(deliver()), "delivered 2.6.0 two.example[192.0.2.12]:25");
    EXPECT_EQ(time.now() - before, 0s);
    EXPECT_EQ(network.tried(), "192.0.2.11:25 192.0.2.12:25");
    time.advance(3s);
    // But it is tried.
    network.serve("192.0.2.11:25", hello + takes + leave);
    EXPECT_EQ(run(deliver()), "delivered 2.6.0 one.example[192.0.2.11]:25");
}

TEST_F(DeliveryRoutes, EachHostHasItsShare) {
    const std::vector<RelayTarget> targets = {target("one.example"), target("two.example"),
                                              target("three.example")};
    std::set<std::string> first;
    for (uint64_t drawn = 0; drawn < 6; ++drawn) {
        uint64_t left = drawn;
        random = [&left](uint64_t bound) { return std::exchange(left, left / bound) % bound; };
        const size_t before = network.tried().size();
        run(to(targets));
        first.insert(network.tried().substr(before).substr(before ? 1 : 0, 13));
    }
    EXPECT_EQ(first, (std::set<std::string>{"192.0.2.11:25", "192.0.2.12:25", "192.0.2.13:25"}));
}

TEST_F(DeliveryRoutes, EachFamilyHasItsSourceAndItsName) {
    network.address("dual.example", "192.0.2.21");
    network.address("dual.example", "2001:db8::21");
    ipc::Deliver deliver = to({target("dual.example")});
    deliver.route.sources = {{*IpAddress::parse("192.0.2.77"), "four.example"},
                             {*IpAddress::parse("2001:db8::77"), "six.example"}};
    network.fail("[2001:db8::21]:25", ECONNREFUSED);
    std::string script = hello + takes + leave;
    script.replace(script.find("gw.example"), 10, "four.example");
    network.serve("192.0.2.21:25", script);
    EXPECT_EQ(run(std::move(deliver)), "delivered 2.6.0 dual.example[192.0.2.21]:25");
    EXPECT_EQ(network.tried(), "[2001:db8::21]:25 192.0.2.21:25");
    EXPECT_EQ(network.sources(), "2001:db8::77 192.0.2.77 ");
}

TEST_F(DeliveryRoutes, WithoutASourceOfTheFamilyNobodyIsTalkedTo) {
    ipc::Deliver deliver = to({target("one.example")});
    deliver.route.sources = {{*IpAddress::parse("2001:db8::77")}};
    EXPECT_EQ(run(std::move(deliver)), "temporary 4.4.1 ");
    EXPECT_EQ(network.tried(), "");
}

TEST_F(DeliveryRoutes, ABackupGivesToBetterExchangersOnly) {
    network.mx("d.example", 15, "backup.example");
    ipc::Deliver deliver = order();
    deliver.route.backup_name = "backup.example";
    network.serve("192.0.2.1:25", "S: 554 no\n C: QUIT\n S: 221 bye");
    EXPECT_EQ(run(std::move(deliver)).substr(0, 9), "temporary");
    EXPECT_EQ(network.tried(), "192.0.2.1:25");
}

// -- Authentication.

std::string say(const std::string& line) { return "S: " + line + "\n"; }
std::string after_tls(const std::string& mechanisms) {
    return goes + "C: EHLO gw.example\n S: 250-mx\n S: 250 AUTH " + mechanisms + "\n";
}
const std::string plain = "C: AUTH PLAIN " + encode_base64(std::string("\0bob\0pa:ss", 10)) + "\n";

TEST_F(DeliveryRoutes, LogsInWithTheCredentialOfTheLabel) {
    network.password("secrets/me", "bob", "pa:ss");
    const std::string login = "C: AUTH LOGIN\n S: 334 VXNlcm5hbWU6\n C: " + encode_base64("bob") +
                              "\n S: 334 UGFzc3dvcmQ6\n C: " + encode_base64("pa:ss") + "\n";
    const std::pair<const char*, std::string> rows[] = {{"LOGIN PLAIN", plain}, {"LOGIN", login}};
    for (const auto& [mechanisms, exchange] : rows) {
        network.serve("192.0.2.11:25",
                      after_tls(mechanisms) + exchange + say("235 2.7.0 welcome") + takes + leave);
        EXPECT_EQ(run(to({target("one.example", RelayScheme::smtp_tls, "me")})),
                  "delivered 2.6.0 one.example[192.0.2.11]:25");
        time.advance(10s);
    }
}

TEST_F(DeliveryRoutes, LongPasswordsDoNotStandInTheCommand) {
    const std::string password(500, 'p');
    network.password("secrets/me", "bob", password);
    network.serve("192.0.2.11:25",
                  after_tls("PLAIN") + "C: AUTH PLAIN\n S: 334 \n C: " +
                      encode_base64(std::string("\0bob\0", 5) + password) + "\n" +
                      say("235 welcome") + takes + leave);
    EXPECT_EQ(run(to({target("one.example", RelayScheme::smtp_tls, "me")})),
              "delivered 2.6.0 one.example[192.0.2.11]:25");
}

// A wrong password is our operator's trouble, not the mail's.
TEST_F(DeliveryRoutes, WhoIsNotLetInTriesTheNextHost) {
    network.password("secrets/me", "bob", "pa:ss");
    const std::string refusals[] = {
        plain + say("535 5.7.8 no") + leave, plain + say("454 4.7.0 later") + leave,
        plain + say("334 AAAA") + leave, plain + "close", plain + say("421 4.3.2 bye")};
    for (const std::string& refusal : refusals) {
        network.serve("192.0.2.11:25", after_tls("PLAIN") + refusal);
        network.serve("192.0.2.12:25", hello + takes + leave);
        EXPECT_EQ(run(to({target("one.example", RelayScheme::smtp_tls, "me"),
                          target("two.example")})),
                  "delivered 2.6.0 two.example[192.0.2.12]:25")
            << refusal;
        time.advance(10s);
    }
    network.serve("192.0.2.11:25", after_tls("PLAIN") + refusals[0]);
    EXPECT_EQ(run(to({target("one.example", RelayScheme::smtp_tls, "me")})),
              "temporary 4.7.8 one.example[192.0.2.11]:25");
    EXPECT_TRUE(outcome.destination_down) << "no other message fares better";
    time.advance(10s);
    network.serve("192.0.2.11:25", after_tls("GSSAPI") + leave);
    EXPECT_EQ(run(to({target("one.example", RelayScheme::smtp_tls, "me")})),
              "temporary 4.7.4 one.example[192.0.2.11]:25");
    time.advance(10s);
    const std::string tried = network.tried();
    EXPECT_EQ(run(to({target("one.example", RelayScheme::smtp_tls, "nobody")})),
              "temporary 4.3.5 ");
    EXPECT_EQ(network.tried(), tried) << "nobody was bothered";
    EXPECT_FALSE(outcome.destination_down);
}

TEST_F(DeliveryRoutes, ConnectionsBelongToOneCredential) {
    network.password("secrets/me", "bob", "pa:ss");
    network.password("secrets/you", "bob", "pa:ss");
    const std::string script = after_tls("PLAIN") + plain + say("235 welcome") + takes + leave;
    network.serve("192.0.2.11:25", script);
    network.serve("192.0.2.11:25", script);
    EXPECT_EQ(run(to({target("one.example", RelayScheme::smtp_tls, "me")})),
              "delivered 2.6.0 one.example[192.0.2.11]:25");
    EXPECT_EQ(run(to({target("one.example", RelayScheme::smtp_tls, "you")})),
              "delivered 2.6.0 one.example[192.0.2.11]:25");
}

// A server may quote what it was told.
TEST_F(DeliveryRoutes, OfARefusalTheCodesAreRepeated) {
    network.password("secrets/me", "bob", "pa:ss");
    network.serve("192.0.2.11:25", after_tls("PLAIN") + plain + say("535 5.7.8 not pa:ss") + leave);
    run(to({target("one.example", RelayScheme::smtp_tls, "me")}));
    EXPECT_EQ(outcome.recipients[0].diagnostic, "the server does not let us log in: 535 5.7.8");
}

TEST_F(DeliveryRoutes, WhereScramIsNotPossibleThePasswordGoesToWhoHasProvedWhoItIs) {
    network.password("secrets/me", "bob", "pa:ss");
    struct Row {
        std::string exchange; // behind AUTH SCRAM-SHA-256
        bool verified;
        bool goes_on;
    };
    const std::string challenge = "S: 334 " + encode_base64("r=x,s=c2FsdA==,i=4096") +
                                  "\n C: *\n S: 501 5.7.0 as you like\n";
    const Row rows[] = {
        {challenge, true, true},
        {challenge, false, false},
        {say("504 5.5.4 no such mechanism"), true, true},
        {say("535 5.7.8 wrong"), true, false},
        {say("454 4.7.0 later"), true, false},
    };
    for (const Row& row : rows) {
        ipc::Deliver deliver = to({target("one.example", RelayScheme::smtp_tls, "me")});
        deliver.route.tls.verify = row.verified;
        network.serve("192.0.2.11:25",
                      after_tls("SCRAM-SHA-256 PLAIN") + "C* 1\n" + row.exchange +
                          (row.goes_on ? plain + say("235 welcome") + takes : "") + leave);
        EXPECT_EQ(run(std::move(deliver)).substr(0, 9), row.goes_on ? "delivered" : "temporary")
            << row.exchange;
        time.advance(10s);
    }
}

// -- Trouble of our own.

TEST_F(DeliveryRoutes, TlsIsNotLeftOutWhereItIsDemanded) {
    for (const RelayScheme scheme : {RelayScheme::smtp_no_tls, RelayScheme::lmtp}) {
        ipc::Deliver deliver = to({target("one.example", scheme)});
        deliver.route.tls.required = true;
        EXPECT_EQ(run(std::move(deliver)), "temporary 4.3.5 one.example[192.0.2.11]:25");
        EXPECT_EQ(network.tried(), "");
        EXPECT_FALSE(outcome.destination_down);
    }
}

TEST_F(DeliveryRoutes, ARelayHostThatIsThisHostIsLeftOut) {
    identity->ourselves.endpoints = {Endpoint{*IpAddress::parse("192.0.2.11"), 25}};
    network.serve("192.0.2.12:25", hello + takes + leave);
    EXPECT_EQ(run(to({target("one.example"), target("two.example")})),
              "delivered 2.6.0 two.example[192.0.2.12]:25");
    for (const char* host : {"one.example", "192.0.2.11"})
        EXPECT_EQ(run(to({target(host)})), "temporary 4.3.5 ");
    EXPECT_EQ(network.tried(), "192.0.2.12:25");
}

// Our key did not sign: nothing is held against the server, and nothing goes in plain for it.
TEST_F(DeliveryRoutes, WhatWeCannotSignIsOurTrouble) {
    network.handshake("192.0.2.1:25", "there is no signature", ENOKEY);
    network.serve("192.0.2.1:25", goes + "silence");
    network.handshake("192.0.2.2:25", "there is no signature", ENOKEY);
    network.serve("192.0.2.2:25", goes + "silence");
    EXPECT_EQ(run(order()), "temporary 4.7.5 b.example[192.0.2.2]:25");
    EXPECT_FALSE(outcome.destination_down);
    EXPECT_EQ(tls.failures + tls.fallbacks, 0u);
    EXPECT_EQ(network.reports(), "");
}

// What the configuration asks for cannot be had: nobody is bothered, and no host is to blame.
TEST_F(DeliveryRoutes, AnImpossibleDemandIsNoticedBeforeConnecting) {
    for (const bool required : {true, false}) {
        network.impossible("there is no ca lab");
        ipc::Deliver deliver = order();
        deliver.route.tls.required = required;
        EXPECT_EQ(run(std::move(deliver)), "temporary 4.3.5 ");
        EXPECT_EQ(network.tried(), "");
        EXPECT_FALSE(outcome.destination_down);
    }
    EXPECT_EQ(tls.failures, 0u);
    network.impossible("");
    network.serve("192.0.2.1:25", goes + hello_again + takes + leave);
    EXPECT_EQ(run(order()), "delivered 2.6.0 a.example[192.0.2.1]:25");
    EXPECT_EQ(outcome.recipients[0].tls, "TLSv1.3,TLS_X,unverified") << "nothing was remembered";
}

// The server offers 8BITMIME under TLS only, which has failed: that is for now, and not the mail's.
TEST_F(DeliveryRoutes, WhatIsMissingInPlainForNowDoesNotReturnTheMail) {
    const auto eight_bit = [this] {
        ipc::Deliver deliver = order();
        deliver.content.bytes = "\xc3\xbc\r\n";
        deliver.traits.eight_bit = true;
        return deliver;
    };
    network.handshake("192.0.2.1:25", "TLS: no");
    network.serve("192.0.2.1:25", goes + "silence");
    network.serve("192.0.2.1:25", offers + leave);
    EXPECT_EQ(run(eight_bit()), "temporary 4.6.3 a.example[192.0.2.1]:25");
    time.advance(10s);
    network.serve("192.0.2.1:25", offers + leave); // remembered
    EXPECT_EQ(run(eight_bit()), "temporary 4.6.3 a.example[192.0.2.1]:25");
    time.advance(10s);
    network.serve("192.0.2.1:25", offers + leave);
    ipc::Deliver bad = eight_bit();
    bad.reverse_path = "a> b@s.example"; // which no server would take
    EXPECT_EQ(run(std::move(bad)), "permanent 5.1.7 a.example[192.0.2.1]:25");
    time.advance(TlsRecord::remembered);
    network.serve("192.0.2.1:25", goes + hello_again + leave);
    EXPECT_EQ(run(eight_bit()), "permanent 5.6.3 a.example[192.0.2.1]:25");
}

} // namespace
} // namespace postern::relay
