#include "queue/expansion.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "common/base/utf8.h"
#include "common/smtp/address.h"
#include "common/smtp/utf8_address.h"

namespace postern {

namespace {

constexpr size_t path_limit = 1024;   // octets; as intake has it
constexpr size_t target_limit = 4096; // the same of a command or a file
constexpr size_t user_limit = 256;    // the same of a user's name
constexpr size_t child_size = 1 << 20; // of the recipients of one message: it has to fit a segment

bool is_path(const std::string& path) {
    return path.size() <= path_limit && std::none_of(path.begin(), path.end(), [](char c) {
               return c == '\r' || c == '\n' || c == '\0';
           });
}

size_t size_of(const ipc::ExpandedRecipient& one) {
    constexpr size_t parameters = 600; // what is passed on of them
    return one.recipient.size() + parameters +
           (one.target ? one.target->text.size() + one.target->user.size() : 0);
}

// ORCPT for an address (RFC 3461 4.2, RFC 6533 3).
std::string original_recipient_of(const std::string& address) {
    if (!is_ascii(address))
        return "utf-8;" + to_utf8_addr_xtext(address);
    static constexpr char hex[] = "0123456789ABCDEF";
    std::string text = "rfc822;";
    for (char c : address) {
        if (c > ' ' && c <= '~' && c != '+' && c != '=')
            text += c;
        else
            (text += '+') += {hex[(c >> 4) & 15], hex[c & 15]};
    }
    return text;
}

// What is left of the sender's wishes for those in the recipient's place.
RecipientParameters passed_on(const ipc::Envelope& envelope, uint32_t index, Expanded kind) {
    if (kind == Expanded::delivered) // RFC 3461 5.2.7.1
        return {};
    RecipientParameters parameters = envelope.parameters_of(index);
    if (parameters.original_recipient.empty()) {
        parameters.original_recipient = original_recipient_of(envelope.recipients[index]);
        if (!is_valid(parameters))
            parameters.original_recipient.clear();
    }
    if (kind == Expanded::expanded && parameters.wants_success()) { // 5.2.7.3
        parameters.notify &= static_cast<Notify>(~notify::success);
        if (parameters.notify == notify::unspecified)
            parameters.notify = notify::never;
    }
    return parameters;
}

// Those who are told of failures are others: what the sender wanted to know is not passed on.
void leave_to_owner(ipc::Envelope& envelope, const std::string& owner) {
    envelope.reverse_path = owner;
    envelope.parameters.envelope_id.clear();
    envelope.parameters.returned = Returned::unspecified;
    envelope.parameters.deliver_by.reset();
}

// Those who have so much of it, or more, share messages: it is enough for whatever is no loop.
constexpr uint32_t large_budget = 1000;

// How many others each of those in a recipient's place may come to stand for.
uint32_t budget_of(const StoredMessage& original, size_t others) {
    const uint32_t budget = original.descent ? original.descent->budget : expansion_budget;
    if (others <= 1) // only generations end that
        return budget;
    return static_cast<uint32_t>(others > budget ? 0 : (budget - others) / others);
}

// A message without recipients to those in the place of others.
StoredMessage without_recipients(uint64_t id, const StoredMessage& original,
                                 const std::string& forwarded_for) {
    StoredMessage child;
    child.descent = original.descent.value_or(Descent());
    if (!original.descent)
        child.descent->root = id;
    child.descent->parent = id;
    ++child.descent->generation;
    if (!forwarded_for.empty())
        child.descent->ancestors.push_back(forwarded_for);
    child.traits = original.traits;
    child.envelope.origin = original.envelope.origin;
    child.envelope.origin.internal = true;
    child.envelope.reverse_path = original.envelope.reverse_path;
    child.envelope.parameters = original.envelope.parameters;
    child.envelope.accepted_at = original.envelope.accepted_at;
    child.envelope.release_at = original.envelope.release_at; // its time counts from then
    return child;
}

Expanded kind_of(const ExpandedFrom& from, const ipc::ExpandedRecipient& one) {
    if (!one.owner.empty())
        return Expanded::delivered;
    return from.recipients.size() == 1 ? Expanded::passed_on : Expanded::expanded;
}

void add_recipient(const ipc::Envelope& original, const ExpandedFrom& from,
                   const ipc::ExpandedRecipient& one, ipc::Envelope& envelope) {
    const auto index = static_cast<uint32_t>(envelope.recipients.size());
    envelope.recipients.push_back(one.recipient);
    if (!is_ascii(one.recipient))
        envelope.parameters.smtp_utf8 = true;
    RecipientParameters parameters = passed_on(original, from.index, kind_of(from, one));
    if (!parameters.empty())
        envelope.options.push_back({index, std::move(parameters)});
    if (one.target)
        envelope.targets.push_back({index, *one.target});
}

} // namespace

Expanded kind_of(const ExpandedFrom& one) {
    const auto has_owner = [](const ipc::ExpandedRecipient& other) { return !other.owner.empty(); };
    if (std::all_of(one.recipients.begin(), one.recipients.end(), has_owner))
        return Expanded::delivered;
    return one.recipients.size() == 1 ? Expanded::passed_on : Expanded::expanded;
}

std::vector<std::vector<ExpandedMember>> plan_children(const StoredMessage& original,
                                                       const std::vector<ExpandedFrom>& expanded,
                                                       const std::string& forwarded_for) {
    std::vector<std::vector<ExpandedMember>> children;
    std::vector<size_t> sizes; // of each, octets
    std::map<std::tuple<std::string_view, uint32_t, bool>, size_t> open; // the one that has room
    for (uint32_t from = 0; from < expanded.size(); ++from) {
        const std::vector<ipc::ExpandedRecipient>& recipients = expanded[from].recipients;
        const uint32_t budget = std::min(budget_of(original, recipients.size()), large_budget);
        for (uint32_t member = 0; member < recipients.size(); ++member) {
            const bool is_traced = !forwarded_for.empty() && !recipients[member].target;
            const auto [place, is_new] =
                open.try_emplace({recipients[member].owner, budget, is_traced}, children.size());
            const size_t size = size_of(recipients[member]);
            if (is_new || children[place->second].size() >= recipients_per_child ||
                sizes[place->second] + size > child_size) {
                place->second = children.size();
                children.emplace_back();
                sizes.push_back(0);
            }
            children[place->second].push_back({from, member});
            sizes[place->second] += size;
        }
    }
    return children;
}

StoredMessage make_child(uint64_t id, const StoredMessage& original,
                         const std::vector<ExpandedFrom>& expanded,
                         const std::vector<ExpandedMember>& members,
                         const std::string& forwarded_for) {
    StoredMessage child = without_recipients(id, original, forwarded_for);
    uint32_t& budget = child.descent->budget = expansion_budget;
    for (const ExpandedMember& one : members) {
        const ExpandedFrom& from = expanded[one.from];
        add_recipient(original.envelope, from, from.recipients[one.member], child.envelope);
        budget = std::min(budget, budget_of(original, from.recipients.size()));
    }
    const ExpandedFrom& first = expanded[members.front().from];
    const std::string trace = trace_of(original, expanded, members, forwarded_for);
    child.traits.header_length += static_cast<uint32_t>(trace.size());
    child.traits.eight_bit |= !is_ascii(trace);
    if (const std::string& owner = first.recipients[members.front().member].owner; !owner.empty())
        leave_to_owner(child.envelope, owner);
    return child;
}

std::string leads_back(const StoredMessage& message, size_t others,
                       const std::string& forwarded_for) {
    const Descent descent = message.descent.value_or(Descent());
    const std::vector<std::string>& ancestors = descent.ancestors;
    if (!forwarded_for.empty() &&
        std::find(ancestors.begin(), ancestors.end(), forwarded_for) != ancestors.end())
        return "it was forwarded for " + forwarded_for + " before: this leads back";
    if (descent.generation >= generation_limit)
        return "forwarded too often: it leads back";
    if (message.descent && others > 1 && others > descent.budget)
        return "too many recipients have come from one already";
    return {};
}

bool came_back_to(const StoredMessage& message, const std::string& user) {
    return !user.empty() && message.descent && !message.descent->ancestors.empty() &&
           message.descent->ancestors.back() == user;
}

std::string trace_of(const StoredMessage& original, const std::vector<ExpandedFrom>& expanded,
                     const std::vector<ExpandedMember>& members, const std::string& forwarded_for) {
    const ExpandedFrom& from = expanded[members.front().from];
    if (forwarded_for.empty() || from.recipients[members.front().member].target)
        return {};
    return "Delivered-To: " + original.envelope.recipients[from.index] + "\r\n";
}

std::vector<ipc::ExpandedRecipient> expanded_of(const std::vector<ipc::Target>& targets,
                                                const std::string& recipient) {
    std::vector<ipc::ExpandedRecipient> recipients;
    for (const ipc::Target& target : targets) {
        ipc::ExpandedRecipient& one = recipients.emplace_back();
        one.recipient = target.kind == ipc::TargetKind::address ? target.text : recipient;
        if (target.kind != ipc::TargetKind::address)
            one.target = target;
    }
    return recipients;
}

bool is_sane(const ipc::ExpandedRecipient& one) {
    return !one.recipient.empty() && is_path(one.recipient) && is_path(one.owner) &&
           (!one.target || (one.target->kind != ipc::TargetKind::address && is_sane(*one.target)));
}

bool is_sane(const ipc::Target& target) {
    const bool is_user =
        target.kind == ipc::TargetKind::user || target.kind == ipc::TargetKind::mailbox;
    if (target.text.empty() || target.text.size() > (is_user ? user_limit : target_limit) ||
        target.user.size() > user_limit || target.text.find('\0') != std::string::npos)
        return false;
    return target.kind != ipc::TargetKind::address ||
           parse_forward_path("<" + target.text + ">", nullptr, Internationalized::accepted);
}

} // namespace postern
