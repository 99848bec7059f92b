#include "queue/failure.h"

#include <algorithm>

#include "common/smtp/enhanced_status.h"
#include "common/smtp/text.h"

namespace postern {

namespace {

constexpr uint16_t mailbox_subject = 2; // RFC 3463 3.3
constexpr uint16_t network_subject = 4; // 3.5
constexpr uint16_t policy_subject = 7;  // 3.8

EnhancedStatusCode status_of(const std::string& enhanced) {
    return parse_enhanced_status(enhanced).value_or(status::none);
}

// A next hop's reply that sends away whoever comes.
bool is_refusal(const std::string& reply, EnhancedStatusCode code) {
    return reply.starts_with("421") || code.subject == policy_subject;
}

} // namespace

bool speaks_of_greylisting(std::string_view text) {
    const std::string lower = ascii_lower(text);
    for (size_t at = lower.find("gr"); at != std::string::npos; at = lower.find("gr", at + 1)) {
        std::string_view rest = std::string_view(lower).substr(at + 2);
        if (!rest.starts_with("ey") && !rest.starts_with("ay"))
            continue;
        rest.remove_prefix(2);
        if (rest.starts_with(' ') || rest.starts_with('-'))
            rest.remove_prefix(1);
        if (rest.starts_with("list"))
            return true;
    }
    return false;
}

FailureClass class_of(const AttemptError& error) {
    const EnhancedStatusCode code = status_of(error.enhanced);
    if (error.from_remote &&
        (is_refusal(error.diagnostic, code) || speaks_of_greylisting(error.diagnostic)))
        return FailureClass::throttled;
    if (code == status::directory_failure)
        return FailureClass::resolver;
    if (code.subject == mailbox_subject)
        return FailureClass::mailbox;
    if (!error.from_remote && (code == status::no_answer || code == status::bad_connection))
        return FailureClass::unreachable;
    return FailureClass::other;
}

bool hinders(const ipc::RecipientOutcome& outcome) {
    if (outcome.status != ipc::RecipientStatus::temporary)
        return false;
    if (!outcome.from_remote)
        return !outcome.remote.empty() && status_of(outcome.enhanced).subject == network_subject;
    return is_refusal(outcome.diagnostic, status_of(outcome.enhanced)) &&
           !speaks_of_greylisting(outcome.diagnostic);
}

Attempt attempt_of(bool down, const std::vector<ipc::RecipientOutcome>& outcomes) {
    if (down)
        return Attempt::down;
    const bool nobody_served =
        std::all_of(outcomes.begin(), outcomes.end(), [](const ipc::RecipientOutcome& one) {
            return one.status == ipc::RecipientStatus::temporary;
        });
    return nobody_served && std::any_of(outcomes.begin(), outcomes.end(), hinders)
               ? Attempt::hindered
               : Attempt::answered;
}

} // namespace postern
