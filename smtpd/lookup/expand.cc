#include "smtpd/lookup/expand.h"

#include <algorithm>

#include "common/mail/domain_set.h"
#include "common/smtp/internationalized.h"
#include "common/smtp/text.h"

namespace postern {

namespace {

constexpr char subaddress_delimiter = '+';
constexpr size_t problems_limit = 5;
constexpr const char* owner_prefix = "owner-";

bool is_relay(const Action& action) { return action.kind == ActionKind::relay; }

bool has_mailboxes(const Action& action) {
    return action.kind != ActionKind::expand_only && action.kind != ActionKind::forward_only;
}

const std::string& table_of(const Action& action) {
    return action.virtual_users.empty() ? action.aliases : action.virtual_users;
}

std::string without_tag(const std::string& name) {
    return name.substr(0, name.find(subaddress_delimiter));
}

// The name of a virtual list: that of the entry which was found, or of whoever a catch-all takes.
std::string list_name(const std::string& key, const std::string& name) {
    const std::string found = without_tag(key.substr(0, key.rfind('@')));
    return found.empty() ? without_tag(name) : found;
}

std::string address_key(const std::string& local_part, const std::string& domain) {
    return comparable_name(local_part) + '@' + canonical_domain(domain);
}

} // namespace

std::string alias_key(std::string_view text) {
    const size_t at = text.rfind('@');
    if (at == std::string_view::npos)
        return comparable_name(text);
    const std::string_view domain = text.substr(at + 1);
    return comparable_name(text.substr(0, at)) + '@' +
           (domain.empty() ? std::string() : canonical_domain(domain));
}

Expander::Expander(const ExpansionView& view, std::string default_domain, bool with_owner,
                   Wanted wanted)
    : view_(view), default_domain_(std::move(default_domain)), with_owner_(with_owner),
      wanted_(wanted) {}

Expansion Expander::expand(const Mailbox& recipient, const Action& action) {
    only_elsewhere_ = action.kind == ActionKind::forward_only;
    // <postmaster> is one of this server's (RFC 5321 4.1.1.3), and so are those behind it.
    const bool bare = recipient.domain().empty();
    enter(bare ? Mailbox(recipient.local_part(), default_domain_) : recipient, action, {});
    if (plain_ && !unknown_ && !stopped())
        return result_;
    if (temporary_ || unknown_) {
        result_.verdict = ipc::RouteVerdict::temporary;
    } else if (too_many_) {
        result_.verdict = ipc::RouteVerdict::temporary;
        result_.words = "452 4.5.3 Too many recipients behind this address";
    } else if (!result_.recipients.empty()) {
        result_.verdict = ipc::RouteVerdict::expanded;
    } else if (!refusal_.empty()) {
        result_.verdict =
            refusal_.front() == '4' ? ipc::RouteVerdict::temporary : ipc::RouteVerdict::refused;
        result_.words = refusal_;
    } else if (loop_) {
        result_.verdict = ipc::RouteVerdict::refused;
        result_.words = "550 5.4.6 This address leads back to itself";
    } else {
        result_.verdict = ipc::RouteVerdict::no_mailbox;
    }
    if (result_.verdict != ipc::RouteVerdict::expanded)
        result_.recipients.clear();
    return result_;
}

// The address is delivered by this local action: what is in its place, if anything.
void Expander::enter(const Mailbox& address, const Action& action, const std::string& owner) {
    const bool is_virtual = !action.virtual_users.empty();
    const Found found = find(action, address);
    if (!found.known || stopped())
        return;
    if (!found.value)
        return no_entry(address, action, owner);
    const std::string name = is_virtual ? comparable_name(address.local_part()) : found.key;
    const std::string id = is_virtual ? action.virtual_users + '\n' +
                                            address_key(address.local_part(), address.domain())
                                      : action.aliases + '\n' + found.key;
    Entry entry{address, action, name, owner, is_virtual};
    if (!path_.empty() && path_.back() == id) { // a name that names itself is his mailbox
        const std::string bare = without_tag(name);
        return put_user(entry, is_virtual && !bare.empty() ? bare : name, ipc::TargetKind::user);
    }
    if (std::find(path_.begin(), path_.end(), id) != path_.end() ||
        path_.size() >= expansion_depth) {
        loop_ = true;
        return problem(address.to_string() + " leads back to itself, or through more than " +
                       std::to_string(expansion_depth) + " aliases");
    }
    if (!done_.insert(id).second)
        return;
    const std::string listed = is_virtual ? list_name(found.key, name) : name;
    if (std::string own = owner_of(action, address, listed); !own.empty())
        entry.owner = std::move(own);
    path_.push_back(id);
    put_values(entry, *found.value);
    path_.pop_back();
}

// smtpd.conf(5): with its tag before without, the address before the user before the domain.
Expander::Found Expander::find(const Action& action, const Mailbox& address) {
    const std::string name = comparable_name(address.local_part());
    const std::string domain = canonical_domain(address.domain());
    const std::string bare = without_tag(name);
    const bool tagged = bare != name && !bare.empty();
    std::vector<std::string> keys;
    if (name.find('@') != std::string::npos) {
        // A local part in quotes: alone it would be taken for somebody else's whole address.
    } else if (!action.virtual_users.empty()) {
        keys.push_back(name + '@' + domain);
        if (tagged)
            keys.push_back(bare + '@' + domain);
        keys.push_back(name);
        if (tagged)
            keys.push_back(bare);
    } else if (!action.aliases.empty()) {
        keys.push_back(name);
        if (tagged)
            keys.push_back(bare);
    }
    // RFC 5321 4.5.1: postmaster is somebody, and not whoever takes what is for nobody.
    if (!action.virtual_users.empty() && !address.is_postmaster()) {
        keys.push_back('@' + domain);
        keys.push_back("@");
    }
    // All that have yet to be asked for are wanted at once.
    Found found;
    for (const std::string& key : keys) {
        Result<std::optional<std::string>> value = view_.find(table_of(action), key);
        if (value && *value && found.known)
            return {key, *std::move(value)};
        found.known = found.known && value;
    }
    unknown_ |= !found.known;
    return found;
}

std::optional<std::string> Expander::value_of(const std::string& table, const std::string& key) {
    Result<std::optional<std::string>> value = view_.find(table, key);
    unknown_ |= !value;
    return value ? *std::move(value) : std::nullopt;
}

// RFC 5321 3.9.2: whoever keeps a list hears of its members that cannot be reached.
std::string Expander::owner_of(const Action& action, const Mailbox& address,
                               const std::string& name) {
    if (!with_owner_ || name.starts_with(owner_prefix) || name.find('@') != name.npos)
        return {}; // in quotes, as in find()
    const std::string owner = owner_prefix + name;
    const bool is_virtual = !action.virtual_users.empty();
    const std::string& table = is_virtual ? action.virtual_users : action.aliases;
    const bool there = (is_virtual && value_of(table, address_key(owner, address.domain()))) ||
                       value_of(table, owner);
    return there ? Mailbox(owner, address.domain()).to_string() : std::string();
}

// A virtual domain has nobody but those in its table (and postmaster, RFC 5321 4.5.1).
void Expander::no_entry(const Mailbox& address, const Action& action, const std::string& owner) {
    const bool root = path_.empty(); // a recipient who is nobody is no mistake of an alias
    if (!action.virtual_users.empty() && !address.is_postmaster())
        return root ? void() : problem("there is no entry for " + address.to_string());
    const Entry entry{address, action, comparable_name(address.local_part()), owner,
                      !action.virtual_users.empty()};
    if (!has_mailboxes(action) || only_elsewhere_)
        return root ? void() : problem(address.to_string() + " is no alias");
    if (root) {
        plain_ = true;
        return;
    }
    if (unknown_)
        return; // it is all worked out again
    const ipc::RouteVerdict verdict = view_.find_mailbox(action, address.local_part());
    temporary_ |= verdict == ipc::RouteVerdict::temporary;
    if (verdict == ipc::RouteVerdict::accepted)
        add({address.to_string(), std::nullopt, owner});
    else
        problem("there is no mailbox for " + address.to_string());
}

void Expander::put_values(const Entry& entry, std::string_view text) {
    const Result<std::vector<AliasValue>> values = parse_alias_values(text);
    if (!values) {
        temporary_ |= view_.is_external(table_of(entry.action)); // nobody has checked it before
        return problem(entry.address.to_string() + ": " + values.error().message);
    }
    for (const AliasValue& value : *values)
        if (!stopped())
            put(entry, value);
}

void Expander::put(const Entry& entry, const AliasValue& value) {
    const bool of_this_host = value.kind == AliasKind::command || value.kind == AliasKind::file ||
                              value.kind == AliasKind::include;
    if (of_this_host && view_.is_external(table_of(entry.action))) {
        temporary_ = true; // the operator's mistake, not the sender's
        return problem(entry.address.to_string() +
                       ": commands, files and included files are for tables in files alone");
    }
    switch (value.kind) {
    case AliasKind::name:
        return put_name(entry, value.text);
    case AliasKind::mailbox:
        return put_user(entry, value.text, ipc::TargetKind::mailbox);
    case AliasKind::address:
        return put_address(entry, value.text);
    case AliasKind::command:
        return put_program(entry, ipc::TargetKind::command, value.text);
    case AliasKind::file:
        return put_program(entry, ipc::TargetKind::file, value.text);
    case AliasKind::include:
        return put_included(entry, value.text);
    case AliasKind::refusal:
        if (refusal_.empty())
            refusal_ = value.text;
        return;
    }
}

// In a table of virtual users a name is a system user; in one of aliases it may be another of them.
void Expander::put_name(const Entry& entry, const std::string& name) {
    if (entry.is_virtual)
        return put_user(entry, name, ipc::TargetKind::user);
    const Mailbox address(name, entry.address.domain());
    const Found found = find(entry.action, address);
    if (!found.known || stopped())
        return;
    if (found.value)
        return enter(address, entry.action, entry.owner);
    put_user(entry, name, ipc::TargetKind::user);
}

void Expander::put_address(const Entry& entry, const std::string& text) {
    const auto address = parse_mailbox(text, nullptr, Internationalized::accepted);
    const Action* action = address ? view_.action_of(*address) : nullptr;
    if (!action)
        return problem("no rule takes mail for " + text);
    if (is_relay(*action))
        return add({text, std::nullopt, entry.owner});
    enter(*address, *action, entry.owner);
}

void Expander::put_included(const Entry& entry, const std::string& path) {
    for (const std::string& text : view_.included(path)) {
        if (stopped())
            return;
        const Result<std::vector<AliasValue>> values = parse_alias_include(text);
        if (!values)
            continue; // not what was read when the configuration was
        for (const AliasValue& value : *values)
            put(entry, value);
    }
}

// Under his own address where the same rule takes it; else under that which led to him.
void Expander::put_user(const Entry& entry, const std::string& name, ipc::TargetKind kind) {
    if (name.empty())
        return problem(entry.address.to_string() + " names nobody");
    if (!has_mailboxes(entry.action) || only_elsewhere_)
        return problem("action " + entry.action.name + " delivers to no mailbox: " + name);
    const ipc::RouteVerdict verdict = view_.find_mailbox(entry.action, name);
    temporary_ |= verdict == ipc::RouteVerdict::temporary;
    if (verdict != ipc::RouteVerdict::accepted)
        return problem(entry.address.to_string() + ": there is no user " + name);
    std::string recipient = entry.address.to_string();
    const auto own = parse_mailbox(Mailbox(name, entry.address.domain()).to_string(), nullptr,
                                   Internationalized::accepted);
    if (own && view_.action_of(*own) == &entry.action)
        recipient = own->to_string();
    ipc::Target target;
    target.kind = kind;
    target.text = name;
    add({std::move(recipient), std::move(target), entry.owner});
}

void Expander::put_program(const Entry& entry, ipc::TargetKind kind, const std::string& text) {
    if (only_elsewhere_ || entry.action.user.empty() || entry.action.user == "root")
        return problem("action " + entry.action.name + " runs no commands and writes no files");
    ipc::Target target;
    target.kind = kind;
    target.text = text;
    add({entry.address.to_string(), std::move(target), entry.owner});
}

void Expander::add(ipc::ExpandedRecipient recipient) {
    if (result_.recipients.size() >= ipc::expansion_limit) {
        too_many_ = true;
        return problem("more than " + std::to_string(ipc::expansion_limit) + " recipients");
    }
    std::string id = alias_key(recipient.recipient);
    if (recipient.target) // the user is the same under whatever address
        id = std::to_string(static_cast<int>(recipient.target->kind)) + '\n' +
             recipient.target->text;
    if (added_.insert(std::move(id)).second)
        result_.recipients.push_back(std::move(recipient));
}

void Expander::problem(std::string what) {
    if (result_.problems.size() < problems_limit)
        result_.problems.push_back(std::move(what));
}

} // namespace postern
