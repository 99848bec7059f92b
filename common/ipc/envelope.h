// What is known of a transaction besides its content. It is stored with the message, because
// routing is worked out anew at every attempt and the rules may ask for any of it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "common/base/ip_address.h"
#include "common/ipc/target.h"
#include "common/smtp/parameters.h"

namespace postern::ipc {

// Where a transaction came from, as far as `match` rules can ask.
struct Origin {
    IpAddress client; // version 0: not from the network
    // From ourselves: a delivery status notification, or mail to those whom an alias or a .forward
    // put in a recipient's place.
    bool internal = false;
    bool tls = false;           // the session was encrypted
    std::string reverse_name;   // confirmed by a forward lookup; empty: none
    std::string helo;           // as the client said it
    std::string tag;            // of the listener
    std::string authenticated;  // user name; empty: not authenticated
    std::string local_hostname; // what the listener called itself

    static constexpr auto fields(auto& m) {
        return std::tie(m.client, m.internal, m.tls, m.reverse_name, m.helo, m.tag, m.authenticated,
                        m.local_hostname);
    }
};

// Recipients for whom nothing was said have none.
struct RecipientOptions {
    uint32_t index = 0; // in Envelope::recipients
    RecipientParameters parameters;
    static constexpr auto fields(auto& m) { return std::tie(m.index, m.parameters); }
};

struct Envelope {
    Origin origin;
    std::string reverse_path;            // in wire form without brackets; empty: the null path
    std::vector<std::string> recipients; // forward-paths in wire form without brackets
    MailParameters parameters;
    std::vector<RecipientOptions> options; // by index
    std::vector<RecipientTarget> targets;  // by index, of those that are not addresses
    int64_t accepted_at = 0;               // seconds since the epoch
    int64_t release_at = 0; // not to be delivered before (RFC 4865); seconds since the epoch

    // What was said of this recipient.
    const RecipientParameters& parameters_of(uint32_t index) const {
        static const RecipientParameters none;
        const auto found = std::lower_bound(
            options.begin(), options.end(), index,
            [](const RecipientOptions& one, uint32_t wanted) { return one.index < wanted; });
        return found != options.end() && found->index == index ? found->parameters : none;
    }

    // What is delivered to in this recipient's place; null: the address itself.
    const Target* target_of(uint32_t index) const {
        const auto found = std::lower_bound(
            targets.begin(), targets.end(), index,
            [](const RecipientTarget& one, uint32_t wanted) { return one.index < wanted; });
        return found != targets.end() && found->index == index ? &found->target : nullptr;
    }

    static constexpr auto fields(auto& m) {
        return std::tie(m.origin, m.reverse_path, m.recipients, m.parameters, m.options, m.targets,
                        m.accepted_at, m.release_at);
    }
};

// What the content is like, found out while it was received, so that nobody has to scan it again.
struct ContentTraits {
    bool eight_bit = false;   // a byte over 127 occurs
    bool leading_dot = false; // a line begins with '.', so sending it needs dot-stuffing
    uint32_t header_length =
        0; // up to and with the empty line; the whole length where there is none

    static constexpr auto fields(auto& m) {
        return std::tie(m.eight_bit, m.leading_dot, m.header_length);
    }
};

} // namespace postern::ipc
