// What a proxy says about the connection, before anything else (smtpd.conf(5), `listen on …
// proxy`).
#include "common/base/log.h"
#include "common/mail/message_id.h"
#include "common/smtp/proxy_header.h"
#include "smtpd/listener/session.h"

namespace postern::listener {

namespace {

const char* describe(ProxyStatus status, StreamStatus input) {
    if (status == ProxyStatus::bad)
        return "bad header";
    if (status == ProxyStatus::unknown)
        return "it does not say who the client is";
    return to_string(input);
}

} // namespace

// From here on the client is the one behind the proxy. False: it is not known who that is, and the
// connection is over.
Task<bool> Session::learn_client() {
    const bool only_v2 = address().proxy == ProxyProtocol::only_v2;
    const TimePoint end = executor().now() + patience::proxy;
    ProxyHeader header = parse_proxy_header(stream_->input(), only_v2);
    StreamStatus input = StreamStatus::ok;
    while (header.status == ProxyStatus::incomplete) {
        input = co_await stream_->read_more(end - executor().now());
        if (input != StreamStatus::ok)
            break;
        header = parse_proxy_header(stream_->input(), only_v2);
    }
    if (header.status != ProxyStatus::client && header.status != ProxyStatus::own) {
        ++services_.counters.refused_proxy;
        log::warning("bad PROXY header", {{"session", to_string(MessageId{id()})},
                                          {"client", connection_.client.to_string()},
                                          {"reason", describe(header.status, input)}});
        gone_ = true;
        co_return false;
    }
    stream_->consume(header.length);
    if (header.status == ProxyStatus::client) {
        log::debug("proxied", {{"session", to_string(MessageId{id()})},
                               {"proxy", connection_.client.to_string()},
                               {"client", header.client.to_string()}});
        connection_.client = header.client;
    }
    connection_.spoke_early = !stream_->input().empty();
    co_return true;
}

} // namespace postern::listener
