// One message to some recipients over an open session: MAIL, RCPT, DATA, content, and a verdict
// for each recipient. In one transaction, or in several when the next hop takes fewer recipients at
// a time.
//
// What a failure means (RFC 5321 4.2.1, 4.5.4.1):
//
//     5yz to MAIL, DATA or the content      permanent for all recipients concerned
//     5yz to RCPT                           permanent for this one; 552 counts as 452 (4.5.3.1.10)
//     452 to RCPT, "too many"               a transaction of its own at once, if others were taken
//     4yz to RCPT, DATA or the content      temporary, and no other host is bothered: it is about
//                                           the mail or the mailbox, and greylisting servers take
//                                           hopping between exchangers amiss
//     4yz to MAIL, 421, a broken dialogue   open: another host may be tried
//     the connection lost after the dot     temporary: the message may have been taken, so that it
//                                           is not offered to another host right away; but the
//                                           next attempt begins with another (slow_addresses.h)
//
// 8-bit content for a next hop without 8BITMIME, and content over its announced SIZE, are permanent
// failures (RFC 6152 3, RFC 1870 6.1): nothing here converts content.
#pragma once

#include <string>
#include <vector>

#include "common/ipc/envelope.h"
#include "common/loop/task.h"
#include "deliver/relay/client_session.h"
#include "deliver/relay/content.h"
#include "deliver/relay/exchangers.h"

namespace postern::relay {

// Recipients of one transaction at most; LIMITS RCPTMAX (RFC 9422) can make it fewer.
inline constexpr size_t recipients_per_transaction = 1000;
// A next hop that takes content more slowly than this is given up: octets a second.
inline constexpr uint64_t least_content_rate = 1024;

struct Message {
    explicit Message(ContentSource& content) : content(content) {}
    std::string reverse_path; // in wire form without brackets; empty: the null path
    MailParameters parameters;
    bool eight_bit = false; // a byte over 127 occurs in the content
    ContentSource& content;
};

enum class Verdict : uint8_t { open, delivered, temporary, permanent };

struct Recipient {
    explicit Recipient(std::string address) : address(std::move(address)) {}
    std::string address; // what stands between the brackets of RCPT
    RecipientParameters parameters;
    Verdict verdict = Verdict::open;
    Diagnosis diagnosis; // why; while `open`: what went wrong last
};

// Gives the message to those of `recipients` that are open; no transaction begins after `until`.
// When it takes several transactions, they begin with a random recipient: those for whom a slow
// next hop leaves no time are others at the next attempt. Afterwards those still open may be tried
// elsewhere; session.usable() tells whether the session can take another message. The references
// must outlive the task.
Task<void> send_message(ClientSession& session, const Message& message,
                        std::vector<Recipient>& recipients, TimePoint until, const Random& random);

} // namespace postern::relay
