// Whole deliveries in simulated time, to next hops that say anything. Octets 0 and 1 choose what is
// to be delivered, and how; the others are what the next hops say, one connection after the other:
// 0xff waits for the client, 0xfe closes, 0xfd breaks the connection, 0xfc is silent for a while.
#include <algorithm>

#include "deliver/relay/delivery.h"
#include "regress/fuzz/expect.h"
#include "regress/support/memory_stream.h"
#include "regress/support/simulated_time.h"

using namespace postern;
using fuzz::expect;
using postern::test::MemoryStream;
using postern::test::SimulatedTime;

namespace {

constexpr char waits = '\xff', closes = '\xfe', breaks = '\xfd', is_silent = '\xfc';
constexpr std::chrono::hours for_ever{1000};

struct Choice {
    explicit Choice(const uint8_t* data) : one(data[0]), two(data[1]) {}
    bool by_host() const { return one & 1; }
    bool tls_demanded() const { return one & 2; }
    bool logs_in() const { return by_host() && tls_demanded() && (one & 4); }
    bool lmtp() const { return by_host() && !tls_demanded() && (one & 4); }
    bool require_tls() const { return one & 8; }
    bool dane() const { return one & 16; }
    bool through_proxy() const { return one & 32; }
    bool handshakes_fail() const { return one & 64; }
    bool several_hosts() const { return one & 128; }
    bool binary() const { return two & 1; }
    bool eight_bit() const { return two & 2; }
    bool utf8() const { return two & 4; }
    bool deliver_by() const { return two & 8; }
    size_t recipients() const { return 1 + (two >> 4); }
    uint8_t one, two;
};

class Handshake final : public relay::Encryption {
  public:
    Handshake(bool fails, TlsProof proof, bool& encrypted)
        : fails_(fails), proof_(proof), encrypted_(encrypted) {}
    Task<Result<TlsFacts>> begin(Stream& stream, Duration) override {
        expect(stream.input().empty(), "nothing said in plain is left for the encrypted session");
        if (fails_)
            co_return Error{"TLS: no"};
        encrypted_ = true;
        TlsFacts facts;
        facts.protocol = "TLSv1.3";
        facts.cipher = "TLS_X";
        facts.proof = proof_;
        facts.bindings.tls_exporter = "exporter";
        co_return facts;
    }

  private:
    bool fails_;
    TlsProof proof_;
    bool& encrypted_;
};

class Peers final : public relay::Network {
  public:
    Peers(SimulatedTime& time, Choice choice, std::string_view script)
        : time_(time), choice_(choice), script_(script) {}

    Executor& executor() override { return time_; }
    Task<Connected> connect(Endpoint, std::optional<IpAddress>, Duration) override {
        ++connections_;
        encrypted_ = false;
        auto [client, server] = MemoryStream::make_pair(time_);
        tasks_.spawn(play(std::move(server)));
        co_return std::unique_ptr<Stream>(std::move(client));
    }
    IpAddress own_address(Stream&) override { return IpAddress(); }
    Task<Connected> connect_unix(std::string) override {
        co_return system_error("connect", ENOENT);
    }
    Result<std::unique_ptr<relay::Encryption>> prepare(const TlsDemand& demand) override {
        return std::unique_ptr<relay::Encryption>(
            std::make_unique<Handshake>(choice_.handshakes_fail(), demand.proof, encrypted_));
    }
    Task<Result<SaslCredentials>> credentials(std::string, std::string) override {
        SaslCredentials found;
        found.user = "bob";
        found.password = Secret("secret");
        co_return found;
    }
    Task<ipc::PolicyAnswer> find_policy(std::string) override {
        ipc::PolicyAnswer answer;
        answer.known = true;
        if (choice_.dane()) // some have one of each
            answer.policy = {"1", ipc::StsMode::testing, 86400, {"mx.dest.example"}};
        co_return answer;
    }
    void report(ipc::SessionResult result) override {
        expect(result.reason.size() <= 200, "what a domain is told is short");
    }
    Task<ipc::ResolveAnswer> resolve(ipc::RecordType type, std::string name) override {
        ipc::ResolveAnswer answer;
        answer.status = ipc::ResolveStatus::ok;
        answer.secure = choice_.dane();
        answer.canonical_name = name;
        ipc::DnsRecord record;
        record.name = "mx." + name;
        record.address = *IpAddress::parse("192.0.2." + std::to_string(name.size()));
        record.data = "\3\1\1";
        record.data.append(32, 'k'); // gcc 12 warns of a sum of strings here
        if (type == ipc::RecordType::aaaa || type == ipc::RecordType::cname ||
            (type == ipc::RecordType::tlsa && !choice_.dane()))
            answer.status = ipc::ResolveStatus::no_data;
        else
            answer.records.push_back(record);
        co_return answer;
    }
    size_t connections() const { return connections_; }

  private:
    Task<void> play(std::unique_ptr<MemoryStream> stream);
    void check(std::string_view said);

    SimulatedTime& time_;
    Choice choice_;
    std::string_view script_;
    size_t connections_ = 0;
    bool encrypted_ = false; // the connection made last
    TaskGroup tasks_;
};

// What must not be said where anybody can read it.
void Peers::check(std::string_view said) {
    if (choice_.through_proxy())
        return; // which is spoken to in octets
    const bool secret = said.find("AUTH ") == 0 || said.find(" REQUIRETLS") != said.npos;
    expect(!secret || encrypted_, "passwords, and mail that requires TLS, go over TLS");
    for (size_t i = 0; i < said.size(); ++i)
        expect(choice_.binary() || said[i] != '\n' || (i > 0 && said[i - 1] == '\r'),
               "lines end in CRLF");
}

Task<void> Peers::play(std::unique_ptr<MemoryStream> stream) {
    while (!script_.empty()) {
        const size_t length = std::min(script_.find_first_of("\xff\xfe\xfd\xfc"), script_.size());
        const char mark = length < script_.size() ? script_[length] : closes;
        stream->write(script_.substr(0, length));
        script_.remove_prefix(std::min(length + 1, script_.size()));
        if (mark == is_silent) {
            co_await time_.sleep(std::chrono::minutes(3));
        } else if (mark == waits) {
            const StreamStatus status = co_await stream->read_more(for_ever);
            if (status != StreamStatus::ok)
                co_return;
            check(stream->take());
        } else {
            if (mark == breaks)
                stream->reset();
            co_return;
        }
    }
}

ipc::Deliver make_order(Choice choice) {
    ipc::Deliver order;
    order.delivery = 7;
    ipc::Route& route = order.route;
    route.domain = "dest.example";
    if (choice.by_host()) {
        route.host.emplace().host = "smart.example";
        route.host->scheme = choice.lmtp()           ? RelayScheme::lmtp
                             : choice.tls_demanded() ? RelayScheme::smtp_tls
                                                     : RelayScheme::smtp;
        if (choice.logs_in())
            route.label = "me";
        if (choice.several_hosts()) {
            RelayTarget other;
            other.host.host = "another.example";
            route.others = {other};
        }
    } else {
        route.tls.required = choice.tls_demanded();
    }
    if (choice.through_proxy()) {
        EgressProxy& proxy = route.proxy.emplace();
        proxy.host = "192.0.2.200";
        proxy.protocol = choice.eight_bit() ? EgressProtocol::proxy_v2 : EgressProtocol::socks5;
        route.sources = {{*IpAddress::parse("192.0.2.77"), ""}};
    }
    order.reverse_path = choice.utf8() ? "\xc3\xbc@s.example" : "a@s.example";
    order.parameters.require_tls = choice.require_tls();
    order.parameters.smtp_utf8 = choice.utf8();
    if (choice.deliver_by())
        order.parameters.deliver_by = DeliverBy{600, true, false};
    order.content.bytes = "Subject: x\r\n\r\n.dot\r\n";
    if (choice.binary()) {
        order.parameters.body = Body::binary_mime;
        order.content.bytes += "\n\r";
    }
    if (choice.eight_bit()) {
        order.traits.eight_bit = true;
        order.content.bytes += "\xc3\xbc\r\n";
    }
    order.traits.header_length = 14;
    for (size_t i = 0; i < choice.recipients(); ++i) {
        ipc::DeliveryRecipient recipient;
        recipient.index = static_cast<uint32_t>(3 * i);
        recipient.address = "u" + std::to_string(i) + "@dest.example";
        recipient.parameters.notify = notify::failure;
        order.recipients.push_back(recipient);
    }
    return order;
}

void check_outcome(const ipc::Outcome& outcome, Choice choice) {
    expect(outcome.delivery == 7, "the outcome is that of the delivery");
    expect(outcome.recipients.size() == choice.recipients(), "each recipient has an outcome");
    for (size_t i = 0; i < outcome.recipients.size(); ++i) {
        const ipc::RecipientOutcome& recipient = outcome.recipients[i];
        expect(recipient.index == 3 * i, "in order");
        const auto status = parse_enhanced_status(recipient.enhanced);
        expect(status.has_value(), "with a status");
        static constexpr int classes[] = {2, 4, 5};
        expect(status->status_class == classes[static_cast<size_t>(recipient.status)],
               "of the class of the verdict");
        expect(recipient.diagnostic.size() <= 1024, "and a text that is short");
        for (const char c : recipient.diagnostic + recipient.remote)
            expect(c >= 0x20 && c < 0x7f, "and printable");
    }
}

Task<void> deliver_it(relay::Surroundings around, ipc::Deliver order, ipc::Outcome& outcome,
                      bool& done) {
    auto identity = std::make_shared<relay::Identity>();
    identity->hostname = "gw.example";
    outcome = co_await relay::deliver(around, std::move(identity), std::move(order));
    done = true;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 2)
        return 0;
    const Choice choice(data);
    SimulatedTime time;
    Peers peers(time, choice, fuzz::text_of(data + 2, size - 2));
    relay::Destinations destinations(time, relay::Destinations::Limits());
    relay::SlowAddresses slow;
    relay::TlsRecord tls;
    const relay::Random random = [](uint64_t bound) { return bound - 1; };
    ipc::Outcome outcome;
    bool done = false;
    TaskGroup tasks;
    tasks.spawn(
        deliver_it({peers, destinations, slow, tls, random}, make_order(choice), outcome, done));
    time.run();
    // Beyond the walk's limit no connection is made; what was begun has a stage or two left.
    while (!done && time.elapsed() < relay::walk_limit + 3 * relay::stage_limit)
        if (!time.advance_to_next_timer())
            break;
    expect(done, "a delivery ends");
    check_outcome(outcome, choice);
    expect(peers.connections() <= 200, "after a bounded number of connections");
    return 0;
}
