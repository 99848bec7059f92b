// A delivery over a network of scripted next hops, and the usual parts of their scripts.
#pragma once

#include <gtest/gtest.h>

#include "deliver/relay/delivery.h"
#include "deliver/relay/order.h"
#include "regress/unit/relay/fake_network.h"

namespace postern::relay {

using namespace std::chrono_literals;
using ipc::RecipientStatus;
using test::FakeNetwork;
using test::SimulatedTime;

inline const std::string hello = "S: 220 mx\n C: EHLO gw.example\n S: 250 mx\n";
inline const std::string envelope =
    "C: MAIL FROM:<a@s.example>\n S: 250 ok\n C: RCPT TO:<u@d.example>\n S: 250 ok\n";
inline const std::string takes = envelope + "C: DATA\n S: 354 go\n C: x\n C: .\n S: 250 2.6.0 taken\n";
inline const std::string leave = "C: QUIT\n S: 221 bye";

struct DeliveryTest : testing::Test {
    SimulatedTime time;
    FakeNetwork network{time};
    Destinations destinations{time, Destinations::Limits()};
    SlowAddresses slow;
    TlsRecord tls;
    Random random = [](uint64_t bound) { return bound - 1; };
    std::shared_ptr<Identity> identity = std::make_shared<Identity>();
    ipc::Outcome outcome;
    std::vector<std::string> recipients = {"u@d.example"};

    DeliveryTest() {
        identity->hostname = "gw.example";
        network.mx("d.example", 10, "a.example");
        network.mx("d.example", 20, "b.example");
        network.address("a.example", "192.0.2.1");
        network.address("b.example", "192.0.2.2");
    }

    ipc::Deliver order() {
        ipc::Deliver deliver;
        deliver.delivery = 7;
        deliver.message = 1;
        deliver.route.domain = "d.example";
        deliver.reverse_path = "a@s.example";
        for (size_t i = 0; i < recipients.size(); ++i) {
            ipc::DeliveryRecipient recipient;
            recipient.index = static_cast<uint32_t>(i + 10);
            recipient.address = recipients[i];
            deliver.recipients.push_back(recipient);
        }
        deliver.content.bytes = "x\r\n";
        return deliver;
    }
    ipc::Deliver order_to(const std::string& host, RelayScheme scheme = RelayScheme::smtp) {
        ipc::Deliver deliver = order();
        deliver.route.host.emplace();
        deliver.route.host->host = host;
        deliver.route.host->port = 2626;
        deliver.route.host->scheme = scheme;
        return deliver;
    }
    Task<void> deliver_it(ipc::Deliver order) {
        Surroundings surroundings{network, destinations, slow, tls, random};
        outcome = co_await deliver(surroundings, identity, std::move(order));
    }
    // "delivered 2.0.0 a.example[192.0.2.1]:25", joined with "; ".
    std::string run(ipc::Deliver order) {
        EXPECT_TRUE(test::run_to_end(time, deliver_it(std::move(order))));
        EXPECT_EQ(outcome.delivery, 7u);
        static constexpr const char* words[] = {"delivered", "temporary", "permanent"};
        std::string result;
        for (const ipc::RecipientOutcome& recipient : outcome.recipients)
            result += (result.empty() ? "" : "; ") +
                      std::string(words[static_cast<size_t>(recipient.status)]) + " " +
                      recipient.enhanced + " " + recipient.remote;
        return result;
    }
};

inline const std::string goes = "S: 220 mx\n C: EHLO gw.example\n S: 250-mx\n S: 250 STARTTLS\n"
                         "C: STARTTLS\n S: 220 go\n";
inline const std::string offers = "S: 220 mx\n C: EHLO gw.example\n S: 250-mx\n S: 250 STARTTLS\n";
inline const std::string hello_again = "C: EHLO gw.example\n S: 250 mx\n";

} // namespace postern::relay
