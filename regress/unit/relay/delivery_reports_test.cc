// MTA-STS policies that are only tested (RFC 8461 5), and what domains are told of it (RFC 8460 4).
#include <openssl/x509_vfy.h>

#include "deliver/relay/sts.h"
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

// There was no connection, to however many addresses of a host. Nor is the domain to blame for a
// resolver that does not answer.
TEST_F(DeliveryReports, OfAHostThatIsNotUsedThereIsOne) {
    network.secure(ipc::RecordType::mx, "d.example");
    network.secure(ipc::RecordType::a, "a.example");
    network.address("a.example", "192.0.2.3");
    network.answer(ipc::RecordType::tlsa, "_25._tcp.a.example", ipc::ResolveStatus::bogus);
    network.serve("192.0.2.2:25", encrypted);
    run(order());
    std::string told = "d.example tlsa a.example 7; d.example none b.example 0; ";
    expect_report(told);
    time.advance(10s);

    network.answer(ipc::RecordType::tlsa, "_25._tcp.a.example", ipc::ResolveStatus::temporary);
    network.serve("192.0.2.2:25", encrypted);
    EXPECT_EQ(run(order()), "delivered 2.6.0 b.example[192.0.2.2]:25");
    expect_report(told += "d.example none b.example 0; ");
    time.advance(10s);

    network.answer(ipc::RecordType::tlsa, "_25._tcp.a.example", ipc::ResolveStatus::no_data);
    policy(ipc::StsMode::enforce, {"b.example"});
    network.serve("192.0.2.2:25", encrypted);
    EXPECT_EQ(run(order()), "delivered 2.6.0 b.example[192.0.2.2]:25");
    expect_report(told += "d.example sts a.example 5; d.example sts b.example 0; ");
}

// Encrypted all the same (RFC 7672 2.2), but under no policy.
TEST_F(DeliveryReports, OfRecordsThatAreOfNoUse) {
    network.secure(ipc::RecordType::mx, "d.example");
    network.secure(ipc::RecordType::a, "a.example");
    network.tlsa("_25._tcp.a.example", std::string("\1\1\1") + std::string(32, 'k'), true);
    network.serve("192.0.2.1:25", encrypted);
    EXPECT_EQ(run(order()), "delivered 2.6.0 a.example[192.0.2.1]:25");
    expect_report("d.example tlsa a.example 6; d.example none a.example 0; ");
}

TEST_F(DeliveryReports, SayWhoSpokeWithWhom) {
    network.serve("192.0.2.1:25", hello + takes + leave);
    run(order());
    ASSERT_EQ(network.told().size(), 1u);
    EXPECT_EQ(network.told()[0].sending.to_string(), "198.51.100.7");
    EXPECT_EQ(network.told()[0].receiving.to_string(), "192.0.2.1");
}

// By what the server has seen, as far as that says anything to others.
TEST_F(DeliveryReports, SayWhoSpokeForUs) {
    struct Row {
        const char* address;
        const char* reported;
    };
    const Row rows[] = {
        {"192.0.2.77", "192.0.2.77"},   {"2001:db8::77", "2001:db8::77"}, {"10.0.0.1", ""},
        {"172.16.0.1", ""},             {"172.32.0.1", "172.32.0.1"},     {"192.168.7.7", ""},
        {"100.64.0.1", ""},             {"169.254.0.1", ""},              {"127.0.0.2", ""},
        {"fd00::1", ""},                {"fe80::1", ""},                  {"::1", ""},
    };
    const auto text = [](const IpAddress& address) {
        return address.version == 0 ? "" : address.to_string();
    };
    for (const Row& row : rows)
        EXPECT_EQ(text(reported_address(*IpAddress::parse(row.address))), row.reported);

    ipc::Deliver deliver = order();
    EgressProxy& proxy = deliver.route.proxy.emplace();
    proxy.protocol = EgressProtocol::proxy_v2;
    proxy.host = "192.0.2.99";
    deliver.route.sources = {{*IpAddress::parse("192.0.2.77"), ""}};
    network.serve("192.0.2.99:1080", "C= \\r\\n\\r\\n\\0\\r\\nQUIT\\n\\x21\\x11\\0\\x0c"
                                     "\\xc0\\0\\x02\\x4d\\xc0\\0\\x02\\x01\\0\\0\\0\\x19\n" +
                                         encrypted);
    run(std::move(deliver));
    ASSERT_EQ(network.told().size(), 1u);
    EXPECT_EQ(text(network.told()[0].sending), "192.0.2.77");
}

// Of connections for reports there are none: two that tell each other would never end (3).
TEST_F(DeliveryReports, OfReportsThereAreNone) {
    const auto from_nobody = [this](const std::string& field) {
        ipc::Deliver deliver = order();
        deliver.reverse_path.clear();
        deliver.content.bytes = field + "\r\n\r\n";
        deliver.traits.header_length = static_cast<uint32_t>(deliver.content.bytes.size());
        return deliver;
    };
    std::string takes_it = envelope;
    takes_it.replace(takes_it.find("a@s.example"), 11, "");
    takes_it += "C: DATA\n S: 354 go\n C* 3\n S: 250 2.6.0 taken\n" + leave;
    network.serve("192.0.2.1:25", hello + takes_it);
    EXPECT_EQ(run(from_nobody("TLS-Required: No")), "delivered 2.6.0 a.example[192.0.2.1]:25");
    expect_report("");
    // Nor is a policy fetched, a failure of which would be told of; so the connection is for nobody
    // else.
    EXPECT_EQ(network.policy_questions(), 0u);
    network.sts("d.example", std::nullopt);
    network.serve("192.0.2.1:25", hello + takes_it);
    EXPECT_EQ(run(from_nobody("TLS-Required: No")), "delivered 2.6.0 a.example[192.0.2.1]:25");
    expect_report("");
    network.sts("d.example", ipc::StsPolicy());
    time.advance(10s);
    network.serve("192.0.2.1:25", hello + takes_it);
    EXPECT_EQ(run(from_nobody("Subject: a bounce")), "delivered 2.6.0 a.example[192.0.2.1]:25");
    expect_report("d.example none a.example 1; ");
}

// What is wrong with a certificate (4.3.1).
TEST(SessionResults, OfCertificates) {
    using enum ipc::TlsResult;
    const std::pair<int, ipc::TlsResult> rows[] = {
        {X509_V_ERR_HOSTNAME_MISMATCH, certificate_host_mismatch},
        {X509_V_ERR_CERT_HAS_EXPIRED, certificate_expired},
        {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, certificate_not_trusted},
        {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, certificate_not_trusted},
        {X509_V_ERR_PERMITTED_VIOLATION, certificate_not_trusted},
        {X509_V_ERR_INVALID_CA, certificate_not_trusted},
        {X509_V_ERR_CERT_CHAIN_TOO_LONG, certificate_not_trusted},
        {X509_V_ERR_INVALID_PURPOSE, certificate_not_trusted},
        {X509_V_ERR_CERT_SIGNATURE_FAILURE, certificate_not_trusted},
        {X509_V_ERR_DANE_NO_MATCH, tlsa_invalid},
        {X509_V_ERR_OUT_OF_MEM, validation_failure},
    };
    for (const auto& [error, result] : rows)
        EXPECT_EQ(result_of_certificate(error), result) << error;
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
