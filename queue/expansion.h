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
// Those who may come to be in one recipient's place in all: where several are in one's place, they
// share what is left of it. Without it lists and .forwards that name each other would grow without
// measure before they are found to be loops.
inline constexpr uint32_t expansion_budget = 50'000;

// One recipient, and who is in its place.
struct ExpandedFrom {
    uint32_t index = 0; // among the message's recipients
    std::vector<ipc::ExpandedRecipient> recipients;
};

// How the sender's wish to hear of success is met (RFC 3461 5.2.7): an address with one other in
// its place passes it on; one with several has been expanded; a list, all of whose members have an
// owner, is where the mail was delivered to.
enum class Expanded : uint8_t { passed_on, expanded, delivered };
Expanded kind_of(const ExpandedFrom& one);

// One of those in a recipient's place: positions in a std::vector<ExpandedFrom>, and in that one's
// `recipients`.
struct ExpandedMember {
    uint32_t from = 0;
    uint32_t member = 0;
};
// How all of these are shared out among new messages, of which each has one owner and one budget,
// and one trace_of().
std::vector<std::vector<ExpandedMember>> plan_children(const StoredMessage& original,
                                                       const std::vector<ExpandedFrom>& expanded,
                                                       const std::string& forwarded_for = {});
// The message to some of them, without a cause. `forwarded_for`: the user whose .forward it was;
// empty: it was not one.
StoredMessage make_child(uint64_t id, const StoredMessage& original,
                         const std::vector<ExpandedFrom>& expanded,
                         const std::vector<ExpandedMember>& members,
                         const std::string& forwarded_for);

// Why so many others, by a .forward of this user or (empty) by lookup, would be too many for this
// message: it has come from there. Empty: they are not.
std::string leads_back(const StoredMessage& message, size_t others,
                       const std::string& forwarded_for);

// Whether the message has come from a .forward of this user, and nobody else's since: he is one of
// those whom it names, and to have it in his mailbox.
bool came_back_to(const StoredMessage& message, const std::string& user);

// What the content gets in front that is to go to these of them: it has been with this recipient,
// whose .forward it was, and where it is forwarded back from elsewhere he knows it by that
// (Delivered-To). Empty: nothing; it is not for other addresses.
std::string trace_of(const StoredMessage& original, const std::vector<ExpandedFrom>& expanded,
                     const std::vector<ExpandedMember>& members, const std::string& forwarded_for);

// Those whom a .forward names, for the recipient with this address.
std::vector<ipc::ExpandedRecipient> expanded_of(const std::vector<ipc::Target>& targets,
                                                const std::string& recipient);

// What lookup and a deliverer may say at most.
bool is_sane(const ipc::ExpandedRecipient& one);
bool is_sane(const ipc::Target& target);

} // namespace postern
