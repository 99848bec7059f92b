// MTA-STS policies that are only tested (RFC 8461 5), and what domains are told of it (RFC 8460 4).
#include "regress/unit/relay/delivery_fixture.h"

namespace postern::relay {
namespace {

struct DeliveryReports : DeliveryTest {
    ~DeliveryReports() override {
        time.advance(10s);
        EXPECT_EQ(network.errors(), "");
    }
    void policy(ipc::StsMode mode, std::vector<std::string> mx) {
        ipc::StsPolicy policy;
        policy.mode = mode;
        policy.mx = std::move(mx);
        network.sts("d.example", policy);
    }
    // Numbers are those of ipc::TlsResult.
    void expect_report(const std::string& report) { EXPECT_EQ(network.reports(), report); }
};

const std::string encrypted = goes + hello_again + takes + leave;

TEST_F(DeliveryReports, OfWhatHappensWithoutAPolicy) {
    network.serve("192.0.2.1:25", encrypted);
    EXPECT_EQ(run(order()), "delivered 2.6.0 a.example[192.0.2.1]:25");
    expect_report("d.example none a.example 0; ");
    time.advance(10s);
    network.serve("192.0.2.1:25", hello + takes + leave);
    run(order());
    expect_report("d.example none a.example 0; d.example none a.example 1; ");
    time.advance(10s);
    // A failure that has nothing to do with TLS is none of theirs.
    network.serve("192.0.2.1:25", "S: 554 no\n" + leave);
    network.serve("192.0.2.2:25", "S: 554 no\n" + leave);
    run(order());
    expect_report("d.example none a.example 0; d.example none a.example 1; ");
}

TEST_F(DeliveryReports, OfAPolicyThatIsKept) {
    policy(ipc::StsMode::testing, {"a.example"});
    network.serve("192.0.2.1:25", encrypted);
    EXPECT_EQ(run(order()), "delivered 2.6.0 a.example[192.0.2.1]:25");
    EXPECT_EQ(outcome.recipients[0].tls, "TLSv1.3,TLS_X,verified");
    expect_report("d.example sts a.example 0; ");
}

// The mail goes all the same, and the domain hears of the failure, once.
TEST_F(DeliveryReports, OfAPolicyThatIsNot) {
    policy(ipc::StsMode::testing, {"a.example"});
    network.handshake("192.0.2.1:25", "TLS: another name", -62); // X509_V_ERR_HOSTNAME_MISMATCH
    network.serve("192.0.2.1:25", goes + "silence");
    network.serve("192.0.2.1:25", encrypted);
    EXPECT_EQ(run(order()), "delivered 2.6.0 a.example[192.0.2.1]:25");
    EXPECT_EQ(outcome.recipients[0].tls, "TLSv1.3,TLS_X,unverified");
    expect_report("d.example sts a.example 2; ");
    time.advance(10s);
    network.serve("192.0.2.1:25", hello + leave);
    network.serve("192.0.2.1:25", hello + takes + leave);
    EXPECT_EQ(run(order()), "delivered 2.6.0 a.example[192.0.2.1]:25");
    expect_report("d.example sts a.example 2; d.example sts a.example 1; ");
}

// Whatever about TLS it is that fails.
TEST_F(DeliveryReports, ATestKeepsNoMailFromGoingInPlain) {
    policy(ipc::StsMode::testing, {"a.example"});
    const std::string hangs_up = offers + "C: STARTTLS\n close";
    network.serve("192.0.2.1:25", hangs_up);
    network.serve("192.0.2.1:25", hangs_up);
    network.serve("192.0.2.1:25", offers + takes + leave);
    EXPECT_EQ(run(order()), "delivered 2.6.0 a.example[192.0.2.1]:25");
    EXPECT_EQ(outcome.recipients[0].tls, "none");
    expect_report("d.example sts a.example 5; ");
}

TEST_F(DeliveryReports, ATestThatIsNotPossibleHereIsNone) {
    policy(ipc::StsMode::testing, {"a.example"});
    network.impossible_to_verify("there are no certificates of authorities to verify by");
    network.serve("192.0.2.1:25", encrypted);
    EXPECT_EQ(run(order()), "delivered 2.6.0 a.example[192.0.2.1]:25");
    expect_report("");
}

TEST_F(DeliveryReports, OfRecordsThatFailValidation) {
    network.secure(ipc::RecordType::mx, "d.example");
    network.secure(ipc::RecordType::a, "a.example");
    network.answer(ipc::RecordType::tlsa, "_25._tcp.a.example", ipc::ResolveStatus::bogus);
    network.serve("192.0.2.2:25", encrypted);
    EXPECT_EQ(run(order()), "delivered 2.6.0 b.example[192.0.2.2]:25");
    expect_report("d.example tlsa a.example 7; d.example none b.example 0; ");
}

TEST_F(DeliveryReports, OfAnExchangerThatThePolicyDoesNotName) {
    policy(ipc::StsMode::testing, {"elsewhere.example"});
    network.serve("192.0.2.1:25", encrypted);
    EXPECT_EQ(run(order()), "delivered 2.6.0 a.example[192.0.2.1]:25");
    expect_report("d.example sts a.example 5; ");
    time.advance(10s);
    policy(ipc::StsMode::enforce, {"b.example"});
    network.serve("192.0.2.2:25", encrypted);
    EXPECT_EQ(run(order()), "delivered 2.6.0 b.example[192.0.2.2]:25");
    expect_report("d.example sts a.example 5; d.example sts a.example 5; "
                  "d.example sts b.example 0; ");
}

} // namespace
} // namespace postern::relay
