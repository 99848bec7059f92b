#include "queue/expansion.h"

#include <algorithm>
#include <map>

#include "common/base/utf8.h"
#include "common/smtp/address.h"
#include "common/smtp/utf8_address.h"

namespace postern {

namespace {

constexpr size_t path_limit = 1024;   // octets; as intake has it
constexpr size_t target_limit = 4096; // the same of a command or a file

bool is_path(const std::string& path) {
    return path.size() <= path_limit && std::none_of(path.begin(), path.end(), [](char c) {
               return c == '\r' || c == '\n' || c == '\0';
           });
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

class Children {
  public:
    Children(uint64_t id, const StoredMessage& original, const std::string& forwarded_for)
        : original_(original) {
        Descent descent = original.descent.value_or(Descent());
        descent.parent = id;
        ++descent.generation;
        if (!forwarded_for.empty())
            descent.ancestors.push_back(forwarded_for);
        model_.descent = std::move(descent);
        model_.traits = original.traits;
        model_.envelope.origin = original.envelope.origin;
        model_.envelope.origin.internal = true;
        model_.envelope.reverse_path = original.envelope.reverse_path;
        model_.envelope.parameters = original.envelope.parameters;
        model_.envelope.accepted_at = original.envelope.accepted_at;
    }

    void add(const ExpandedFrom& from, const ipc::ExpandedRecipient& one) {
        ipc::Envelope& envelope = child_for(one.owner).envelope;
        const auto index = static_cast<uint32_t>(envelope.recipients.size());
        envelope.recipients.push_back(one.recipient);
        if (!is_ascii(one.recipient))
            envelope.parameters.smtp_utf8 = true;
        const Expanded kind = one.owner.empty() ? kind_of(from) : Expanded::delivered;
        RecipientParameters parameters = passed_on(original_.envelope, from.index, kind);
        if (!parameters.empty())
            envelope.options.push_back({index, std::move(parameters)});
        if (one.target)
            envelope.targets.push_back({index, *one.target});
    }

    std::vector<StoredMessage> take() { return std::move(children_); }

  private:
    StoredMessage& child_for(const std::string& owner) {
        const auto [place, is_new] = open_.try_emplace(owner, children_.size());
        if (is_new || children_[place->second].envelope.recipients.size() >= recipients_per_child) {
            place->second = children_.size();
            children_.push_back(model_);
            if (!owner.empty())
                leave_to_owner(children_.back().envelope, owner);
        }
        return children_[place->second];
    }

    const StoredMessage& original_;
    StoredMessage model_;                // without recipients
    std::map<std::string, size_t> open_; // owner → the child of it that has room
    std::vector<StoredMessage> children_;
};

} // namespace

Expanded kind_of(const ExpandedFrom& one) {
    const auto has_owner = [](const ipc::ExpandedRecipient& other) { return !other.owner.empty(); };
    if (std::any_of(one.recipients.begin(), one.recipients.end(), has_owner))
        return Expanded::delivered;
    return one.recipients.size() == 1 ? Expanded::passed_on : Expanded::expanded;
}

std::vector<StoredMessage> make_children(uint64_t id, const StoredMessage& original,
                                         const std::vector<ExpandedFrom>& expanded,
                                         const std::string& forwarded_for) {
    Children children(id, original, forwarded_for);
    for (const ExpandedFrom& from : expanded)
        for (const ipc::ExpandedRecipient& one : from.recipients)
            children.add(from, one);
    return children.take();
}

bool leads_back(const StoredMessage& message, const std::string& forwarded_for) {
    if (!message.descent)
        return false;
    const std::vector<std::string>& ancestors = message.descent->ancestors;
    return message.descent->generation >= generation_limit ||
           (!forwarded_for.empty() &&
            std::find(ancestors.begin(), ancestors.end(), forwarded_for) != ancestors.end());
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
    if (target.text.empty() || target.text.size() > target_limit ||
        target.user.size() > path_limit || target.text.find('\0') != std::string::npos)
        return false;
    return target.kind != ipc::TargetKind::address ||
           parse_forward_path("<" + target.text + ">", nullptr, Internationalized::accepted);
}

} // namespace postern
