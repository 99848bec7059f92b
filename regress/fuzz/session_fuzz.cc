// Whole sessions in simulated time. Octet 0 chooses how the others of the session behave; 0xff ends
// a packet; everything else is what the client sends.
#include "regress/fuzz/expect.h"
#include "regress/support/memory_stream.h"
#include "regress/support/simulated_time.h"
#include "regress/unit/listener/fakes.h"
#include "smtpd/listener/session.h"

using namespace postern;
using namespace postern::listener;
using fuzz::expect;
using postern::test::MemoryStream;
using postern::test::SimulatedTime;

namespace {

struct Owner final : SessionOwner {
    bool over = false;
    void ended(Session&) override { over = true; }
};

bool offers_more(uint8_t choice) { return (choice & 0x60) == 0x40; }
// With XCLIENT, by which anybody may come in.
bool is_lmtp(uint8_t choice) { return (choice & 0x70) == 0x50; }

std::shared_ptr<ipc::ListenerSettings> make_settings(uint8_t choice) {
    auto settings = std::make_shared<ipc::ListenerSettings>();
    ipc::ListenAddress& address = settings->addresses.emplace_back();
    address.endpoint = Endpoint{*IpAddress::parse("192.0.2.1"), 25};
    address.hostname = "mx.test.example";
    address.tls.mode = choice & 1 ? TlsMode::required : TlsMode::offered;
    address.auth.mode = (choice & 0x70) == 0x30 ? AuthMode::required : AuthMode::optional;
    address.auth.credentials = "users";
    address.auth.in_received = true;
    const Network everybody{*IpAddress::parse("192.0.2.0"), 24};
    if (offers_more(choice)) {
        address.vrfy = true;
        address.etrn = {"*.example"};
        address.normalise_from = {everybody};
    }
    if (is_lmtp(choice)) {
        address.lmtp = true;
        address.xclient_from = {everybody};
    }
    settings->max_message_size = choice & 2 ? 100 : 0;
    settings->max_recipients = 3;
    settings->max_mails = 5;
    settings->max_errors = 10;
    settings->max_received_hops = 3;
    return settings;
}

// What the server says is SMTP. Returns how many messages it took.
size_t check_replies(std::string_view said) {
    size_t queued = 0;
    while (!said.empty()) {
        const size_t end = said.find("\r\n");
        expect(end != std::string_view::npos, "replies end in CRLF");
        const std::string_view line = said.substr(0, end);
        said.remove_prefix(end + 2);
        expect(line.size() + 2 <= limits::reply_line, "a reply's line is short enough");
        expect(line.size() >= 4 && line[0] >= '2' && line[0] <= '5' &&
                   line.find_first_not_of("0123456789") == 3 && (line[3] == ' ' || line[3] == '-'),
               "and begins with a code");
        for (char c : line)
            expect(c >= 0x20 && c < 0x7f, "and is printable");
        queued += line.starts_with("250 2.0.0 ") && line.ends_with(" queued");
    }
    return queued;
}

void check_content(const std::string& content) {
    expect(content.starts_with("Received: from "), "there is a trace");
    expect(content.ends_with("\r\n"), "content ends its last line");
    expect(content.find('\0') == std::string::npos, "and has no NUL");
    for (size_t i = 0; i < content.size(); ++i) {
        expect(content[i] != '\n' || (i > 0 && content[i - 1] == '\r'), "and no bare LF");
        expect(content[i] != '\r' || (i + 1 < content.size() && content[i + 1] == '\n'),
               "and no bare CR");
    }
    expect(content.find("for <") == std::string::npos ||
               content.find("for <") > content.find("Received:"),
           "the trace comes first");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0)
        return 0;
    const uint8_t choice = data[0];
    std::string_view input = fuzz::text_of(data + 1, size - 1);
    SimulatedTime time;
    listener::test::FakeQueue queue{time};
    listener::test::FakeLookup lookup{time};
    listener::test::FakeResolver resolver{time};
    lookup.verdicts["no@dest.example"] = ipc::RouteVerdict::no_mailbox;
    lookup.delay = choice & 4 ? std::chrono::seconds(1) : std::chrono::seconds(0);
    queue.delay = choice & 8 ? std::chrono::seconds(1) : std::chrono::seconds(0);
    queue.gone = (choice & 0x70) == 0x10;
    queue.disk_full = (choice & 0x70) == 0x20;
    listener::test::FakeAccounts accounts{time};
    accounts.passwords["bob"] = "secret";
    LoginDelays delays;
    SessionCounters counters;
    const auto settings = make_settings(choice);
    ClientLimits clients(1);
    clients.configure(settings->clients, 0);
    Pressure pressure;
    pressure.configure(0, choice & 0x80 ? 6000 : 0);
    const SessionServices services{time,   queue,    lookup,  resolver, accounts,
                                   delays, counters, clients, pressure};
    listener::test::FakeEncryption::Behaviour encryption;
    auto [client, server] = MemoryStream::make_pair(time);
    Owner owner;
    Connection connection;
    connection.id = 1;
    connection.client = *IpAddress::parse("192.0.2.7");
    connection.settings = settings;
    connection.encryption = std::make_unique<listener::test::FakeEncryption>(*server, encryption);
    auto session =
        std::make_unique<Session>(services, owner, std::move(connection), std::move(server));
    session->start();
    std::string said;
    while (!input.empty()) {
        const size_t end = std::min(input.find('\xff'), input.size());
        client->write(input.substr(0, end));
        time.advance(std::chrono::seconds(2));
        said += client->take();
        input.remove_prefix(std::min(input.size(), end + 1));
    }
    // Nobody waits for ever: not for the rest of a line, of content, or of anything.
    for (int i = 0; i < 60 && !owner.over; ++i) {
        time.advance(std::chrono::minutes(1));
        said += client->take();
    }
    expect(owner.over, "a silent client's session ends");
    session.reset();
    const size_t queued = check_replies(said);
    expect(is_lmtp(choice) ? queued >= queue.messages.size() : queued == queue.messages.size(),
           "what was taken was answered, once; in LMTP for each recipient");
    for (const auto& message : queue.messages) {
        check_content(message.content);
        const ipc::Envelope& envelope = message.submit.envelope;
        expect(!envelope.recipients.empty(), "a message has a recipient");
        if (is_lmtp(choice))
            continue;
        const std::string& user = envelope.origin.authenticated;
        expect(user == "bob" || (user.empty() && (choice & 0x70) != 0x30),
               "nobody comes in unknown");
        expect(user.empty() || (envelope.origin.tls && counters.auth_successes > 0),
               "nor without having proved it, under TLS");
    }
    expect(queue.files_opened == 0 || counters.sessions == 0, "nothing is left open");
    return 0;
}
