// What kind of failure an attempt came to, by what was said of it. Pure. A next hop's words are
// only looked at, never trusted: the worst that they do is to slow down mail for itself, to one
// delivery at a time.
#pragma once

#include <string_view>
#include <vector>

#include "common/ipc/delivery.h"
#include "queue/records.h"
#include "queue/scheduler.h"

namespace postern {

// Whether this turns us away for now, whatever the mail: 421, a policy (4.7.x), or a session that
// broke off; but not greylisting, which is about one sender and one recipient, and wants the others
// to be tried.
bool hinders(const ipc::RecipientOutcome& outcome);

// What kind of failure this was, for `queue retry … on` (smtpd.conf(5)).
FailureClass class_of(const AttemptError& error);

// Whether a text speaks of greylisting.
bool speaks_of_greylisting(std::string_view text);

// How a delivery came back, `down` being what the deliverer says. There is one outcome at least.
Attempt attempt_of(bool down, const std::vector<ipc::RecipientOutcome>& outcomes);

} // namespace postern
