// Standing orders: suspend, reroute, resume, show orders.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "smtpd/smtpctl/conversation.h"

namespace postern {

// "suspend MAIL [for TIME] [reason TEXT]" or "reroute MAIL host URL [for TIME] [reason TEXT]", MAIL
// being the ID of a message or one or more of "from PATTERN", "to PATTERN", "via PATTERN". Pure.
// `now`: seconds since the epoch. EINVAL: they are no such words; other errors say what is wrong.
Result<ipc::StandingOrder> parse_order(std::vector<std::string> words, int64_t now);

// The exit status; nothing for words that are no order.
std::optional<int> give_order(ControlClient& client, const std::vector<std::string>& words);
// This one, or all. What it suspended is released.
int end_orders(ControlClient& client, std::optional<uint32_t> number);
int show_orders(ControlClient& client);

} // namespace postern
