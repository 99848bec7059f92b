// The slice of the configuration that a listener needs.
#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "common/base/ip_address.h"
#include "common/config/configuration.h"
#include "common/ipc/codec.h"
#include "common/ipc/named_certificates.h"
#include "common/smtp/sasl.h"

namespace postern::ipc {

// One bound address, or path. Its listening socket is the descriptor at the same place in
// Configure::files.
struct ListenAddress {
    Endpoint endpoint; // of no address with a path
    UnixSocket unix_socket;
    std::string hostname; // in the greeting and in Received:
    std::string tag;
    TlsOptions tls;
    AuthOptions auth{};
    ExtensionOptions extensions{};
    ProxyProtocol proxy = ProxyProtocol::none;
    std::vector<Network> proxies{}; // trusted to say who the client is, besides loopback addresses
    std::vector<SaslMechanism> mechanisms{}; // that EHLO names, in this order
    bool lmtp = false;                       // RFC 2033
    bool vrfy = false;                       // it says whether there is a mailbox
    std::vector<Network> xclient_from{};     // trusted to say XCLIENT
    std::vector<Network> normalise_from{};   // their bare CR and LF become CRLF
    std::vector<std::string> etrn{};         // patterns of the domains that ETRN is for

    bool is_local_socket() const { return !unix_socket.path.empty(); }
    std::string where() const { // for the log
        return is_local_socket() ? unix_socket.path : endpoint.to_string();
    }
    static constexpr auto fields(auto& m) {
        return std::tie(m.endpoint, m.unix_socket, m.hostname, m.tag, m.tls, m.auth, m.extensions,
                        m.proxy, m.proxies, m.mechanisms, m.lmtp, m.vrfy, m.xclient_from,
                        m.normalise_from, m.etrn);
    }
};

// Limits of clients, counted by each listener process.
struct ClientPolicy {
    ClientRates per_address;
    ClientRates per_network;
    ClientRates in_all;
    std::vector<Network> exempt; // besides loopback addresses
    static constexpr auto fields(auto& m) {
        return std::tie(m.per_address, m.per_network, m.in_all, m.exempt);
    }
};

struct ListenerSettings {
    std::vector<ListenAddress> addresses;
    std::vector<NamedCertificates> pkis;
    std::vector<NamedCertificates> authorities;
    uint32_t max_message_size = 0; // bytes
    uint32_t max_recipients = 0;   // per transaction
    uint32_t max_mails = 0;        // transactions per session
    uint32_t max_sessions = 0;     // at once, in this process
    uint32_t max_errors = 0;       // bad commands in a session, then 421
    uint32_t max_received_hops = 0;
    uint32_t max_commands = 0; // in a session, then 421; 0: no limit
    uint64_t max_bytes = 0;    // from the client of a session, then 421; 0: no limit
    uint64_t max_memory = 0;   // bytes that the sessions of this process hold; 0: no limit
    int64_t max_hold = 0;      // seconds that a message may be held for later; 0: not at all
    ClientPolicy clients;
    static constexpr auto fields(auto& m) {
        return std::tie(m.addresses, m.pkis, m.authorities, m.max_message_size, m.max_recipients,
                        m.max_mails, m.max_sessions, m.max_errors, m.max_received_hops,
                        m.max_commands, m.max_bytes, m.max_memory, m.max_hold, m.clients);
    }
};

} // namespace postern::ipc
