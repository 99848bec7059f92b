// A client session and a scripted next hop, over a connection in memory.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "deliver/relay/transaction.h"
#include "regress/unit/relay/next_hop.h"

namespace postern::test {

// Of a stream that stays as it is: what is said "encrypted" stands in the script all the same.
struct FakeEncryption final : relay::Encryption {
    FakeEncryption(std::string error, int& handshakes)
        : error(std::move(error)), handshakes(handshakes) {}
    Task<Result<TlsFacts>> begin(Stream&, Duration) override {
        ++handshakes;
        if (!error.empty())
            co_return Error{error};
        co_return TlsFacts();
    }
    std::string error;
    int& handshakes;
};

struct Dialogue {
    explicit Dialogue(std::string_view script) : next_hop(time, script) {}

    // What is to be sent, to be changed before run().
    bool lmtp = false;
    std::vector<std::string> recipients = {"u@d.example"};
    relay::TlsPolicy tls;
    std::string handshake_error; // empty: it goes well
    std::string reverse_path = "a@s.example";
    std::string content = "Subject: x\r\n\r\nHello\r\n";
    std::unique_ptr<relay::ContentSource> source; // in the place of `content`
    bool eight_bit = false;
    bool utf8_header = false;
    MailParameters parameters;
    RecipientParameters recipient_parameters; // of each
    int messages = 1;
    bool quit = true;
    Duration pause{0}; // before it is looked at whether the session is usable, and QUIT

    SimulatedTime time;
    NextHop next_hop;

    // What came of it.
    bool opened = false;
    int handshakes = 0;
    bool encrypted = false;
    bool tls_failed = false;
    bool policy_unmet = false;
    EhloCapabilities capabilities;
    bool usable = false;                   // before QUIT
    std::string failure;                   // of the session: "4.4.2 text"; empty: none
    std::vector<relay::Recipient> results; // of the last message

    // Runs it; false: it would never end.
    bool run() { return run_to_end(time, talk()); }

    // "u delivered 2.0.0, v permanent 5.1.1"
    std::string verdicts() const {
        static constexpr const char* words[] = {"open", "delivered", "temporary", "permanent"};
        std::string result;
        for (const relay::Recipient& recipient : results)
            result += (result.empty() ? "" : ", ") +
                      recipient.address.substr(0, recipient.address.find('@')) + " " +
                      words[static_cast<size_t>(recipient.verdict)] + " " +
                      to_string(recipient.diagnosis.status);
        return result;
    }

  private:
    Task<void> talk() {
        std::unique_ptr<Stream> stream = next_hop.connect();
        relay::SessionOptions options("relay.example", lmtp, "mx.example[192.0.2.1]:25");
        options.tls = tls;
        options.encryption = std::make_unique<FakeEncryption>(handshake_error, handshakes);
        relay::ClientSession session(*stream, std::move(options));
        opened = co_await session.open();
        encrypted = session.tls().has_value();
        tls_failed = session.tls_failed();
        policy_unmet = session.policy_unmet();
        capabilities = session.capabilities();
        if (!source)
            source = std::make_unique<relay::MemoryContent>(content);
        const relay::Random random = [](uint64_t) { return uint64_t{0}; };
        relay::Message message(*source);
        message.reverse_path = reverse_path;
        message.parameters = parameters;
        message.as_of = time.now();
        message.eight_bit = eight_bit;
        message.utf8_header = utf8_header;
        for (int i = 0; i < messages && opened; ++i) {
            results.clear();
            for (const std::string& recipient : recipients)
                results.emplace_back(recipient).parameters = recipient_parameters;
            co_await relay::send_message(session, message, results, TimePoint::max(), random);
        }
        co_await time.sleep(pause);
        usable = session.usable();
        if (session.failed())
            failure = to_string(session.failure().status) + " " + session.failure().text;
        if (quit)
            co_await session.quit();
    }
};

} // namespace postern::test
