#include "smtpd/lookup/route.h"

#include <algorithm>

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

ipc::Route make_route(const Action& action, const Mailbox& recipient, const ipc::Origin& origin) {
    ipc::Route route;
    route.kind = action.kind;
    route.action = action.name;
    route.ttl = action.ttl;
    switch (action.kind) {
    case ActionKind::relay:
        route.host = action.host;
        route.helo = action.helo;
        route.source = action.source;
        route.tls = action.tls;
        if (!action.host)
            route.domain = normalize_domain(recipient.domain().empty() ? origin.local_hostname
                                                                       : recipient.domain());
        break;
    case ActionKind::lmtp:
        route.host = action.host;
        route.helo = action.helo;
        route.lmtp_rcpt_to = action.lmtp_rcpt_to;
        route.user = action.user;
        break;
    case ActionKind::maildir:
    case ActionKind::mbox:
    case ActionKind::mda:
    case ActionKind::expand_only:
    case ActionKind::forward_only:
        break;
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

Result<Router> Router::prepare(const ipc::LookupSettings& settings) {
    Result<RuleSet> rules = RuleSet::prepare(settings.rules, settings.tables,
                                             {settings.local_names, settings.local_addresses});
    if (!rules)
        return rules.error();
    std::unordered_map<std::string, Action> actions;
    for (const Action& action : settings.actions)
        actions.emplace(action.name, action);
    for (const MatchRule& rule : settings.rules)
        if (!rule.action.empty() && !actions.contains(rule.action))
            return Error{"match rule in line " + std::to_string(rule.line) +
                         ": there is no action \"" + sanitize(rule.action) + "\""};
    return Router(std::move(*rules), std::move(actions), settings.switch_user);
}

ipc::RouteAnswer Router::route(const ipc::RouteQuery& query, const UserExists& user_exists,
                               TableAnswers& answers) const {
    ipc::RouteAnswer answer;
    answer.request = query.request;
    std::optional<Mailbox> recipient = parse_recipient(query.recipient);
    std::optional<Mailbox> reverse_path =
        parse_reverse_path("<" + query.reverse_path + ">", nullptr, Internationalized::accepted);
    if (!recipient || !reverse_path) {
        answer.verdict = ipc::RouteVerdict::no_mailbox;
        return answer;
    }
    std::optional<size_t> index = rules_.match(query.origin, *reverse_path, *recipient, answers);
    if (answers.undecided())
        return answer; // temporary
    if (!index) {
        answer.verdict = ipc::RouteVerdict::no_rule;
        return answer;
    }
    const MatchRule& rule = rules_.rules()[*index];
    if (rule.action.empty()) {
        answer.verdict = ipc::RouteVerdict::refused;
        return answer;
    }
    const Action& action = actions_.at(rule.action);
    ipc::Route route = make_route(action, *recipient, query.origin);
    answer.verdict = ipc::RouteVerdict::accepted;
    if (action.kind != ActionKind::relay && action.kind != ActionKind::lmtp)
        answer.verdict = find_user(action, *recipient, user_exists, route.user);
    if (answer.verdict == ipc::RouteVerdict::accepted)
        answer.route = std::move(route);
    return answer;
}

ipc::RouteVerdict Router::find_user(const Action& action, const Mailbox& recipient,
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
    user = ascii_lower(recipient.local_part());
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
    if (ascii_lower(recipient.local_part()) == "postmaster") {
        user = "root";
        Result<bool> exists = user_exists(user);
        return exists && *exists ? RouteVerdict::accepted : RouteVerdict::temporary;
    }
    return RouteVerdict::no_mailbox;
}

} // namespace postern
