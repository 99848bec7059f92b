// What a helper's exit status (sysexits.h) means for the recipient. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/ipc/delivery.h"

namespace postern {

// How much of what a helper says becomes the diagnostic, in bytes.
inline constexpr size_t diagnostic_limit = 500;

// Who ended with it: our own helper at a mailbox, or a command that it ran.
enum class Method { mailbox, command };

// Only what the sender or nobody can mend is permanent: no such user or host, content that cannot
// be stored (EX_NOUSER, EX_NOHOST, EX_DATAERR); of a command also what it refuses (EX_UNAVAILABLE,
// EX_NOPERM, EX_PROTOCOL). What the operator can mend (permissions, a full or missing disk, a
// mistake in the configuration) is temporary, as is every status unheard of: the mail waits where
// he sees it. `said`, what the helper wrote, becomes the diagnostic; it is made one harmless line.
ipc::RecipientOutcome outcome_of_exit(int status, std::string_view said,
                                      Method method = Method::mailbox);

// A recipient whose mailbox has had this message before (RFC 3463: 5.4.6).
ipc::RecipientOutcome outcome_of_loop();

} // namespace postern
