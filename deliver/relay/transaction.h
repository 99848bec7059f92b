// One message to some recipients over an open session: MAIL, RCPT, DATA, content, and a verdict
// for each recipient. In one transaction, or in several when the next hop takes fewer recipients at
// a time. Binary content goes by BDAT (RFC 3030); other content by DATA, which every server has had
// practice with, and which travels with the envelope where there is PIPELINING.
//
// What a failure means (RFC 5321 4.2.1, 4.5.4.1):
//
//     5yz to MAIL, DATA, BDAT, the content  permanent for all recipients concerned
//     5yz to RCPT                           permanent for this one; 552 counts as 452 (4.5.3.1.10)
//     452 to RCPT, "too many"               a transaction of its own at once, if others were taken
//     4yz to RCPT, DATA, BDAT, the content  temporary, and no other host is bothered: it is about
//                                           the mail or the mailbox, and greylisting servers take
//                                           hopping between exchangers amiss
//     4yz to MAIL, 421, a broken dialogue   open: another host may be tried
//     the connection lost after the dot     temporary: the message may have been taken, so that it
//                                           is not offered to another host right away; but the
//                                           next attempt begins with another (slow_addresses.h)
//
// What the next hop cannot take is a permanent failure without its being asked (parameters.h).
#pragma once

#include <vector>

#include "common/loop/task.h"
#include "deliver/relay/client_session.h"
#include "deliver/relay/exchangers.h"
#include "deliver/relay/message.h"

namespace postern::relay {

// Gives the message to those of `recipients` that are open; no transaction begins after `until`.
// When it takes several transactions, they begin with a random recipient: those for whom a slow
// next hop leaves no time are others at the next attempt. Afterwards those still open may be tried
// elsewhere; session.usable() tells whether the session can take another message. The references
// must outlive the task.
Task<void> send_message(ClientSession& session, const Message& message,
                        std::vector<Recipient>& recipients, TimePoint until, const Random& random);

} // namespace postern::relay
