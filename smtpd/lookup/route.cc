#include "smtpd/lookup/route.h"

#include <algorithm>

#include "common/config/aliases.h"
#include "common/mail/domain.h"
#include "common/smtp/address.h"
#include "common/smtp/text.h"

namespace postern {

namespace {

constexpr size_t user_name_limit = 64;
constexpr char subaddress_delimiter = '+';

// A forward-path in wire form without brackets; `postmaster` alone is one too (RFC 5321 4.1.1.3).
std::optional<Mailbox> parse_recipient(const std::string& text) {
    return parse_forward_path("<" + text + ">", nullptr, Internationalized::accepted);
}

uint32_t whole_days(std::chrono::seconds time) {
    return static_cast<uint32_t>(time / std::chrono::hours(24));
}

ipc::Route make_route(const Action& action) {
    ipc::Route route;
    route.kind = action.kind;
    route.action = action.name;
    route.ttl = action.ttl;
    if (action.kind == ActionKind::lmtp) {
        route.host = action.host;
        route.helo = action.helo;
        route.lmtp_rcpt_to = action.lmtp_rcpt_to;
        route.user = action.user;
    }
    return route;
}

} // namespace

bool is_user_name(std::string_view name) {
    if (name.empty() || name.size() > user_name_limit || name.front() == '-' || name.front() == '.')
        return false;
    return std::all_of(name.begin(), name.end(), [](char c) {
        return is_ascii_letter(c) || is_ascii_digit(c) || c == '_' || c == '-' || c == '.';
    });
}

Result<Router> Router::prepare(const ipc::LookupSettings& settings, WallClock wall_clock) {
    Result<RuleSet> rules = RuleSet::prepare(settings.rules, settings.tables,
                                             {settings.local_names, settings.local_addresses});
    if (!rules)
        return rules.error();
    SenderRewriting srs({settings.srs.key, settings.srs.former}, settings.srs.domain,
                        whole_days(settings.srs.ttl));
    Router router(std::move(*rules), std::move(srs), std::move(wall_clock), settings.switch_user);
    for (const Action& action : settings.actions) {
        router.actions_.emplace(action.name, action);
        for (const std::string* table : {&action.aliases, &action.virtual_users})
            if (!table->empty() && !settings.tables.contains(*table))
                return Error{"action \"" + sanitize(action.name) + "\": there is no table \"" +
                             sanitize(*table) + "\""};
            else if (!table->empty())
                router.take_aliases(*table, settings.tables);
    }
    for (const MatchRule& rule : settings.rules)
        if (!rule.action.empty() && !router.actions_.contains(rule.action))
            return Error{"match rule in line " + std::to_string(rule.line) +
                         ": there is no action \"" + sanitize(rule.action) + "\""};
    router.default_domain_ =
        settings.local_names.empty() ? "localhost" : settings.local_names.front();
    Result<RelayRoutes> relays = RelayRoutes::prepare(settings);
    if (!relays)
        return relays.error();
    router.relays_ = *std::move(relays);
    return router;
}

void Router::take_aliases(const std::string& name, const std::map<std::string, Table>& tables) {
    if (tables.at(name).kind == TableKind::external)
        return; // it is asked when it is needed
    const auto [place, is_new] = aliases_.try_emplace(name);
    if (!is_new)
        return;
    for (const auto& [key, value] : tables.at(name).pairs) {
        place->second.emplace(alias_key(key), value);
        const auto values = parse_alias_values(value);
        if (!values)
            continue; // whoever read the configuration has refused it
        for (const AliasValue& one : *values) {
            const auto included = one.kind == AliasKind::include
                                      ? tables.find(config::include_table(one.text))
                                      : tables.end();
            if (included != tables.end())
                included_.emplace(one.text, included->second.values);
        }
    }
}

ipc::RouteAnswer Router::route(const ipc::RouteQuery& query, const UserExists& user_exists,
                               TableAnswers& answers, std::vector<std::string>* problems,
                               Wanted wanted) const {
    ipc::RouteAnswer answer;
    answer.request = query.request;
    std::optional<Mailbox> recipient = parse_recipient(query.recipient);
    std::optional<Mailbox> reverse_path =
        parse_reverse_path("<" + query.reverse_path + ">", nullptr, Internationalized::accepted);
    if (!recipient || !reverse_path) {
        answer.verdict = ipc::RouteVerdict::no_mailbox;
        return answer;
    }
    const std::optional<size_t> index =
        rules_.match(query.origin, *reverse_path, *recipient, answers);
    if (answers.undecided())
        return answer; // temporary
    const MatchRule* rule = index ? &rules_.rules()[*index] : nullptr;
    if (rule && rule->action.empty()) {
        answer.verdict = ipc::RouteVerdict::refused;
        return answer;
    }
    if (!query.target && srs_.is_ours(query.recipient)) {
        restore_sender(query, answers, wanted, answer);
        return answer;
    }
    if (!rule) {
        answer.verdict = ipc::RouteVerdict::no_rule;
        return answer;
    }
    const Action& action = actions_.at(rule->action);
    if (!query.target && expand(query, *recipient, *reverse_path, action, user_exists, answers,
                                answer, problems, wanted))
        return answer;
    ipc::Route route = make_route(action);
    answer.verdict = query.target
                         ? deliver_to(*query.target, action, user_exists, route)
                         : deliver(action, recipient->local_part(), user_exists, route.user);
    const std::string domain = normalize_domain(
        recipient->domain().empty() ? query.origin.local_hostname : recipient->domain());
    if (route.kind == ActionKind::relay &&
        !relays_.complete(route, action, domain, query.reverse_path))
        answer.verdict = ipc::RouteVerdict::temporary;
    if (action.srs)
        route.reverse_path = rewrite_sender(query, *reverse_path, answers);
    if (answers.undecided())
        answer.verdict = ipc::RouteVerdict::temporary;
    if (answer.verdict == ipc::RouteVerdict::accepted)
        answer.route = std::move(route);
    return answer;
}

// The report of somebody who has got mail of this sender, forwarded by us. Other mail is not for
// such addresses: anybody can have one made, for whom he likes, who is forwarded to from here. What
// has been taken in time goes on, whatever the day.
void Router::restore_sender(const ipc::RouteQuery& query, TableAnswers& answers, Wanted wanted,
                            ipc::RouteAnswer& answer) const {
    answer.verdict = ipc::RouteVerdict::refused;
    if (!query.reverse_path.empty()) {
        answer.words = "550 5.7.1 This address is for reports alone";
        return;
    }
    Result<std::string> sender = srs_.reverse(
        query.recipient, wanted == Wanted::somebody ? std::optional(wall_clock_()) : std::nullopt);
    const std::optional<Mailbox> mailbox = sender ? parse_recipient(*sender) : std::nullopt;
    if (!mailbox) {
        answer.words = "550 5.1.1 This is " + (sender ? "a rewritten address that stands for none"
                                                      : sender.error().message);
        return;
    }
    ipc::Origin internal = query.origin;
    internal.internal = true;
    const auto index = rules_.match(internal, Mailbox(), *mailbox, answers);
    if (answers.undecided()) {
        answer.verdict = ipc::RouteVerdict::temporary;
    } else if (!index) {
        answer.verdict = ipc::RouteVerdict::no_rule;
    } else if (!rules_.rules()[*index].action.empty()) {
        answer.verdict = ipc::RouteVerdict::expanded;
        answer.expanded.push_back({*std::move(sender), std::nullopt, {}});
    }
}

// Of mail that was sent to somebody here, and goes on from here. Nothing where the sender stays:
// mail for him is taken here from anybody, or stays here.
std::optional<std::string> Router::rewrite_sender(const ipc::RouteQuery& query,
                                                  const Mailbox& reverse_path,
                                                  TableAnswers& answers) const {
    if (!query.origin.internal || query.reverse_path.empty())
        return std::nullopt;
    ipc::Origin anybody;
    anybody.client = *IpAddress::parse("0.0.0.0");
    if (action_for(anybody, reverse_path, answers))
        return std::nullopt;
    const Action* own = action_for(query.origin, reverse_path, answers);
    if (own && own->kind != ActionKind::relay)
        return std::nullopt;
    std::string rewritten = srs_.forward(query.reverse_path, wall_clock_());
    return rewritten == query.reverse_path ? std::nullopt : std::optional(std::move(rewritten));
}

// How mail from there for the address is delivered; null: not at all.
const Action* Router::action_for(const ipc::Origin& origin, const Mailbox& address,
                                 TableAnswers& answers) const {
    const auto index = rules_.match(origin, Mailbox(), address, answers);
    const std::string& name = index ? rules_.rules()[*index].action : std::string();
    return name.empty() ? nullptr : &actions_.at(name);
}

// False: nobody is in the recipient's place.
bool Router::expand(const ipc::RouteQuery& query, const Mailbox& recipient,
                    const Mailbox& reverse_path, const Action& action,
                    const UserExists& user_exists, TableAnswers& answers, ipc::RouteAnswer& answer,
                    std::vector<std::string>* problems, Wanted wanted) const {
    if (action.aliases.empty() && action.virtual_users.empty())
        return false;
    ipc::Origin internal = query.origin;
    internal.internal = true;
    static const std::vector<std::string> nobody;
    ExpansionView view;
    view.find = [&](const std::string& table,
                    const std::string& key) -> Result<std::optional<std::string>> {
        const auto entries = aliases_.find(table);
        if (entries == aliases_.end()) {
            auto value = answers.value_of(table, TableService::alias, key);
            if (!answers.knows({table, TableService::alias, key}))
                return Error{"the table is away, or has yet to answer"};
            return value;
        }
        const auto found = entries->second.find(key);
        return found == entries->second.end() ? std::nullopt : std::optional(found->second);
    };
    view.is_external = [this](const std::string& table) { return !aliases_.contains(table); };
    view.included = [this](const std::string& path) -> const std::vector<std::string>& {
        const auto found = included_.find(path);
        return found == included_.end() ? nobody : found->second;
    };
    view.action_of = [&](const Mailbox& address) -> const Action* {
        const auto index = rules_.match(internal, reverse_path, address, answers);
        const std::string& name = index ? rules_.rules()[*index].action : std::string();
        return name.empty() ? nullptr : &actions_.at(name);
    };
    view.find_mailbox = [&](const Action& one, const std::string& local_part) {
        std::string user;
        return deliver(one, local_part, user_exists, user);
    };
    const std::string& domain = query.origin.local_hostname;
    Expander expander(view, domain.empty() ? default_domain_ : domain, !query.reverse_path.empty(),
                      wanted);
    Expansion expansion = expander.expand(recipient, action);
    if (answers.undecided()) {
        answer.verdict = ipc::RouteVerdict::temporary;
        return true;
    }
    if (problems)
        *problems = std::move(expansion.problems);
    if (expansion.verdict == ipc::RouteVerdict::accepted)
        return false;
    answer.verdict = expansion.verdict;
    answer.words = std::move(expansion.words);
    answer.expanded = std::move(expansion.recipients);
    return true;
}

// Whether a mailbox of the local part is there, and whose it is.
ipc::RouteVerdict Router::deliver(const Action& action, const std::string& local_part,
                                  const UserExists& user_exists, std::string& user) const {
    switch (action.kind) {
    case ActionKind::relay:
    case ActionKind::lmtp: // whoever speaks it knows
        return ipc::RouteVerdict::accepted;
    case ActionKind::maildir:
    case ActionKind::mbox:
    case ActionKind::mda:
        return find_user(action, local_part, user_exists, user);
    case ActionKind::expand_only:
    case ActionKind::forward_only:
        break;
    }
    return ipc::RouteVerdict::no_mailbox;
}

// What an alias or a .forward has put in the recipient's place, under the present configuration.
ipc::RouteVerdict Router::deliver_to(const ipc::Target& target, const Action& action,
                                     const UserExists& user_exists, ipc::Route& route) const {
    switch (target.kind) {
    case ipc::TargetKind::address: // it would be the recipient itself
        break;
    case ipc::TargetKind::user:
    case ipc::TargetKind::mailbox:
        if (action.kind == ActionKind::relay) // it would go to the address that led to the user
            break;
        if (action.kind == ActionKind::lmtp && action.user.empty())
            route.user = target.text;
        return deliver(action, target.text, user_exists, route.user);
    case ipc::TargetKind::command:
    case ipc::TargetKind::file: {
        if (action.kind == ActionKind::relay || action.kind == ActionKind::forward_only)
            break;
        route.kind = target.kind == ipc::TargetKind::command ? ActionKind::mda : ActionKind::mbox;
        route.host.reset();
        route.user = target.user.empty() ? action.user : target.user;
        if (route.user.empty() || route.user == "root")
            break;
        const Result<bool> exists = switch_user_ ? user_exists(route.user) : true;
        return exists && *exists ? ipc::RouteVerdict::accepted : ipc::RouteVerdict::temporary;
    }
    }
    return ipc::RouteVerdict::no_rule; // the configuration has changed since, and may change back
}

ipc::RouteVerdict Router::find_user(const Action& action, const std::string& local_part,
                                    const UserExists& user_exists, std::string& user) const {
    using ipc::RouteVerdict;
    if (!action.user.empty()) {
        user = action.user;
        if (!switch_user_)
            return RouteVerdict::accepted;
        // Its absence is the operator's mistake, not the sender's: the mail waits for it.
        Result<bool> exists = user_exists(user);
        return exists && *exists ? RouteVerdict::accepted : RouteVerdict::temporary;
    }
    user = ascii_lower(local_part);
    for (bool whole : {true, false}) {
        if (!whole) {
            const size_t tag = user.find(subaddress_delimiter);
            if (tag == std::string::npos)
                break;
            user.resize(tag);
        }
        if (!is_user_name(user))
            continue;
        Result<bool> exists = user_exists(user);
        if (!exists)
            return RouteVerdict::temporary;
        if (*exists)
            return RouteVerdict::accepted;
    }
    // RFC 5321 4.5.1: where mail is taken at all, postmaster's is. Without a user or alias of that
    // name it is root's.
    if (ascii_lower(local_part) == "postmaster") {
        user = "root";
        Result<bool> exists = user_exists(user);
        return exists && *exists ? RouteVerdict::accepted : RouteVerdict::temporary;
    }
    return RouteVerdict::no_mailbox;
}

} // namespace postern
