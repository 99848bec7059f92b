#include "smtpd/supervisor/delivery_plan.h"

#include <algorithm>
#include <sysexits.h>

#include "common/config/command_words.h"
#include "common/config/maildir_path.h"
#include "common/mail/alias.h"

namespace postern {

namespace {

using ipc::TargetKind;

constexpr std::string_view mbox_path = "/var/mail/%{user.username}";

bool is_local(ActionKind kind) {
    return kind == ActionKind::maildir || kind == ActionKind::mbox || kind == ActionKind::mda;
}

// What the action itself says, as arguments.
Result<std::vector<std::string>> method_of(const Action& action, const DeliveryValues& values) {
    if (action.kind == ActionKind::mda) {
        Result<std::vector<std::string>> words = expand_command(action.command, values);
        if (words)
            words->insert(words->begin(), "command");
        return words;
    }
    const bool is_mbox = action.kind == ActionKind::mbox;
    Result<std::string> path = expand_maildir_path(
        is_mbox && action.maildir_path.empty() ? mbox_path : action.maildir_path, values);
    if (!path)
        return path.error();
    return std::vector<std::string>{is_mbox ? "mbox" : "maildir", *path};
}

// What the request is for, if not a mailbox.
const ipc::Target* program_or_file(const ipc::Spawn& request) {
    const bool is_one = request.target && (request.target->kind == TargetKind::command ||
                                           request.target->kind == TargetKind::file);
    return is_one ? &*request.target : nullptr;
}

bool has_value(std::string_view values, AliasKind kind, const std::string& text) {
    // Most have not, and need not be read.
    if (values.find(kind == AliasKind::command ? '|' : '/') == values.npos)
        return false;
    const Result<std::vector<AliasValue>> parsed = parse_alias_values(values);
    return parsed &&
           std::find(parsed->begin(), parsed->end(), AliasValue{kind, text}) != parsed->end();
}

bool stands_in_aliases(const Action& action, const ipc::Target& target,
                       const Configuration& configuration) {
    const AliasKind kind =
        target.kind == TargetKind::command ? AliasKind::command : AliasKind::file;
    for (const std::string& name : {action.aliases, action.virtual_users}) {
        const auto table = configuration.tables.find(name);
        if (table == configuration.tables.end())
            continue;
        for (const auto& [key, values] : table->second.pairs)
            if (has_value(values, kind, target.text))
                return true;
    }
    return false;
}

} // namespace

Result<const Action*> find_action(const Configuration& configuration, const ipc::Spawn& request) {
    const auto action = std::find_if(configuration.actions.begin(), configuration.actions.end(),
                                     [&](const Action& a) { return a.name == request.action; });
    const ipc::Target* program = program_or_file(request);
    const bool of_forward = program && !program->user.empty();
    const bool of_alias = program && !of_forward;
    // What stands in an alias is run whatever becomes of the others: with expand-only, or lmtp.
    if (action == configuration.actions.end() || (!of_alias && !is_local(action->kind)))
        return Error{"there is no local action " + request.action, EX_TEMPFAIL};
    const bool may = of_forward ? program->user == request.user && action->user.empty()
                     : of_alias ? !action->user.empty() && action->user == request.user
                                : action->user.empty() || action->user == request.user;
    if (!may)
        return Error{"action " + request.action + " does not deliver as " + request.user,
                     EX_TEMPFAIL};
    return &*action;
}

Result<DeliveryPlan> plan_delivery(const Action& action, const ipc::Spawn& request,
                                   const LocalUser& user, const Configuration& configuration) {
    DeliveryPlan plan;
    plan.environment = delivery_environment(user, request);
    if (const ipc::Target* target = program_or_file(request)) {
        plan.is_command = target->kind == TargetKind::command;
        if (!target->user.empty())
            plan.arguments = {"listed", plan.is_command ? "command" : "file", target->text};
        else if (!stands_in_aliases(action, *target, configuration))
            return Error{"action " + action.name + " has no such command or file in its aliases",
                         EX_CONFIG};
        else if (plan.is_command)
            plan.arguments = {"command", "/bin/sh", "-c", target->text};
        else
            plan.arguments = {"mbox", target->text};
        return plan;
    }
    DeliveryValues values;
    values.user = user.name;
    values.directory = user.home;
    values.recipient = request.recipient;
    values.reverse_path = request.reverse_path;
    Result<std::vector<std::string>> method = method_of(action, values);
    if (!method)
        return Error{method.error().message, EX_TEMPFAIL};
    plan.is_command = action.kind == ActionKind::mda;
    plan.in_mail_spool = action.kind == ActionKind::mbox && action.maildir_path.empty();
    plan.arguments = *std::move(method);
    // His own mail at his own home, and not what a .forward of his has said is for his mailbox.
    const bool at_mailbox = request.target && request.target->kind == TargetKind::mailbox;
    if (action.user.empty() && !at_mailbox)
        plan.arguments.insert(plan.arguments.begin(), "--forward");
    return plan;
}

} // namespace postern
