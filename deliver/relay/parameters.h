// What a message needs of a next hop, and what is said of it behind the addresses of MAIL and RCPT.
// Pure.
//
// A wish that the next hop would not understand is left out (RFC 3461 5.2.2, RFC 6710). What the
// message cannot do without is a permanent failure instead, because nothing here converts content:
//
//     8-bit content                        needs 8BITMIME (RFC 6152 3)
//     BODY=BINARYMIME                      needs BINARYMIME and CHUNKING (RFC 3030 3)
//     an address or header field in UTF-8  needs SMTPUTF8 (RFC 6531 3.2)
//     BY in mode R                         needs DELIVERBY, and more time than the next hop takes
//     at
//                                          least; one that delivers itself, over LMTP, needs
//                                          neither
//
// REQUIRETLS is said of what goes to a server that offers it, and has proved who it is: that is for
// the delivery to see to (opening.h, RFC 8689 4.2.1).
#pragma once

#include <optional>
#include <string>

#include "common/smtp/ehlo.h"
#include "deliver/relay/message.h"

namespace postern::relay {

// Of a next hop.
struct Abilities {
    const EhloCapabilities& offered;
    bool lmtp = false;
};

// Why the next hop cannot be given the message at `now`, or this recipient: permanent, without a
// remote. Nothing: it can.
std::optional<Diagnosis> find_obstacle(const Message& message, const Abilities& next_hop,
                                       TimePoint now);
std::optional<Diagnosis> find_obstacle(const Recipient& recipient, const Abilities& next_hop);

// SMTPUTF8 has to be said of a transaction with one of these. A message may have had it, and not
// need it.
bool needs_utf8(const Message& message);
bool needs_utf8(const Recipient& recipient);

// What follows the closing bracket, for a next hop with no obstacle: empty, or a space first.
// `utf8`: SMTPUTF8 is said of the transaction. With the longest path the lines stay within
// mail_command_line and rcpt_command_line of limits.h.
std::string mail_parameters(const Message& message, const Abilities& next_hop, bool utf8,
                            TimePoint now);
std::string recipient_parameters(const Recipient& recipient, const Abilities& next_hop, bool utf8);

// Who answers for a recipient's reports now that the next hop has the message (RFC 3461 5.2).
ipc::Handover handover_to(const Abilities& next_hop);

} // namespace postern::relay
