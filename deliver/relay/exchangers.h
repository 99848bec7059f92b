// Whom to give mail to: from DNS answers to the list of addresses to try, in order (RFC 5321 5.1).
//
// Pure: the answers, our own addresses and the randomness are passed in. Whatever the DNS says, the
// lists are bounded.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/ipc/resolution.h"
#include "deliver/relay/diagnosis.h"

namespace postern::relay {

// Hosts of one destination whose addresses are asked for, and addresses tried of one host and in
// all (RFC 5321 5.1 lets a client limit them, and wants two at least).
inline constexpr size_t hosts_limit = 16;
inline constexpr size_t addresses_per_host_limit = 6;
inline constexpr size_t addresses_limit = 24;

inline constexpr uint16_t smtp_port = 25;

// One address to try.
struct Exchanger {
    std::string host; // its name; empty: the destination was given by address
    Endpoint endpoint;
    // For DANE (RFC 7672 2.2): DNSSEC vouches for the name being an exchanger's, and for the
    // address, and where CNAMEs led from the name to it; empty: there were none.
    bool secure_name = false;
    bool secure_address = false;
    std::string canonical{};
    auto operator<=>(const Exchanger&) const = default;
};
// "mx1.example[192.0.2.1]:25", "[2001:db8::1]:25".
std::string to_string(const Exchanger& exchanger);

// Ourselves, so that mail is not sent in a circle.
struct Ourselves {
    std::vector<Endpoint> endpoints; // of our listeners
    std::vector<std::string> names;
    // What an unspecified address among `endpoints` stands for, besides the loopback networks.
    std::vector<IpAddress> machine_addresses;

    bool has_name(const std::string& host) const;
    bool has_endpoint(const Endpoint& endpoint) const;
};

// A number from 0 to `bound` - 1, each as likely as the others.
using Random = std::function<uint64_t(uint64_t bound)>;

struct Host {
    uint16_t preference = 0;
    std::string name;
    bool operator==(const Host&) const = default;
};

// Either hosts or a failure. Class 5 of the failure: the mail is to be returned; class 4: later.
struct RankedHosts {
    std::vector<Host> hosts;
    std::optional<Diagnosis> failure;
    std::vector<std::string> untried{}; // names beyond hosts_limit
};
struct ExchangerList {
    std::vector<Exchanger> exchangers;
    // Of mail exchangers, where DNSSEC vouches for them: the mail's, and what it is an alias of.
    std::vector<std::string> domains{};
    std::optional<Diagnosis> failure;
    // Names of hosts of which not all addresses are among `exchangers`: a limit left them out, or
    // the DNS did not answer.
    std::vector<std::string> untried{};
};

// The mail exchangers of `domain`, by preference, equal ones shuffled. Without MX records it is its
// own exchanger. A null MX (RFC 7505) is a failure, as are a domain that does not exist and one
// where we are the best exchanger ourselves. Of ourselves and from our preference on all are cut.
RankedHosts rank_mail_exchangers(const std::string& domain, const ipc::ResolveAnswer& mx,
                                 const Ourselves& ourselves, const Random& random);

struct HostAddresses {
    ipc::ResolveAnswer a;
    ipc::ResolveAnswer aaaa;
};

// The addresses of `hosts`, in that order; those of one host alternate between the families, so
// that one that leads nowhere does not hold up the other. `addresses` are those of the host of the
// same place. With `cut_loops` hosts are dropped from the first on that is ourselves by address,
// together with its equals in preference.
ExchangerList order_exchangers(const std::string& destination, const std::vector<Host>& hosts,
                               const std::vector<HostAddresses>& addresses, uint16_t port,
                               bool cut_loops, const Ourselves& ourselves);

// "[192.0.2.1]", "[IPv6:2001:db8::1]" as a recipient's domain (RFC 5321 4.1.3).
ExchangerList literal_exchanger(const std::string& literal, uint16_t port,
                                const Ourselves& ourselves);

// "localhost" and names below it are the loopback addresses, without asking (RFC 6761 6.3).
bool is_localhost(std::string_view name);
HostAddresses localhost_addresses();

} // namespace postern::relay
