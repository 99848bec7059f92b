// See egress.h.
#include "deliver/relay/egress.h"

#include <algorithm>
#include <cerrno>

#include "common/smtp/proxy_header.h"
#include "deliver/relay/authentication.h"
#include "deliver/relay/next_hops.h"
#include "deliver/relay/socks.h"

namespace postern::relay {

namespace {

using Stage = SlowAddresses::Stage;

// For what a proxy says of itself, and is told.
constexpr std::chrono::seconds proxy_limit{60};

// Failures that are not the destination's.
bool is_our_trouble(int error) {
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM ||
           error == EADDRNOTAVAIL || error == EACCES || error == EPERM;
}

bool has_source_for(const ipc::Route& route, uint8_t version) {
    return route.sources.empty() || source_for(route, version);
}

std::optional<IpAddress> source_of(const ipc::Route& route, const Endpoint& peer) {
    const ipc::SourceAddress* source = source_for(route, peer.address.version);
    return source ? std::optional(source->address) : std::nullopt;
}

// Has others know of an address that does not answer while it is still waited for.
class Unanswered final : private Timer {
  public:
    Unanswered(Surroundings around, Way way)
        : slow_(around.slow), executor_(around.network.executor()), way_(std::move(way)),
          since_(executor_.now()) {
        slow_.try_again(way_, since_);
        arm(executor_, since_ + SlowAddresses::too_long);
    }
    void answered() {
        slow_.reach(way_, Stage::connection, executor_.now());
        disarm();
    }

  private:
    void expired() override { slow_.note(way_, Stage::connection, executor_.now(), since_); }

    SlowAddresses& slow_;
    Executor& executor_;
    const Way way_;
    const TimePoint since_;
};

// There is no connection to `where`.
void fail(Passage& passage, const std::string& where, const Error& error) {
    passage.ours = is_our_trouble(error.code);
    passage.failure = Diagnosis(passage.ours ? status::other_system.as(4) : status::no_answer,
                                sanitize(where + ": " + error.message, diagnosis_limit));
}

// The way through the route's proxy.
class ByProxy {
  public:
    ByProxy(Surroundings around, const ipc::Route& route, Exchanger exchanger, Duration limit)
        : around_(around), route_(route), proxy_(*route.proxy), exchanger_(std::move(exchanger)),
          limit_(limit) {
        passage_.since = now();
    }
    Task<void> run();
    Passage take() { return std::move(passage_); }

  private:
    Task<bool> find_credentials();
    Task<ExchangerList> find_proxy();
    Way way_to_proxy(const Endpoint& proxy) const;
    bool may_connect(const Endpoint& proxy) const;
    Task<void> pass(Exchanger proxy);
    Task<void> ask_socks(std::unique_ptr<Stream> stream, Unanswered& unanswered);
    Task<void> tell_by_header(std::unique_ptr<Stream> stream, Way proxy, Unanswered& unanswered);
    void fail_proxy(Diagnosis diagnosis);

    TimePoint now() const { return around_.network.executor().now(); }
    // A proxy of the other kind is told the address, and connected to from anywhere.
    bool binds_source() const { return proxy_.protocol == EgressProtocol::socks5; }

    Surroundings around_;
    const ipc::Route& route_;
    const EgressProxy& proxy_;
    const Exchanger exchanger_;
    const Duration limit_; // for what the proxy connects to
    std::optional<SaslCredentials> credentials_;
    Passage passage_;
};

void ByProxy::fail_proxy(Diagnosis diagnosis) {
    passage_.ours = passage_.proxy_failed = true;
    passage_.failure = std::move(diagnosis);
}

// Before anybody is bothered, or waited for. False: there are none, the reason is noted.
Task<bool> ByProxy::find_credentials() {
    if (proxy_.label.empty())
        co_return true;
    Result<SaslCredentials> found =
        co_await around_.network.credentials(route_.credentials, proxy_.label);
    if (!found) {
        fail_proxy(without_credentials(found.error()));
        co_return false;
    }
    credentials_ = *std::move(found);
    co_return true;
}

Task<ExchangerList> ByProxy::find_proxy() {
    ipc::Route to_proxy;
    to_proxy.host.emplace();
    to_proxy.host->host = proxy_.host;
    to_proxy.host->port = proxy_.port;
    const Ourselves nobody;
    co_return co_await find_exchangers(around_.network, to_proxy, nobody, around_.random);
}

Way ByProxy::way_to_proxy(const Endpoint& proxy) const {
    const auto source = binds_source() ? source_of(route_, proxy) : std::nullopt;
    return {proxy, source ? source->to_string() : ""};
}

// One that has kept somebody waiting is left alone for a while.
bool ByProxy::may_connect(const Endpoint& proxy) const {
    return (!binds_source() || has_source_for(route_, proxy.address.version)) &&
           !around_.slow.is_slow(way_to_proxy(proxy), now());
}

// By the first of the proxy's addresses that can be connected to.
Task<void> ByProxy::run() {
    if (!binds_source() && !source_of(route_, exchanger_.endpoint))
        co_return fail_proxy(
            Diagnosis(status::misconfigured.as(4),
                      "the proxy has to be told a source address, and there is none"));
    const bool known = co_await find_credentials();
    if (!known)
        co_return;
    ExchangerList list = co_await find_proxy();
    fail_proxy(Diagnosis(status::bad_connection,
                         list.failure ? "the proxy cannot be found: " + list.failure->text
                                      : "there is no way to the proxy, or none lately"));
    for (const Exchanger& proxy : list.exchangers) {
        if (!may_connect(proxy.endpoint))
            continue;
        const TimePoint started = now();
        co_await pass(proxy);
        if (!passage_.proxy_failed)
            co_return;
        if (now() - started >= SlowAddresses::too_long)
            around_.slow.note(way_to_proxy(proxy.endpoint), Stage::connection, now(), started);
    }
}

Task<void> ByProxy::pass(Exchanger proxy) {
    passage_.proxy = "proxy " + to_string(proxy);
    const std::optional<IpAddress> source =
        binds_source() ? source_of(route_, proxy.endpoint) : std::nullopt;
    Unanswered unanswered(around_, way_to_proxy(proxy.endpoint));
    Network::Connected stream =
        co_await around_.network.connect(proxy.endpoint, source, Network::connect_limit);
    passage_.since = now();
    if (!stream)
        co_return fail_proxy(
            Diagnosis(status::bad_connection,
                      sanitize(passage_.proxy + ": " + stream.error().message, diagnosis_limit)));
    if (proxy_.protocol == EgressProtocol::proxy_v2)
        co_await tell_by_header(std::move(*stream), way_to_proxy(proxy.endpoint), unanswered);
    else
        co_await ask_socks(std::move(*stream), unanswered);
}

Task<void> ByProxy::ask_socks(std::unique_ptr<Stream> stream, Unanswered& unanswered) {
    const Result<void> opened = co_await open_socks(*stream, credentials_, proxy_limit);
    if (!opened)
        co_return fail_proxy(
            Diagnosis(status::bad_connection, passage_.proxy + ": " + opened.error().message));
    unanswered.answered();
    passage_.since = now();
    Unanswered server_unanswered(around_, way_to(route_, exchanger_.endpoint));
    const Result<void> passed = co_await connect_by_socks(*stream, exchanger_.endpoint, limit_);
    passage_.ours = passage_.proxy_failed = false;
    if (passed) {
        server_unanswered.answered();
        passage_.stream = std::move(stream);
        co_return;
    }
    const Error& error = passed.error();
    const std::string text = passage_.proxy + ": " + error.message;
    if (error.code == 0) {
        // Some break off where a server cannot be reached: the next one may be.
        fail_proxy(Diagnosis(status::bad_connection, text));
        passage_.proxy_failed = false;
        co_return;
    }
    fail(passage_, to_string(exchanger_), Error{text, error.code});
    passage_.timed_out = now() - passage_.since >= limit_;
}

// It says nothing to this: whatever comes next is the server's. The header has left then: what
// follows may be a handshake, which does not go through the stream.
Task<void> ByProxy::tell_by_header(std::unique_ptr<Stream> stream, Way proxy,
                                   Unanswered& unanswered) {
    stream->write(proxy_header_v2(*source_of(route_, exchanger_.endpoint), exchanger_.endpoint));
    const StreamStatus sent = co_await stream->drain(proxy_limit);
    if (sent != StreamStatus::ok)
        co_return fail_proxy(
            Diagnosis(status::bad_connection, passage_.proxy + ": " + to_string(sent) +
                                                  " while it was told where to connect to"));
    unanswered.answered();
    around_.slow.try_again(way_to(route_, exchanger_.endpoint), now());
    passage_.ours = passage_.proxy_failed = false;
    passage_.mute_proxy = std::move(proxy);
    passage_.stream = std::move(stream);
}

Task<Passage> find_straight(Surroundings around, const ipc::Route& route, Exchanger exchanger,
                            Duration limit) {
    Passage passage;
    passage.since = around.network.executor().now();
    Unanswered unanswered(around, way_to(route, exchanger.endpoint));
    Network::Connected stream = co_await around.network.connect(
        exchanger.endpoint, source_of(route, exchanger.endpoint), limit);
    if (stream) {
        unanswered.answered();
        passage.stream = std::move(*stream);
        co_return passage;
    }
    fail(passage, to_string(exchanger), stream.error());
    passage.timed_out = stream.error().code == ETIMEDOUT;
    co_return passage;
}

} // namespace

const ipc::SourceAddress* source_for(const ipc::Route& route, uint8_t version) {
    const auto found = std::find_if(
        route.sources.begin(), route.sources.end(),
        [&](const ipc::SourceAddress& source) { return source.address.version == version; });
    return found == route.sources.end() ? nullptr : &*found;
}

Way way_to(const ipc::Route& route, const Endpoint& server) {
    const auto source = source_of(route, server);
    std::string from = source ? source->to_string() : "";
    if (route.proxy)
        from += " " + route.proxy->host + ":" + std::to_string(route.proxy->port);
    return {server, std::move(from)};
}

// What a SOCKS proxy connects from is its own affair.
bool leads_to(const ipc::Route& route, uint8_t version) {
    const bool by_socks = route.proxy && route.proxy->protocol == EgressProtocol::socks5;
    return by_socks || has_source_for(route, version);
}

Task<Passage> find_passage(Surroundings around, const ipc::Route& route, Exchanger exchanger,
                           Duration limit) {
    if (!route.proxy)
        co_return co_await find_straight(around, route, std::move(exchanger), limit);
    ByProxy way(around, route, std::move(exchanger), limit);
    co_await way.run();
    co_return way.take();
}

Task<Passage> find_unix_passage(Surroundings around, std::string path) {
    Passage passage;
    passage.since = around.network.executor().now();
    Network::Connected stream = co_await around.network.connect_unix(path);
    if (stream)
        passage.stream = std::move(*stream);
    else
        fail(passage, path, stream.error());
    co_return passage;
}

} // namespace postern::relay
