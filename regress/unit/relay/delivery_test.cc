// Whole deliveries: which addresses are tried, in which order, and what the queue is told.
#include <gmock/gmock.h>

#include "regress/unit/relay/delivery_fixture.h"

namespace postern::relay {
namespace {

TEST_F(DeliveryTest, ToTheBestExchanger) {
    network.serve("192.0.2.1:25", hello + takes + leave);
    EXPECT_EQ(run(order()), "delivered 2.6.0 a.example[192.0.2.1]:25");
    ASSERT_EQ(outcome.recipients.size(), 1u);
    EXPECT_EQ(outcome.recipients[0].index, 10u);
    EXPECT_EQ(outcome.recipients[0].diagnostic, "250 2.6.0 taken");
    EXPECT_TRUE(outcome.recipients[0].from_remote);
    EXPECT_FALSE(outcome.destination_down);
    time.advance(3s);
    EXPECT_EQ(network.errors(), "");
}

// Each of these at the first exchanger, and the second one gets the mail.
TEST_F(DeliveryTest, TheNextExchangerIsTriedWhen) {
    const std::string scripts[] = {
        "close",
        "reset",
        "stall",
        "S: 421 no",
        "S: 554 no\n stall",
        "S: nonsense\n stall",
        "S: 220 mx\n C: EHLO gw.example\n close",
        "S: 220 mx\n C: EHLO gw.example\n S: 450 no\n stall",
        hello + "C: MAIL FROM:<a@s.example>\n close",
        hello + "C: MAIL FROM:<a@s.example>\n stall",
        hello + "C: MAIL FROM:<a@s.example>\n S: 421 no",
        hello + "C: MAIL FROM:<a@s.example>\n S: 451 no\n" + leave,
        hello + "C: MAIL FROM:<a@s.example>\n S: 250 ok\n C: RCPT TO:<u@d.example>\n S: 421 no",
        hello + envelope + "C: DATA\n close",
        hello + envelope + "C: DATA\n S: 354 go\n close",
    };
    for (const std::string& script : scripts) {
        FakeNetwork fresh(time);
        fresh.mx("d.example", 10, "a.example");
        fresh.mx("d.example", 20, "b.example");
        fresh.address("a.example", "192.0.2.1");
        fresh.address("b.example", "192.0.2.2");
        fresh.serve("192.0.2.1:25", script);
        fresh.serve("192.0.2.2:25", hello + takes + leave);
        SlowAddresses none;
        Surroundings surroundings{fresh, destinations, none, tls, random};
        ipc::Outcome result;
        auto task = [](Surroundings around, std::shared_ptr<Identity> identity, ipc::Deliver order,
                       ipc::Outcome& result) -> Task<void> {
            result = co_await deliver(around, identity, std::move(order));
        };
        ASSERT_TRUE(test::run_to_end(time, task(surroundings, identity, order(), result)));
        ASSERT_EQ(result.recipients.size(), 1u) << script;
        EXPECT_EQ(result.recipients[0].status, RecipientStatus::delivered) << script;
        EXPECT_EQ(result.recipients[0].remote, "b.example[192.0.2.2]:25") << script;
        EXPECT_FALSE(result.destination_down) << script;
        time.advance(10s); // QUIT
        EXPECT_EQ(fresh.errors(), "") << script;
    }
}

// A verdict is a verdict: the second exchanger is not asked.
TEST_F(DeliveryTest, TheNextExchangerIsNotTriedWhen) {
    struct Row {
        std::string script;
        const char* expected;
    };
    const Row rows[] = {
        {"C: MAIL FROM:<a@s.example>\n S: 550 5.7.1 no\n", "permanent 5.7.1"},
        {"C: MAIL FROM:<a@s.example>\n S: 250 ok\n C: RCPT TO:<u@d.example>\n S: 550 5.1.1 no\n",
         "permanent 5.1.1"},
        {"C: MAIL FROM:<a@s.example>\n S: 250 ok\n C: RCPT TO:<u@d.example>\n S: 450 4.7.1 no\n",
         "temporary 4.7.1"},
        {envelope + "C: DATA\n S: 451 4.3.0 no\n", "temporary 4.3.0"},
        {envelope + "C: DATA\n S: 354 go\n C: x\n C: .\n S: 451 4.7.1 no\n", "temporary 4.7.1"},
        {envelope + "C: DATA\n S: 354 go\n C: x\n C: .\n reset\n", "temporary 4.4.2"},
        {envelope + "C: DATA\n S: 354 go\n C: x\n C: .\n S: 421 4.3.2 no\n", "temporary 4.3.2"},
    };
    std::string expected_tries;
    for (const Row& row : rows) {
        network.serve("192.0.2.1:25", hello + row.script + "stall");
        EXPECT_EQ(run(order()), std::string(row.expected) + " a.example[192.0.2.1]:25")
            << row.script;
        EXPECT_FALSE(outcome.destination_down) << row.script;
        expected_tries += (expected_tries.empty() ? "" : " ") + std::string("192.0.2.1:25");
        time.advance(SlowAddresses::remembered); // who breaks off is tried last for so long
    }
    EXPECT_EQ(network.tried(), expected_tries);
}

TEST_F(DeliveryTest, NobodyReachable) {
    network.fail("192.0.2.2:25", ETIMEDOUT, 30s);
    EXPECT_EQ(run(order()), "temporary 4.4.1 ");
    EXPECT_TRUE(outcome.destination_down);
    EXPECT_EQ(outcome.recipients[0].diagnostic,
              "b.example[192.0.2.2]:25: connect: Connection timed out");
    EXPECT_FALSE(outcome.recipients[0].from_remote);
    EXPECT_EQ(network.tried(), "192.0.2.1:25 192.0.2.2:25");
}

TEST_F(DeliveryTest, AllGreetWithARefusal) {
    network.serve("192.0.2.1:25", "S: 554 5.7.1 blocked");
    network.serve("192.0.2.2:25", "S: 421 4.3.2 busy");
    EXPECT_EQ(run(order()), "temporary 4.3.2 b.example[192.0.2.2]:25");
    EXPECT_TRUE(outcome.destination_down);
    EXPECT_EQ(outcome.recipients[0].diagnostic, "421 4.3.2 busy");
    EXPECT_TRUE(outcome.recipients[0].from_remote);
}

TEST_F(DeliveryTest, OurOwnTroubleDoesNotMakeTheDestinationDown) {
    network.fail("192.0.2.1:25", EMFILE);
    network.fail("192.0.2.2:25", EADDRNOTAVAIL);
    EXPECT_EQ(run(order()), "temporary 4.3.0 ");
    EXPECT_FALSE(outcome.destination_down);
}

TEST_F(DeliveryTest, DnsFailures) {
    network.answer(ipc::RecordType::mx, "gone.example", ipc::ResolveStatus::no_domain);
    ipc::Deliver gone = order();
    gone.route.domain = "gone.example";
    EXPECT_EQ(run(std::move(gone)), "permanent 5.1.2 ");
    EXPECT_FALSE(outcome.destination_down);

    network.answer(ipc::RecordType::mx, "later.example", ipc::ResolveStatus::bogus);
    ipc::Deliver later = order();
    later.route.domain = "later.example";
    EXPECT_EQ(run(std::move(later)), "temporary 4.4.3 ");
    EXPECT_TRUE(outcome.destination_down);
}

TEST_F(DeliveryTest, OurselvesAsTheBestExchanger) {
    identity->ourselves.endpoints = {{*IpAddress::parse("192.0.2.1"), 25}};
    EXPECT_EQ(run(order()), "permanent 5.4.6 ");
    EXPECT_EQ(network.tried(), "");
}

TEST_F(DeliveryTest, TheConnectionIsUsedForTheNextMessageWithoutAsking) {
    network.serve("192.0.2.1:25", hello + takes + takes + leave);
    run(order());
    const size_t asked = network.questions();
    time.advance(1s);
    EXPECT_EQ(run(order()), "delivered 2.6.0 a.example[192.0.2.1]:25");
    EXPECT_EQ(network.questions(), asked);
    EXPECT_EQ(network.tried(), "192.0.2.1:25");
    time.advance(3s);
    EXPECT_EQ(network.errors(), "");
}

TEST_F(DeliveryTest, AKeptConnectionThatBreaksCostsOnlyANewOne) {
    network.serve("192.0.2.1:25", hello + takes + "C: MAIL FROM:<a@s.example>\n reset");
    network.serve("192.0.2.1:25", hello + takes + leave);
    run(order());
    EXPECT_EQ(run(order()), "delivered 2.6.0 a.example[192.0.2.1]:25");
    time.advance(3s);
    EXPECT_EQ(network.errors(), "");
}

TEST_F(DeliveryTest, AHostThatRefusesMailOverAKeptConnectionIsNotAskedAgain) {
    network.serve("192.0.2.1:25",
                  hello + takes + "C: MAIL FROM:<a@s.example>\n S: 452 4.3.1 full\n" + leave);
    network.serve("192.0.2.2:25", hello + takes + leave);
    run(order());
    EXPECT_EQ(run(order()), "delivered 2.6.0 b.example[192.0.2.2]:25");
    EXPECT_EQ(network.tried(), "192.0.2.1:25 192.0.2.2:25");
}

// RFC 5321 4.5.4.1: 5yz to MAIL is for the one message.
TEST_F(DeliveryTest, AHostThatRefusedASenderIsAskedForTheNext) {
    network.serve("192.0.2.1:25", hello +
                                      "C: MAIL FROM:<a@s.example>\n S: 550 5.7.1 no\n C: RSET\n"
                                      "S: 250 ok\n" +
                                      takes + leave);
    EXPECT_EQ(run(order()), "permanent 5.7.1 a.example[192.0.2.1]:25");
    EXPECT_EQ(run(order()), "delivered 2.6.0 a.example[192.0.2.1]:25");
    time.advance(3s);
    EXPECT_EQ(network.errors(), "");
}

TEST_F(DeliveryTest, RecipientsThatAreDecidedAreNotOfferedToTheNextHost) {
    recipients = {"u@d.example", "v@d.example"};
    network.serve("192.0.2.1:25",
                  hello + "C: MAIL FROM:<a@s.example>\n S: 250 ok\n C: RCPT TO:<u@d.example>\n"
                          "S: 550 5.1.1 no\n C: RCPT TO:<v@d.example>\n close");
    network.serve("192.0.2.2:25",
                  hello +
                      "C: MAIL FROM:<a@s.example>\n S: 250 ok\n C: RCPT TO:<v@d.example>\n"
                      "S: 250 ok\n C: DATA\n S: 354 go\n C: x\n C: .\n S: 250 ok\n" +
                      leave);
    EXPECT_EQ(run(order()),
              "permanent 5.1.1 a.example[192.0.2.1]:25; delivered 2.0.0 b.example[192.0.2.2]:25");
    EXPECT_EQ(outcome.recipients[1].index, 11u);
    time.advance(3s);
    EXPECT_EQ(network.errors(), "");
}

TEST_F(DeliveryTest, AServerThatEndsAfterEachTransactionIsConnectedToAgain) {
    recipients = {"u@d.example", "v@d.example"};
    random = [](uint64_t) { return uint64_t{0}; };
    const std::string limited =
        "S: 220 mx\n C: EHLO gw.example\n S: 250-mx\n S: 250 LIMITS MAILMAX=1 RCPTMAX=1\n";
    network.serve("192.0.2.1:25", limited + takes);
    network.serve("192.0.2.1:25",
                  limited + "C: MAIL FROM:<a@s.example>\n S: 250 ok\n C: RCPT TO:<v@d.example>\n"
                            "S: 250 ok\n C: DATA\n S: 354 go\n C: x\n C: .\n S: 250 ok\n");
    EXPECT_EQ(run(order()),
              "delivered 2.6.0 a.example[192.0.2.1]:25; delivered 2.0.0 a.example[192.0.2.1]:25");
    EXPECT_EQ(network.errors(), "");
}

TEST_F(DeliveryTest, AnAddressThatCostALongWaitIsTriedLastForAWhile) {
    network.fail("192.0.2.1:25", ETIMEDOUT, 30s);
    network.serve("192.0.2.2:25", hello + takes + leave);
    run(order());
    EXPECT_EQ(network.tried(), "192.0.2.1:25 192.0.2.2:25");
    time.advance(10s); // the connection is given up
    network.serve("192.0.2.2:25", hello + takes + leave);
    run(order());
    EXPECT_EQ(network.tried(), "192.0.2.1:25 192.0.2.2:25 192.0.2.2:25");
    time.advance(200s);
    network.serve("192.0.2.1:25", hello + takes + leave);
    EXPECT_EQ(run(order()), "delivered 2.6.0 a.example[192.0.2.1]:25");
}

// Each message is offered to one host only as long as it may have been taken there; but the next
// attempt begins elsewhere, and goes round when all of them break off.
TEST_F(DeliveryTest, AfterALossAtTheEndOfTheContentTheNextAttemptBeginsElsewhere) {
    const std::string breaks_off = envelope + "C: DATA\n S: 354 go\n C: x\n C: .\n reset\n";
    for (const char* address : {"192.0.2.1:25", "192.0.2.2:25", "192.0.2.1:25"}) {
        network.serve(address, hello + breaks_off);
        EXPECT_THAT(run(order()), testing::StartsWith("temporary 4.4.2 ")) << address;
        EXPECT_FALSE(outcome.destination_down);
        time.advance(1s);
    }
    EXPECT_EQ(network.tried(), "192.0.2.1:25 192.0.2.2:25 192.0.2.1:25");
    network.serve("192.0.2.2:25", hello + takes + leave);
    EXPECT_EQ(run(order()), "delivered 2.6.0 b.example[192.0.2.2]:25");
    time.advance(10s);
    EXPECT_EQ(network.errors(), "");
}

TEST_F(DeliveryTest, ALossOverAKeptConnectionCountsForItsAddressToo) {
    network.serve("192.0.2.1:25",
                  hello + takes + envelope + "C: DATA\n S: 354 go\n C: x\n C: .\n S: 421 4.3.2 no");
    network.serve("192.0.2.2:25", hello + takes + leave);
    run(order());
    EXPECT_EQ(run(order()), "temporary 4.3.2 a.example[192.0.2.1]:25");
    EXPECT_EQ(run(order()), "delivered 2.6.0 b.example[192.0.2.2]:25");
    EXPECT_EQ(network.tried(), "192.0.2.1:25 192.0.2.2:25");
    time.advance(10s);
    EXPECT_EQ(network.errors(), "");
}

// A refusal is an answer: the host stays where it is in the order.
TEST_F(DeliveryTest, ARefusalOfTheContentDoesNotMakeTheHostTheLast) {
    const std::string later = envelope + "C: DATA\n S: 354 go\n C: x\n C: .\n S: 451 4.7.1 no\n";
    network.serve("192.0.2.1:25", hello + later + leave);
    EXPECT_EQ(run(order()), "temporary 4.7.1 a.example[192.0.2.1]:25");
    time.advance(10s);
    network.serve("192.0.2.1:25", hello + takes + leave);
    EXPECT_EQ(run(order()), "delivered 2.6.0 a.example[192.0.2.1]:25");
    time.advance(10s);
    EXPECT_EQ(network.errors(), "");
}

TEST_F(DeliveryTest, TheWalkHasAnEnd) {
    network.mx("many.example", 10, "m.example");
    for (int host = 0; host < 10; ++host) {
        const std::string name = "m" + std::to_string(host) + ".example";
        network.mx("many.example", 20, name);
        for (int i = 1; i <= 10; ++i) {
            const std::string address = "198.51.100." + std::to_string(host * 10 + i);
            network.address(name, address);
            network.serve(address + ":25", "stall");
        }
    }
    ipc::Deliver deliver = order();
    deliver.route.domain = "many.example";
    EXPECT_EQ(run(std::move(deliver)), "temporary 4.4.2 m0.example[198.51.100.6]:25");
    EXPECT_LE(time.elapsed(), walk_limit + 5min);
}

// Slow in every reply, but within the limits of RFC 5321 4.5.3.2, and one recipient at a time.
TEST_F(DeliveryTest, OneRecipientAtATimeCannotBeUsedToKeepUsForEver) {
    recipients = {"u@d.example", "v@d.example", "w@d.example"};
    random = [](uint64_t) { return uint64_t{0}; };
    auto slowly = [](const std::string& recipient) {
        return "C: MAIL FROM:<a@s.example>\n wait 290\n S: 250 ok\n C: RCPT TO:<" + recipient +
               "@d.example>\n wait 290\n S: 250 ok\n C: DATA\n S: 354 go\n C: x\n C: .\n"
               "wait 590\n S: 250 ok\n";
    };
    const std::string greeting = "S: 220 mx\n C: EHLO gw.example\n S: 250-mx\n S: 250 LIMITS ";
    const char* outcome = "delivered 2.0.0 a.example[192.0.2.1]:25; "
                          "delivered 2.0.0 a.example[192.0.2.1]:25; temporary 4.4.2 ";

    network.serve("192.0.2.1:25", greeting + "RCPTMAX=1\n" + slowly("u") + slowly("v") + leave);
    EXPECT_EQ(run(order()), outcome) << "in one session";
    EXPECT_LE(time.elapsed(), 2 * walk_limit);
    EXPECT_EQ(network.errors(), "");

    const TimePoint before = time.now();
    for (const char* recipient : {"u", "v"})
        network.serve("192.0.2.1:25", greeting + "MAILMAX=1 RCPTMAX=1\n" + slowly(recipient));
    EXPECT_EQ(run(order()), outcome) << "in a session each";
    EXPECT_LE(time.now() - before, 2 * walk_limit);
    EXPECT_EQ(network.errors(), "");
}

// It takes two of three; whom it leaves over is a matter of chance, not of their order.
TEST_F(DeliveryTest, OneRecipientAtATimeStarvesNobody) {
    recipients = {"u@d.example", "v@d.example", "w@d.example"};
    const std::string greeting = "S: 220 mx\n C: EHLO gw.example\n S: 250-mx\n S: 250 ";
    auto slowly = [](const std::string& recipient, const std::string& more = "") {
        return "C: MAIL FROM:<a@s.example>\n wait 290\n S: 250 ok\n C: RCPT TO:<" + recipient +
               "@d.example>\n wait 290\n S: 250 ok\n" + more +
               "C: DATA\n S: 354 go\n C: x\n C: .\n wait 590\n S: 451 4.3.0 later\n";
    };
    const std::string reset = "C: RSET\n S: 250 ok\n";
    const struct {
        uint64_t random;
        const char *first, *second;
    } cases[] = {{0, "u", "v"}, {1, "v", "w"}, {2, "w", "u"}};
    for (const auto& c : cases) {
        random = [&c](uint64_t bound) { return std::min(c.random, bound - 1); };
        network.serve("192.0.2.1:25", greeting + "LIMITS RCPTMAX=1\n" + slowly(c.first) + reset +
                                          slowly(c.second) + leave);
        run(order());
        EXPECT_EQ(network.errors(), "") << "stated, " << c.first;
    }
    // Where it says so only when it has one, this one is the first every time; the others change.
    const std::string too_many = "C: RCPT TO:<v@d.example>\n S: 452 4.5.3 too many\n"
                                 "C: RCPT TO:<w@d.example>\n S: 452 4.5.3 too many\n";
    for (uint64_t first : {0, 1}) {
        random = [first](uint64_t bound) { return std::min(first, bound - 1); };
        network.serve("192.0.2.1:25", greeting + "8BITMIME\n" + slowly("u", too_many) + reset +
                                          slowly(first ? "w" : "v") + leave);
        run(order());
        EXPECT_EQ(network.errors(), "") << "found out, " << first;
    }
}

// `queue limit max-per-destination` is the only limit.
TEST_F(DeliveryTest, AsManyGoToOneDestinationAtOnceAsTheQueueWants) {
    constexpr size_t many = 200;
    for (size_t i = 0; i < many; ++i)
        network.serve("192.0.2.1:25", "stall");
    TaskGroup deliveries;
    for (size_t i = 0; i < many; ++i)
        deliveries.spawn(deliver_it(order()));
    time.run();
    const std::string tried = network.tried();
    EXPECT_EQ(static_cast<size_t>(std::count(tried.begin(), tried.end(), ':')), many);
}

TEST_F(DeliveryTest, ConfiguredHost) {
    network.serve("192.0.2.9:2626", hello + takes + leave);
    ipc::Deliver deliver = order_to("192.0.2.9", RelayScheme::smtp_no_tls);
    EXPECT_EQ(run(std::move(deliver)), "delivered 2.6.0 [192.0.2.9]:2626");
    EXPECT_EQ(network.questions(), 0u);
}

TEST_F(DeliveryTest, SourceAddressAndHelo) {
    network.address("a.example", "2001:db8::1");
    std::string script = hello + takes + leave;
    script.replace(script.find("gw.example"), 10, "other.example");
    network.serve("192.0.2.1:25", script);
    ipc::Deliver deliver = order();
    deliver.route.helo = "other.example";
    deliver.route.sources = {{*IpAddress::parse("192.0.2.77")}};
    EXPECT_EQ(run(std::move(deliver)), "delivered 2.6.0 a.example[192.0.2.1]:25");
    EXPECT_EQ(network.tried(), "192.0.2.1:25") << "IPv6 cannot be reached from there";
    EXPECT_EQ(network.sources(), "192.0.2.77 ");
}

TEST_F(DeliveryTest, LmtpOverAUnixPathToTheUser) {
    const std::string lmtp = "S: 220 mx\n C: LHLO gw.example\n S: 250 mx\n"
                             "C: MAIL FROM:<a@s.example>\n S: 250 ok\n";
    network.serve("/run/lmtp", lmtp +
                                   "C: RCPT TO:<u>\n S: 250 ok\n C: DATA\n S: 354 go\n C: x\n"
                                   "C: .\n S: 250 ok\n" +
                                   leave);
    ipc::Deliver deliver = order_to("", RelayScheme::lmtp);
    deliver.route.kind = ActionKind::lmtp;
    deliver.route.host->unix_path = "/run/lmtp";
    EXPECT_EQ(run(std::move(deliver)), "delivered 2.0.0 /run/lmtp");
    time.advance(3s);

    network.serve("/run/lmtp", lmtp +
                                   "C: RCPT TO:<u@d.example>\n S: 250 ok\n C: DATA\n S: 354 go\n"
                                   "C: x\n C: .\n S: 250 ok\n" +
                                   leave);
    ipc::Deliver full = order_to("", RelayScheme::lmtp);
    full.route.kind = ActionKind::lmtp;
    full.route.lmtp_rcpt_to = true;
    full.route.host->unix_path = "/run/lmtp";
    EXPECT_EQ(run(std::move(full)), "delivered 2.0.0 /run/lmtp");
    time.advance(3s);
    EXPECT_EQ(network.errors(), "");

    network.fail("/run/none", ENOENT);
    ipc::Deliver none = order_to("", RelayScheme::lmtp);
    none.route.host->unix_path = "/run/none";
    EXPECT_EQ(run(std::move(none)), "temporary 4.4.1 ");
    EXPECT_TRUE(outcome.destination_down);
}

TEST_F(DeliveryTest, RoutesThatARelayCannotServe) {
    ipc::Deliver maildir = order();
    maildir.route.kind = ActionKind::maildir;
    EXPECT_EQ(run(std::move(maildir)), "temporary 4.3.5 ");
    ipc::Deliver lmtp = order();
    lmtp.route.kind = ActionKind::lmtp;
    EXPECT_EQ(run(std::move(lmtp)), "temporary 4.3.5 ");
    EXPECT_EQ(network.tried(), "");
}

TEST_F(DeliveryTest, EncryptsWhereItCan) {
    network.serve("192.0.2.1:25", goes + hello_again + takes + leave);
    EXPECT_EQ(run(order()), "delivered 2.6.0 a.example[192.0.2.1]:25");
    EXPECT_EQ(outcome.recipients[0].tls, "TLSv1.3,TLS_X,unverified");
    EXPECT_EQ(network.demands(), "192.0.2.1:25 a.example none; ");
    time.advance(3s);
    EXPECT_EQ(network.errors(), "");
    EXPECT_EQ(tls.handshakes, 1u);
}

// By a new connection, because of the old one nobody knows what the server makes of it.
TEST_F(DeliveryTest, InPlainToTheSameHostWhenTheHandshakeFails) {
    network.handshake("192.0.2.1:25", "TLS: unsupported protocol");
    network.serve("192.0.2.1:25", goes + "silence");
    network.serve("192.0.2.1:25", offers + takes + leave);
    EXPECT_EQ(run(order()), "delivered 2.6.0 a.example[192.0.2.1]:25");
    EXPECT_EQ(outcome.recipients[0].tls, "none");
    EXPECT_EQ(network.tried(), "192.0.2.1:25 192.0.2.1:25");
    EXPECT_EQ(tls.failures, 1u);
    EXPECT_EQ(tls.fallbacks, 1u);
    time.advance(3s);
    // It is remembered, for a while.
    network.serve("192.0.2.1:25", offers + takes + leave);
    EXPECT_EQ(run(order()), "delivered 2.6.0 a.example[192.0.2.1]:25");
    EXPECT_EQ(tls.failures, 1u);
    time.advance(TlsRecord::remembered);
    network.serve("192.0.2.1:25", goes + hello_again + takes + leave);
    EXPECT_EQ(run(order()), "delivered 2.6.0 a.example[192.0.2.1]:25");
    EXPECT_EQ(outcome.recipients[0].tls, "TLSv1.3,TLS_X,unverified");
    time.advance(3s);
    EXPECT_EQ(network.errors(), "");
}

TEST_F(DeliveryTest, WhereTlsIsDemandedTheNextExchangerIsTriedAndNothingGoesInPlain) {
    const std::string without[] = {
        goes + "silence",
        goes + "C: EHLO gw.example\n close",
        hello + leave,
        offers + "C: STARTTLS\n S: 454 no\n" + leave,
    };
    for (const std::string& script : without) {
        if (script == without[0])
            network.handshake("192.0.2.1:25", "TLS: bad certificate");
        network.serve("192.0.2.1:25", script);
        network.serve("192.0.2.2:25", goes + hello_again + takes + leave);
        ipc::Deliver demanding = order();
        demanding.route.tls.required = true;
        EXPECT_EQ(run(std::move(demanding)), "delivered 2.6.0 b.example[192.0.2.2]:25") << script;
        EXPECT_EQ(outcome.recipients[0].tls, "TLSv1.3,TLS_X,verified");
        time.advance(3s);
        EXPECT_EQ(network.errors(), "") << script;
    }
    EXPECT_EQ(tls.fallbacks, 0u);
    for (const char* where : {"192.0.2.1:25", "192.0.2.2:25"}) {
        network.handshake(where, "TLS: bad certificate");
        network.serve(where, goes + "silence");
    }
    ipc::Deliver demanding = order();
    demanding.route.tls.required = true;
    EXPECT_EQ(run(std::move(demanding)), "temporary 4.7.5 b.example[192.0.2.2]:25");
    EXPECT_EQ(outcome.recipients[0].diagnostic, "the TLS handshake failed: TLS: bad certificate");
    EXPECT_EQ(outcome.recipients[0].tls, "none");
    // Mail that any certificate will do for is encrypted all the same.
    network.serve("192.0.2.1:25", goes + hello_again + takes + leave);
    EXPECT_EQ(run(order()), "delivered 2.6.0 a.example[192.0.2.1]:25");
    EXPECT_EQ(outcome.recipients[0].tls, "TLSv1.3,TLS_X,unverified");
    time.advance(3s);
    EXPECT_EQ(network.errors(), "");
}

// RFC 7672: the zone says that there is TLS, and by what key.
TEST_F(DeliveryTest, ZonesVouchForExchangers) {
    network.secure(ipc::RecordType::mx, "d.example");
    network.secure(ipc::RecordType::a, "a.example");
    network.secure(ipc::RecordType::a, "b.example");
    network.tlsa("_25._tcp.a.example", std::string("\3\1\1") + std::string(32, 'k'), true);
    network.serve("192.0.2.1:25", goes + hello_again + takes + leave);
    EXPECT_EQ(run(order()), "delivered 2.6.0 a.example[192.0.2.1]:25");
    EXPECT_EQ(outcome.recipients[0].tls, "TLSv1.3,TLS_X,dane");
    EXPECT_EQ(network.demands(), "192.0.2.1:25 a.example dane(a.example)(d.example); ");
    time.advance(3s);
    // It does not prove it: the next exchanger, and nothing in plain.
    network.handshake("192.0.2.1:25", "TLS: no matching DANE TLSA records");
    network.serve("192.0.2.1:25", goes + "silence");
    network.serve("192.0.2.2:25", hello + takes + leave);
    EXPECT_EQ(run(order()), "delivered 2.6.0 b.example[192.0.2.2]:25");
    EXPECT_EQ(outcome.recipients[0].tls, "none");
    time.advance(3s);
    // Somebody has taken STARTTLS out.
    network.serve("192.0.2.1:25", hello + leave);
    network.fail("192.0.2.2:25", ECONNREFUSED);
    EXPECT_EQ(run(order()).substr(0, 15), "temporary 4.4.1");
    time.advance(3s);
    // Nobody knows what the zone says: this exchanger is not talked to.
    network.answer(ipc::RecordType::tlsa, "_25._tcp.a.example", ipc::ResolveStatus::bogus);
    const size_t tried = network.tried().size();
    EXPECT_EQ(run(order()).substr(0, 15), "temporary 4.4.1");
    EXPECT_EQ(network.tried().substr(tried), " 192.0.2.2:25");
    EXPECT_EQ(network.errors(), "");
}

ipc::StsPolicy sts_policy(ipc::StsMode mode, std::vector<std::string> mx) {
    ipc::StsPolicy policy;
    policy.id = "1";
    policy.mode = mode;
    policy.mx = std::move(mx);
    return policy;
}

// RFC 8461 4: mail goes to exchangers that the policy names, over TLS, and to none that cannot prove
// its name.
TEST_F(DeliveryTest, PoliciesOfDomains) {
    network.sts("d.example", sts_policy(ipc::StsMode::enforce, {"b.example"}));
    network.serve("192.0.2.2:25", goes + hello_again + takes + leave);
    EXPECT_EQ(run(order()), "delivered 2.6.0 b.example[192.0.2.2]:25");
    EXPECT_EQ(network.tried(), "192.0.2.2:25");
    EXPECT_EQ(network.demands(), "192.0.2.2:25 b.example certificate(b.example); ");
    time.advance(3s);
    network.serve("192.0.2.2:25", hello + leave); // STARTTLS was taken out
    EXPECT_EQ(run(order()).substr(0, 15), "temporary 4.7.4");
    time.advance(3s);
    network.handshake("192.0.2.2:25", "TLS: bad certificate");
    network.serve("192.0.2.2:25", goes + "silence");
    EXPECT_EQ(run(order()).substr(0, 15), "temporary 4.7.5");

    network.sts("d.example", sts_policy(ipc::StsMode::enforce, {"*.elsewhere.example"}));
    EXPECT_EQ(run(order()), "temporary 4.7.0 b.example[192.0.2.2]:25");
    EXPECT_EQ(outcome.recipients[0].diagnostic,
              "b.example is not named by the MTA-STS policy of d.example");

    network.sts("d.example", std::nullopt); // nobody knows
    const size_t tried = network.tried().size();
    EXPECT_EQ(run(order()).substr(0, 15), "temporary 4.4.3");
    EXPECT_EQ(network.tried().size(), tried);

    // One that is tested, or that is not to be heeded, stops nothing.
    network.sts("d.example", sts_policy(ipc::StsMode::testing, {"*.elsewhere.example"}));
    network.serve("192.0.2.1:25", hello + takes + leave);
    EXPECT_EQ(run(order()), "delivered 2.6.0 a.example[192.0.2.1]:25");
    time.advance(3s);
    network.sts("d.example", sts_policy(ipc::StsMode::enforce, {"*.elsewhere.example"}));
    network.serve("192.0.2.1:25", hello + takes + leave);
    ipc::Deliver heedless = order();
    heedless.route.tls.mta_sts = false;
    EXPECT_EQ(run(std::move(heedless)), "delivered 2.6.0 a.example[192.0.2.1]:25");
    time.advance(3s);
    EXPECT_EQ(network.errors(), "");
}

TEST_F(DeliveryTest, RecordsThatNobodyCanVerifyByStillDemandTls) {
    network.secure(ipc::RecordType::mx, "d.example");
    network.secure(ipc::RecordType::a, "a.example");
    network.tlsa("_25._tcp.a.example", std::string("\1\1\1") + std::string(32, 'k'), true);
    network.handshake("192.0.2.1:25", "TLS: no");
    network.serve("192.0.2.1:25", goes + "silence");
    EXPECT_EQ(run(order()).substr(0, 9), "temporary");
    EXPECT_EQ(network.tried(), "192.0.2.1:25 192.0.2.2:25");
    network.serve("192.0.2.1:25", goes + hello_again + takes + leave);
    EXPECT_EQ(run(order()), "delivered 2.6.0 a.example[192.0.2.1]:25");
    EXPECT_EQ(outcome.recipients[0].tls, "TLSv1.3,TLS_X,unverified");
    time.advance(3s);
    EXPECT_EQ(network.errors(), "");
}

// Without DNSSEC for all of it they say nothing.
TEST_F(DeliveryTest, RecordsBehindInsecureAnswersDoNotCount) {
    network.tlsa("_25._tcp.a.example", std::string("\3\1\1") + std::string(32, 'k'), true);
    network.secure(ipc::RecordType::a, "a.example");
    network.serve("192.0.2.1:25", hello + takes + leave);
    EXPECT_EQ(run(order()), "delivered 2.6.0 a.example[192.0.2.1]:25");
    time.advance(3s);
    EXPECT_EQ(network.errors(), "");
}

TEST_F(DeliveryTest, AsTheUrlSays) {
    network.address("smart.example", "192.0.2.7");
    struct Row {
        RelayScheme scheme;
        bool verify;
        std::string script;
        const char* tls;
        const char* demanded;
    };
    const Row rows[] = {
        {RelayScheme::smtp, true, goes + hello_again, "TLSv1.3,TLS_X,unverified",
         "192.0.2.7:2626 smart.example none; "},
        {RelayScheme::smtp_no_tls, true, offers, "none", ""},
        {RelayScheme::smtp_tls, true, goes + hello_again, "TLSv1.3,TLS_X,verified",
         "192.0.2.7:2626 smart.example certificate(smart.example); "},
        {RelayScheme::smtp_tls, false, goes + hello_again, "TLSv1.3,TLS_X,unverified",
         "192.0.2.7:2626 smart.example none; "},
        {RelayScheme::smtps, true, offers, "TLSv1.3,TLS_X,verified",
         "192.0.2.7:2626 smart.example certificate(smart.example); "},
    };
    for (const Row& row : rows) {
        const size_t before = network.demands().size();
        network.serve("192.0.2.7:2626", row.script + takes + leave);
        ipc::Deliver deliver = order_to("smart.example", row.scheme);
        deliver.route.tls.verify = row.verify;
        EXPECT_EQ(run(std::move(deliver)), "delivered 2.6.0 smart.example[192.0.2.7]:2626");
        EXPECT_EQ(outcome.recipients[0].tls, row.tls);
        EXPECT_EQ(network.demands().substr(before), row.demanded);
        time.advance(3s);
        EXPECT_EQ(network.errors(), "");
    }
}

TEST_F(DeliveryTest, AnOutcomeFitsIntoAPacket) {
    recipients.assign(recipients_limit + 500, "u@d.example");
    network.serve("192.0.2.1:25", hello + "C: MAIL FROM:<a@s.example>\n S: 550 " +
                                      std::string(1500, 'x') + "\n" + leave);
    run(order());
    EXPECT_EQ(outcome.recipients.size(), recipients_limit);
    EXPECT_EQ(outcome.recipients[0].status, RecipientStatus::permanent);
    EXPECT_LT(ipc::encode_bytes(outcome).size(), 384u * 1024);
}

TEST_F(DeliveryTest, DiagnosticsAreBounded) {
    network.serve("192.0.2.1:25", hello + "C: MAIL FROM:<a@s.example>\n S: 550-" +
                                      std::string(1500, 'x') + "\n S: 550 " +
                                      std::string(1500, 'y') + "\n" + leave);
    run(order());
    EXPECT_LE(outcome.recipients[0].diagnostic.size(), 1024u);
}

TEST_F(DeliveryTest, ContentThatCannotBeReadIsNotSentHalf) {
    network.serve("192.0.2.1:25", hello + envelope + "C: DATA\n S: 354 go\n stall");
    ipc::Deliver deliver = order();
    deliver.file.emplace_back(FileDescriptor()); // not a file
    deliver.file_length = 100;
    EXPECT_EQ(run(std::move(deliver)), "temporary 4.3.0 ");
    EXPECT_FALSE(outcome.destination_down);
    EXPECT_EQ(network.errors(), "");
}

TEST_F(DeliveryTest, OnlyAHeaderInUtf8NeedsSmtpUtf8) {
    struct Row {
        bool declared;
        std::string content;
        const char* outcome;
    };
    const Row rows[] = {
        {true, "a: \xc3\xbc\r\n\r\nb\r\n", "permanent 5.6.9 a.example[192.0.2.1]:25"},
        {true, "a: b\r\n\r\n\xc3\xbc\r\n", "delivered 2.6.0 a.example[192.0.2.1]:25"},
        {false, "a: \xc3\xbc\r\n\r\nb\r\n", "delivered 2.6.0 a.example[192.0.2.1]:25"},
    };
    const std::string greets = "S: 220 mx\n C: EHLO gw.example\n S: 250-mx\n S: 250 8BITMIME\n";
    for (const Row& row : rows) {
        ipc::Deliver deliver = order();
        deliver.parameters.smtp_utf8 = row.declared;
        deliver.traits.eight_bit = true;
        deliver.traits.header_length = static_cast<uint32_t>(row.content.find("\r\n\r\n") + 4);
        deliver.content.bytes = row.content;
        const bool goes = row.outcome[0] == 'd';
        network.serve("192.0.2.1:25",
                      greets +
                          (goes ? "C: MAIL FROM:<a@s.example> BODY=8BITMIME\n S: 250 ok\n"
                                  "C: RCPT TO:<u@d.example>\n S: 250 ok\n C: DATA\n"
                                  "S: 354 go\n C* 4\n S: 250 2.6.0 taken\n"
                                : "") +
                          leave);
        EXPECT_EQ(run(std::move(deliver)), row.outcome);
        time.advance(3s);
    }
    EXPECT_EQ(network.errors(), "");
}

// Without `rcpt-to` and a user in the action, the local part is the user.
TEST_F(DeliveryTest, UsersOfLmtpServersMayBeInUtf8) {
    recipients = {"gr\xc3\xbc\xc3\x9f@d.example"};
    for (const bool offered : {true, false}) {
        ipc::Deliver deliver = order_to("", RelayScheme::lmtp);
        deliver.route.kind = ActionKind::lmtp;
        deliver.route.host->unix_path = "/run/lmtp";
        deliver.parameters.smtp_utf8 = true;
        network.serve(
            "/run/lmtp",
            std::string("S: 220 mx\n C: LHLO gw.example\n S: 250-mx\n S: 250 ") +
                (offered ? "SMTPUTF8\n C: MAIL FROM:<a@s.example> SMTPUTF8\n S: 250 ok\n"
                           "C: RCPT TO:<gr\xc3\xbc\xc3\x9f>\n S: 250 ok\n C: DATA\n S: 354 go\n"
                           "C: x\n C: .\n S: 250 2.6.0 taken\n"
                         : "HELP\n") +
                leave);
        EXPECT_EQ(run(std::move(deliver)),
                  offered ? "delivered 2.6.0 /run/lmtp" : "permanent 5.6.7 /run/lmtp");
        time.advance(3s);
    }
    EXPECT_EQ(network.errors(), "");
}

// The time that the first exchanger cost is not there for the second (RFC 2852).
TEST_F(DeliveryTest, TheTimeForDeliveryPassesWhileExchangersAreTried) {
    network.fail("192.0.2.1:25", ETIMEDOUT, 40s);
    network.serve("192.0.2.2:25",
                  "S: 220 mx\n C: EHLO gw.example\n S: 250-mx\n S: 250 DELIVERBY\n"
                  "C: MAIL FROM:<a@s.example> BY=50;R\n S: 250 ok\n C: RCPT TO:<u@d.example>\n"
                  "S: 250 ok\n C: DATA\n S: 354 go\n C: x\n C: .\n S: 250 2.6.0 taken\n" +
                      leave);
    ipc::Deliver deliver = order();
    deliver.parameters.deliver_by = DeliverBy{60, true, false};
    EXPECT_EQ(run(std::move(deliver)), "delivered 2.6.0 b.example[192.0.2.2]:25");
    time.advance(3s);
    EXPECT_EQ(network.errors(), "");
}

} // namespace
} // namespace postern::relay
