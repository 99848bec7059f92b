// What an alias or a .forward puts in a recipient's place: an address, or something that only
// `local` can deliver to.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>

namespace postern::ipc {

enum class TargetKind : uint8_t { address, mailbox, command, file, user };
constexpr TargetKind last_enumerator(TargetKind) { return TargetKind::user; }

struct Target {
    TargetKind kind = TargetKind::address;
    // address: a forward-path in wire form; mailbox: a system user, who is not expanded any
    // further; command: for /bin/sh -c; file: an absolute path, appended to as mbox; user: a name
    // that aliases are done with, whose .forward counts (deliverers see the user in the route).
    std::string text;
    // command, file: on whose behalf, the owner of the .forward; empty: that of an alias table.
    std::string user;

    bool operator==(const Target&) const = default;
    static constexpr auto fields(auto& m) { return std::tie(m.kind, m.text, m.user); }
};

// A target that is no address, of one of an envelope's recipients. Rules are applied to the
// recipient's address, as ever, and the target says what is delivered to.
struct RecipientTarget {
    uint32_t index = 0; // in Envelope::recipients
    Target target;
    static constexpr auto fields(auto& m) { return std::tie(m.index, m.target); }
};

// One of those whom lookup has put in a recipient's place.
struct ExpandedRecipient {
    std::string recipient;        // forward-path in wire form without brackets
    std::optional<Target> target; // none: that address; else of another kind
    std::string owner;            // reverse-path from here on (RFC 5321 3.9.2); empty: as it was
    bool operator==(const ExpandedRecipient&) const = default;
    static constexpr auto fields(auto& m) { return std::tie(m.recipient, m.target, m.owner); }
};

} // namespace postern::ipc
