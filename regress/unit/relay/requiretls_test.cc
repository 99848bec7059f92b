// What the sender says of TLS: REQUIRETLS, and the header field that waives it (RFC 8689).
#include "regress/unit/relay/delivery_fixture.h"

namespace postern::relay {
namespace {

ipc::Deliver requiring(ipc::Deliver deliver) {
    deliver.parameters.require_tls = true;
    return deliver;
}

const std::string promises = "C: EHLO gw.example\n S: 250-mx\n S: 250 REQUIRETLS\n";
const std::string demanding_envelope = "C: MAIL FROM:<a@s.example> REQUIRETLS\n S: 250 ok\n"
                                       "C: RCPT TO:<u@d.example>\n S: 250 ok\n";
const std::string data = "C: DATA\n S: 354 go\n C: x\n C: .\n S: 250 2.6.0 taken\n";

struct RequireTls : DeliveryTest {
    void sign() {
        network.secure(ipc::RecordType::mx, "d.example");
        for (const char* host : {"a.example", "b.example"})
            network.secure(ipc::RecordType::a, host);
    }
    ~RequireTls() override {
        time.advance(10s);
        EXPECT_EQ(network.errors(), "");
    }
};

TEST_F(RequireTls, OverDaneToAServerThatPromisesAsMuch) {
    sign();
    network.tlsa("_25._tcp.a.example", std::string("\3\1\1") + std::string(32, 'k'), true);
    network.serve("192.0.2.1:25", goes + promises + demanding_envelope + data + leave);
    EXPECT_EQ(run(requiring(order())), "delivered 2.6.0 a.example[192.0.2.1]:25");
    EXPECT_EQ(network.demands(), "192.0.2.1:25 a.example dane(a.example)(d.example); ");
}

// RFC 8689 4.2.1, step 4: without TLSA records by a certificate for the name in the signed MX.
TEST_F(RequireTls, OverACertificateForTheNameThatTheZoneSigned) {
    sign();
    network.serve("192.0.2.1:25", goes + promises + demanding_envelope + data + leave);
    EXPECT_EQ(run(requiring(order())), "delivered 2.6.0 a.example[192.0.2.1]:25");
    EXPECT_EQ(network.demands(), "192.0.2.1:25 a.example certificate(a.example); ");
}

// Step 2: anybody could have put this name there.
TEST_F(RequireTls, NotToAnExchangerThatNothingVouchesFor) {
    EXPECT_EQ(run(requiring(order())), "permanent 5.7.10 b.example[192.0.2.2]:25");
    EXPECT_EQ(network.tried(), "");
    recipients = {"u@[192.0.2.1]"};
    ipc::Deliver literal = requiring(order());
    literal.route.domain = "[192.0.2.1]";
    EXPECT_EQ(run(std::move(literal)), "permanent 5.7.10 [192.0.2.1]:25");
    EXPECT_EQ(network.tried(), "");
}

TEST_F(RequireTls, TheNextExchangerIsTriedAndThenTheSenderIsTold) {
    sign();
    const std::pair<std::string, const char*> rows[] = {
        {goes + hello_again + leave, "permanent 5.7.30 b.example[192.0.2.2]:25"},
        {hello + leave, "permanent 5.7.10 b.example[192.0.2.2]:25"},
        {offers + "C: STARTTLS\n S: 502 no\n" + leave,
         "permanent 5.7.10 b.example[192.0.2.2]:25"},
    };
    for (const auto& [script, verdict] : rows) {
        network.serve("192.0.2.1:25", script);
        network.serve("192.0.2.2:25", goes + promises + demanding_envelope + data + leave);
        EXPECT_EQ(run(requiring(order())), "delivered 2.6.0 b.example[192.0.2.2]:25");
        time.advance(10s);
        network.serve("192.0.2.1:25", script);
        network.serve("192.0.2.2:25", script);
        EXPECT_EQ(run(requiring(order())), verdict);
        time.advance(10s);
        // One that is away may be what is wanted.
        network.serve("192.0.2.2:25", script);
        EXPECT_EQ(run(requiring(order())).substr(0, 9), "temporary") << script;
        time.advance(10s);
    }
    network.handshake("192.0.2.1:25", "TLS: bad certificate", -62);
    network.serve("192.0.2.1:25", goes + "silence");
    network.handshake("192.0.2.2:25", "TLS: bad certificate", -62);
    network.serve("192.0.2.2:25", goes + "silence");
    EXPECT_EQ(run(requiring(order())), "permanent 5.7.10 b.example[192.0.2.2]:25");
    EXPECT_FALSE(outcome.destination_down) << "other mail goes there";
}

// What was wrong just now says nothing of what the server is like.
TEST_F(RequireTls, WhatMayBeOtherwiseLaterIsWaitedFor) {
    sign();
    struct Row {
        std::string script;
        const char* handshake; // error
        int code;
    };
    const Row rows[] = {
        {offers + "C: STARTTLS\n S: 454 no\n" + leave, "", 0},
        {offers + "C: STARTTLS\n close", "", 0},
        {offers + "C: STARTTLS\n S: 421 bye", "", 0},
        {goes + "silence", "the server kept the handshake waiting", 0},
        {goes + "silence", "connection: Connection reset by peer", ECONNRESET},
        {goes + "silence", "there is no signature", ENOKEY},
        {"S: 421 bye", "", 0},
    };
    for (const Row& row : rows) {
        network.serve("192.0.2.1:25", hello + leave);
        if (*row.handshake)
            network.handshake("192.0.2.2:25", row.handshake, row.code);
        network.serve("192.0.2.2:25", row.script);
        EXPECT_EQ(run(requiring(order())).substr(0, 9), "temporary") << row.script << row.handshake;
        time.advance(10s);
    }
    network.serve("192.0.2.1:25", hello + leave);
    network.serve("192.0.2.2:25", hello + leave);
    network.answer(ipc::RecordType::aaaa, "b.example", ipc::ResolveStatus::temporary);
    EXPECT_EQ(run(requiring(order())), "permanent 5.7.10 b.example[192.0.2.2]:25");
    time.advance(10s);
    network.mx("d.example", 30, "c.example");
    sign();
    network.answer(ipc::RecordType::a, "c.example", ipc::ResolveStatus::temporary);
    network.serve("192.0.2.1:25", hello + leave);
    network.serve("192.0.2.2:25", hello + leave);
    EXPECT_EQ(run(requiring(order())), "temporary 4.7.10 b.example[192.0.2.2]:25");
}

TEST_F(RequireTls, AnAddressThatIsAwaySpeaksForNoHost) {
    network.address("smart.example", "2001:db8::7");
    network.address("smart.example", "192.0.2.7");
    for (const bool by_source : {false, true}) {
        ipc::Deliver deliver = requiring(order_to("smart.example"));
        if (by_source)
            deliver.route.sources = {{*IpAddress::parse("192.0.2.77")}};
        network.serve("192.0.2.7:2626", hello + leave);
        EXPECT_EQ(run(std::move(deliver)), "permanent 5.7.10 smart.example[192.0.2.7]:2626");
        time.advance(10s);
    }
}

// The name is the configuration's: it need not come from a signed zone.
TEST_F(RequireTls, ToAConfiguredHostByItsCertificateEvenWhereAnyWouldDo) {
    network.address("smart.example", "192.0.2.7");
    for (const RelayScheme scheme : {RelayScheme::smtp, RelayScheme::smtp_tls}) {
        ipc::Deliver deliver = requiring(order_to("smart.example", scheme));
        deliver.route.tls.verify = false;
        network.serve("192.0.2.7:2626", goes + promises + demanding_envelope + data + leave);
        EXPECT_EQ(run(std::move(deliver)), "delivered 2.6.0 smart.example[192.0.2.7]:2626");
        EXPECT_EQ(outcome.recipients[0].tls, "TLSv1.3,TLS_X,verified");
        time.advance(10s);
    }
    for (const RelayScheme scheme : {RelayScheme::smtp_no_tls, RelayScheme::lmtp})
        EXPECT_EQ(run(requiring(order_to("smart.example", scheme))),
                  "permanent 5.7.10 smart.example[192.0.2.7]:2626");
}

TEST_F(RequireTls, OverConnectionsOfItsOwn) {
    network.address("smart.example", "192.0.2.7");
    network.serve("192.0.2.7:2626", goes + hello_again + takes + leave);
    network.serve("192.0.2.7:2626", goes + promises + demanding_envelope + data + leave);
    EXPECT_EQ(run(order_to("smart.example")), "delivered 2.6.0 smart.example[192.0.2.7]:2626");
    EXPECT_EQ(run(requiring(order_to("smart.example"))),
              "delivered 2.6.0 smart.example[192.0.2.7]:2626");
}

// RFC 8689 5, and a socket of this machine is no network.
TEST_F(RequireTls, ReportsAndSocketsOfThisMachineDoWithout) {
    ipc::Deliver to_socket = requiring(order_to("", RelayScheme::lmtp));
    to_socket.route.kind = ActionKind::lmtp;
    to_socket.route.host->unix_path = "/run/lmtp";
    to_socket.route.lmtp_rcpt_to = true;
    network.serve("/run/lmtp",
                  "S: 220 mx\n C: LHLO gw.example\n S: 250 mx\n" + envelope + data + leave);
    EXPECT_EQ(run(std::move(to_socket)), "delivered 2.6.0 /run/lmtp");
    EXPECT_EQ(outcome.recipients[0].handover, ipc::Handover::delivered);

    ipc::Deliver report = requiring(order());
    report.reverse_path = "";
    network.serve("192.0.2.1:25", hello + "C: MAIL FROM:<>\n S: 250 ok\n" +
                                      "C: RCPT TO:<u@d.example>\n S: 250 ok\n" + data + leave);
    EXPECT_EQ(run(std::move(report)), "delivered 2.6.0 a.example[192.0.2.1]:25");
    EXPECT_EQ(outcome.recipients[0].handover, ipc::Handover::relayed);
    time.advance(10s);
    // But it is said where it can be.
    report = requiring(order());
    report.reverse_path = "";
    network.serve("192.0.2.1:25", goes + promises + "C: MAIL FROM:<> REQUIRETLS\n S: 250 ok\n" +
                                      "C: RCPT TO:<u@d.example>\n S: 250 ok\n" + data + leave);
    EXPECT_EQ(run(std::move(report)), "delivered 2.6.0 a.example[192.0.2.1]:25");
}

// "TLS-Required: No" overrules the zone, but neither the configuration nor REQUIRETLS.
TEST_F(RequireTls, TheSenderMayWaiveWhatTheZoneDemands) {
    sign();
    network.tlsa("_25._tcp.a.example", std::string("\3\1\1") + std::string(32, 'k'), true);
    const auto waiving = [this](const std::string& header) {
        ipc::Deliver deliver = order();
        deliver.content.bytes = header + "\r\n\r\n";
        deliver.traits.header_length = static_cast<uint32_t>(deliver.content.bytes.size());
        return deliver;
    };
    const std::string sends = envelope + "C: DATA\n S: 354 go\n C* 3\n S: 250 2.6.0 taken\n";
    for (const char* header : {"TLS-Required: No", "tls-required:\r\n no "}) {
        network.handshake("192.0.2.1:25", "TLS: no matching DANE TLSA records");
        network.serve("192.0.2.1:25", goes + "silence");
        network.serve("192.0.2.1:25", offers + envelope + "C: DATA\n S: 354 go\n C* " +
                                          (header[0] == 'T' ? "3" : "4") +
                                          "\n S: 250 2.6.0 taken\n" + leave);
        EXPECT_EQ(run(waiving(header)), "delivered 2.6.0 a.example[192.0.2.1]:25") << header;
        time.advance(TlsRecord::remembered + 10s);
    }
    // The next message, which has no such field, does not go over the connection of one that had.
    network.serve("192.0.2.1:25", goes + hello_again + sends + leave);
    EXPECT_EQ(run(waiving("TLS-Required: No")), "delivered 2.6.0 a.example[192.0.2.1]:25");
    EXPECT_EQ(outcome.recipients[0].tls, "TLSv1.3,TLS_X,unverified");
    network.serve("192.0.2.1:25", goes + hello_again + sends + leave);
    EXPECT_EQ(run(waiving("TLS-Required: Yes")), "delivered 2.6.0 a.example[192.0.2.1]:25");
    EXPECT_EQ(outcome.recipients[0].tls, "TLSv1.3,TLS_X,dane");
    time.advance(10s);

    ipc::Deliver demanded = waiving("TLS-Required: No");
    demanded.route.tls.required = true;
    network.serve("192.0.2.1:25", hello + leave);
    network.serve("192.0.2.2:25", hello + leave);
    EXPECT_EQ(run(std::move(demanded)), "temporary 4.7.4 b.example[192.0.2.2]:25");
    time.advance(10s);
    network.serve("192.0.2.1:25", hello + leave);
    network.serve("192.0.2.2:25", hello + leave);
    EXPECT_EQ(run(requiring(waiving("TLS-Required: No"))),
              "permanent 5.7.10 b.example[192.0.2.2]:25");
}

} // namespace
} // namespace postern::relay
