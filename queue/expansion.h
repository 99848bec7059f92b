// What becomes of a recipient in whose place others are: new messages with the same content, to
// them. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/ipc/routing.h"
#include "queue/records.h"

namespace postern {

// Recipients of one new message: what every server of ours takes (RFC 5321 4.5.3.1.8 has 100).
inline constexpr size_t recipients_per_child = 1000;
// Expansions behind expansions, through messages; beyond it is a loop. Aliases within one answer of
// lookup count as one.
inline constexpr uint32_t generation_limit = 20;

// One recipient, and who is in its place.
struct ExpandedFrom {
    uint32_t index = 0; // among the message's recipients
    std::vector<ipc::ExpandedRecipient> recipients;
};

// How the sender's wish to hear of success is met (RFC 3461 5.2.7): an address with one other in
// its place passes it on; one with several has been expanded; a list, which has an owner, is where
// the mail was delivered to.
enum class Expanded : uint8_t { passed_on, expanded, delivered };
Expanded kind_of(const ExpandedFrom& one);

// The messages to all of these, without causes. `forwarded_for`: the user whose .forward it was;
// empty: it was not one.
std::vector<StoredMessage> make_children(uint64_t id, const StoredMessage& original,
                                         const std::vector<ExpandedFrom>& expanded,
                                         const std::string& forwarded_for);

// Whether a .forward of this user, or any expansion, would be one too many for this message: it has
// come from there.
bool leads_back(const StoredMessage& message, const std::string& forwarded_for);

// Those whom a .forward names, for the recipient with this address.
std::vector<ipc::ExpandedRecipient> expanded_of(const std::vector<ipc::Target>& targets,
                                                const std::string& recipient);

// What lookup and a deliverer may say at most.
bool is_sane(const ipc::ExpandedRecipient& one);
bool is_sane(const ipc::Target& target);

} // namespace postern
