#include "deliver/local/exit_status.h"

#include <algorithm>
#include <sysexits.h>

#include "common/smtp/text.h"

namespace postern {

namespace {

using ipc::RecipientStatus;

struct Meaning {
    int status;
    RecipientStatus outcome;
    const char* enhanced; // RFC 3463
    const char* text;     // if the helper says nothing
};

constexpr Meaning meanings[] = {
    {EX_OK, RecipientStatus::delivered, "2.0.0", "delivered to the maildir"},
    {EX_USAGE, RecipientStatus::temporary, "4.3.5", "the delivery program was called wrongly"},
    {EX_DATAERR, RecipientStatus::permanent, "5.6.0", "the content cannot be stored"},
    {EX_NOUSER, RecipientStatus::permanent, "5.1.1", "there is no such user"},
    {EX_NOHOST, RecipientStatus::permanent, "5.1.2", "there is no such host"},
    {EX_CANTCREAT, RecipientStatus::temporary, "4.2.0", "the mailbox cannot be created"},
    {EX_NOPERM, RecipientStatus::temporary, "4.2.0", "the mailbox does not permit it"},
    {EX_CONFIG, RecipientStatus::temporary, "4.3.5", "the delivery is configured wrongly"},
    {EX_TEMPFAIL, RecipientStatus::temporary, "4.3.0", "the delivery failed for now"},
};

std::string one_line(std::string_view said) {
    said = said.substr(0, helper_output_limit);
    std::string line(said.substr(0, said.find_last_not_of(" \t\r\n") + 1));
    std::replace_if(
        line.begin(), line.end(), [](char c) { return c == '\n' || c == '\r' || c == '\t'; }, ' ');
    return sanitize(line, helper_output_limit - 3); // with "..." at most the limit
}

} // namespace

ipc::RecipientOutcome outcome_of_exit(int status, std::string_view said) {
    ipc::RecipientOutcome outcome;
    outcome.status = RecipientStatus::temporary;
    outcome.handover = ipc::Handover::delivered;
    outcome.enhanced = "4.3.0";
    outcome.diagnostic = "the delivery program ended with status " + std::to_string(status);
    for (const Meaning& meaning : meanings) {
        if (meaning.status != status)
            continue;
        outcome.status = meaning.outcome;
        outcome.enhanced = meaning.enhanced;
        outcome.diagnostic = meaning.text;
    }
    if (std::string line = one_line(said); !line.empty())
        outcome.diagnostic = std::move(line);
    return outcome;
}

ipc::RecipientOutcome outcome_of_loop() {
    ipc::RecipientOutcome outcome;
    outcome.status = RecipientStatus::permanent;
    outcome.enhanced = "5.4.6";
    outcome.diagnostic = "mail forwarding loop: it was delivered to this address before";
    return outcome;
}

} // namespace postern
