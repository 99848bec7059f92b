// An order of the queue, in the form in which it is carried out: a message, those whom it is for,
// and in the end what the queue is told of them. No network here.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "common/ipc/delivery.h"
#include "common/loop/executor.h"
#include "deliver/relay/content.h"
#include "deliver/relay/diagnosis.h"
#include "deliver/relay/message.h"

namespace postern::relay {

// Recipients of one delivery. Those beyond are missing in the outcome, which makes them temporary.
inline constexpr size_t recipients_limit = 1000;

// Why this is not for a relay. Nothing: it is.
std::optional<Diagnosis> order_error(const ipc::Deliver& order);

// RFC 8689 4.2.1: over TLS only, and to servers that promise as much. A socket of this machine is
// no network, and a report (null reverse-path) goes on without (5).
bool may_do_without_tls(const ipc::Deliver& order);

// Takes what the order has of it.
std::unique_ptr<ContentSource> open_content(ipc::Deliver& order);

// As of `now`, and as far as the order goes: what a next hop is like can change REQUIRETLS.
Message read_message(const ipc::Deliver& order, ContentSource& content, TimePoint now);

// All of them open, with what stands in RCPT: the forward-path; for an LMTP action without rcpt-to,
// the user.
std::vector<Recipient> read_recipients(const ipc::Deliver& order);

// `recipients` are those of read_recipients(). Their texts together fit into a packet.
ipc::Outcome make_outcome(const ipc::Deliver& order, const std::vector<Recipient>& recipients,
                          bool destination_down);

} // namespace postern::relay
