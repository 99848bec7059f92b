#include "common/base/public_address.h"

#include <algorithm>
#include <vector>

namespace postern {

namespace {

std::vector<Network> networks(std::initializer_list<const char*> texts) {
    std::vector<Network> parsed;
    for (const char* text : texts)
        parsed.push_back(*Network::parse(text));
    return parsed;
}

bool is_in(const std::vector<Network>& networks, const IpAddress& address) {
    return std::any_of(networks.begin(), networks.end(),
                       [&](const Network& network) { return network.contains(address); });
}

} // namespace

bool is_public(const IpAddress& address) {
    static const std::vector<Network> others = networks({
        "0.0.0.0/8", "127.0.0.0/8", "::/96",             // this host; ::1 too
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", // RFC 1918
        "100.64.0.0/10",                                 // RFC 6598
        "169.254.0.0/16", "fe80::/10",                   // the link
        "fc00::/7", "fec0::/10",                         // RFC 4193, RFC 3879
        "64:ff9b:1::/48",                                // RFC 8215
        "224.0.0.0/4", "240.0.0.0/4", "ff00::/8",        // groups, and nobody
    });
    static const Network nat64 = *Network::parse("64:ff9b::/96"); // RFC 6052
    static const Network six_to_four = *Network::parse("2002::/16");
    if (address.version == 6 && address.high == 0 && address.low >> 32 == 0xffff) // mapped
        return is_public({4, 0, address.low & 0xffffffff});
    if (address.version == 0 || is_in(others, address))
        return false;
    if (nat64.contains(address))
        return is_public({4, 0, address.low & 0xffffffff});
    if (six_to_four.contains(address))
        return is_public({4, 0, address.high >> 16 & 0xffffffff});
    return true;
}

} // namespace postern
