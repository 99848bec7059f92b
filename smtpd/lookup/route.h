// How a recipient is delivered: the rule that it falls under, made into a route. Pure, but for the
// question whether a system user exists, which is passed in.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/base/result.h"
#include "common/ipc/lookup_settings.h"
#include "common/ipc/routing.h"
#include "smtpd/lookup/expand.h"
#include "smtpd/lookup/match.h"
#include "smtpd/lookup/relay_routes.h"
#include "smtpd/lookup/srs.h"

namespace postern {

// True, false, or an error where it cannot be told now.
using UserExists = std::function<Result<bool>(const std::string& name)>;

// Seconds since the epoch.
using WallClock = std::function<int64_t()>;

// Whether a local part can be the name of a system user: letters, digits, '_', '-' and '.', not
// beginning with '-' or '.', at most 64 octets. Anything else is not even looked up.
bool is_user_name(std::string_view name);

class Router {
  public:
    // Fails if the settings contradict themselves: a rule names an action or a table that is not
    // there. Nothing of `settings` is kept by reference.
    static Result<Router> prepare(const ipc::LookupSettings& settings, WallClock wall_clock);

    // What is to happen to query.recipient. `request` of the answer is the query's; `expanded` has
    // all who are in its place, whatever a packet can hold, or the first one alone. `problems`:
    // what an expansion had to leave out, for the operator.
    //
    // A Maildir belongs to the action's user, else to the system user that the local part names in
    // lower case; where there is none, to the one before a '+' ("user+tag"). An address that
    // cannot be parsed has no mailbox. In the place of a rewritten sender (srs.h) is the real one,
    // for reports, unless a rule rejects it; whether it is too old matters for Wanted::somebody.
    //
    // The answer is temporary where an external table is away, and does not count where `answers`
    // are wanting afterwards. `problems`: what was left out of an expansion, for the operator.
    ipc::RouteAnswer route(const ipc::RouteQuery& query, const UserExists& user_exists,
                           TableAnswers& answers, std::vector<std::string>* problems = nullptr,
                           Wanted wanted = Wanted::everybody) const;

  private:
    using AliasTable = std::unordered_map<std::string, std::string>; // by alias_key()

    Router(RuleSet rules, SenderRewriting srs, WallClock wall_clock, bool switch_user)
        : rules_(std::move(rules)), srs_(std::move(srs)), wall_clock_(std::move(wall_clock)),
          switch_user_(switch_user) {}
    void take_aliases(const std::string& name, const std::map<std::string, Table>& tables);
    bool expand(const ipc::RouteQuery& query, const Mailbox& recipient, const Mailbox& reverse_path,
                const Action& action, const UserExists& user_exists, TableAnswers& answers,
                ipc::RouteAnswer& answer, std::vector<std::string>* problems, Wanted wanted) const;
    void restore_sender(const ipc::RouteQuery& query, TableAnswers& answers, Wanted wanted,
                        ipc::RouteAnswer& answer) const;
    const Action* action_for(const ipc::Origin& origin, const Mailbox& address,
                             TableAnswers& answers) const;
    std::optional<std::string> rewrite_sender(const ipc::RouteQuery& query,
                                              const Mailbox& reverse_path,
                                              TableAnswers& answers) const;
    ipc::RouteVerdict deliver(const Action& action, const std::string& local_part,
                              const UserExists& user_exists, std::string& user) const;
    ipc::RouteVerdict deliver_to(const ipc::Target& target, const Action& action,
                                 const UserExists& user_exists, ipc::Route& route) const;
    ipc::RouteVerdict find_user(const Action& action, const std::string& local_part,
                                const UserExists& user_exists, std::string& user) const;

    RuleSet rules_;
    SenderRewriting srs_;
    WallClock wall_clock_;
    std::unordered_map<std::string, Action> actions_;
    std::unordered_map<std::string, AliasTable> aliases_;
    std::unordered_map<std::string, std::vector<std::string>> included_; // by path
    std::string default_domain_;
    RelayRoutes relays_;
    bool switch_user_;
};

} // namespace postern
