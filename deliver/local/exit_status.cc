#include "deliver/local/exit_status.h"

#include <algorithm>
#include <span>
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

// As sys_exits(3) of Postfix has it, but for what the operator can mend.
constexpr Meaning command_meanings[] = {
    {EX_OK, RecipientStatus::delivered, "2.0.0", "delivered to the command"},
    {EX_DATAERR, RecipientStatus::permanent, "5.6.0", "the command says: bad content"},
    {EX_NOUSER, RecipientStatus::permanent, "5.1.1", "the command says: no such user"},
    {EX_NOHOST, RecipientStatus::permanent, "5.1.2", "the command says: no such host"},
    {EX_UNAVAILABLE, RecipientStatus::permanent, "5.3.0", "the command says: unavailable"},
    {EX_PROTOCOL, RecipientStatus::permanent, "5.5.0", "the command says: protocol error"},
    {EX_NOPERM, RecipientStatus::permanent, "5.7.0", "the command says: not permitted"},
};

constexpr Meaning meanings[] = {
    {EX_OK, RecipientStatus::delivered, "2.0.0", "delivered to the mailbox"},
    {EX_USAGE, RecipientStatus::temporary, "4.3.5", "the delivery program was called wrongly"},
    {EX_DATAERR, RecipientStatus::permanent, "5.6.0", "the content cannot be stored"},
    {EX_NOUSER, RecipientStatus::permanent, "5.1.1", "there is no such user"},
    {EX_NOHOST, RecipientStatus::permanent, "5.1.2", "there is no such host"},
    {EX_CANTCREAT, RecipientStatus::temporary, "4.2.0", "the mailbox cannot be created"},
    {EX_NOPERM, RecipientStatus::temporary, "4.2.0", "the mailbox does not permit it"},
    {EX_CONFIG, RecipientStatus::temporary, "4.3.5", "the delivery is configured wrongly"},
    {EX_TEMPFAIL, RecipientStatus::temporary, "4.3.0", "the delivery failed for now"},
};

const Meaning* meaning_of(int status, std::span<const Meaning> list) {
    for (const Meaning& meaning : list)
        if (meaning.status == status)
            return &meaning;
    return nullptr;
}

std::string one_line(std::string_view said) {
    said = said.substr(0, diagnostic_limit);
    std::string line(said.substr(0, said.find_last_not_of(" \t\r\n") + 1));
    std::replace_if(
        line.begin(), line.end(), [](char c) { return c == '\n' || c == '\r' || c == '\t'; }, ' ');
    return sanitize(line, diagnostic_limit - 3); // with "..." at most the limit
}

} // namespace

ipc::RecipientOutcome outcome_of_exit(int status, std::string_view said, Method method) {
    ipc::RecipientOutcome outcome;
    outcome.status = RecipientStatus::temporary;
    outcome.handover = ipc::Handover::delivered;
    outcome.enhanced = "4.3.0";
    outcome.diagnostic = "the delivery program ended with status " + std::to_string(status);
    const Meaning* found =
        method == Method::command ? meaning_of(status, command_meanings) : nullptr;
    if (!found)
        found = meaning_of(status, meanings);
    if (found) {
        outcome.status = found->outcome;
        outcome.enhanced = found->enhanced;
        outcome.diagnostic = found->text;
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
