// From an address to a connection: straight, or through the route's proxy. That is one of SOCKS, or
// one that is told by a header of the PROXY protocol from where to connect to whom.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "common/ipc/routing.h"
#include "common/loop/task.h"
#include "deliver/relay/delivery.h"
#include "deliver/relay/diagnosis.h"
#include "deliver/relay/exchangers.h"

namespace postern::relay {

// The route's own address for connections to those of this IP version; null: it has none.
const ipc::SourceAddress* source_for(const ipc::Route& route, uint8_t version);

// How the route leads to a server, for what is remembered of it.
Way way_to(const ipc::Route& route, const Endpoint& server);

// Whether there can be connections to servers of this IP version.
bool leads_to(const ipc::Route& route, uint8_t version);

struct Passage {
    std::unique_ptr<Stream> stream; // where the server speaks next; null: `failure` says why not
    Diagnosis failure{};
    bool ours = false;         // the failure is not the server's
    bool proxy_failed = false; // nor is any other server to be reached
    bool timed_out = false;    // it is that there was no answer within the limit
    std::string proxy{};       // "proxy p.example[192.0.2.3]:1080"; empty: straight
    // Of one that does not say whether it has connected: how it is reached itself. Where nothing
    // comes nobody knows whether it is the server's silence.
    std::optional<Way> mute_proxy{};
    TimePoint since{}; // from when on the server was waited for, and no proxy
};

// What the proxy does not do is no fault of the server's. A proxy of the PROXY protocol does not
// say whether it has connected: where it has not, it closes the connection before the server's
// first word. `limit` is for connecting to the server: straight, or
// by SOCKS. The references must outlive the task.
Task<Passage> find_passage(Surroundings around, const ipc::Route& route, Exchanger exchanger,
                           Duration limit);
Task<Passage> find_unix_passage(Surroundings around, std::string path);

} // namespace postern::relay
