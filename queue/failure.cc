#include "queue/failure.h"

#include <algorithm>

#include "common/smtp/enhanced_status.h"
#include "common/smtp/text.h"

namespace postern {

namespace {

uint16_t subject_of(const ipc::RecipientOutcome& outcome) {
    return parse_enhanced_status(outcome.enhanced).value_or(status::none).subject;
}

constexpr uint16_t network_subject = 4; // RFC 3463 3.5
constexpr uint16_t policy_subject = 7;  // 3.8

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

bool hinders(const ipc::RecipientOutcome& outcome) {
    if (outcome.status != ipc::RecipientStatus::temporary)
        return false;
    if (!outcome.from_remote)
        return !outcome.remote.empty() && subject_of(outcome) == network_subject;
    return (outcome.diagnostic.starts_with("421") || subject_of(outcome) == policy_subject) &&
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
