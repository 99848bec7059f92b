#include "smtpd/smtpctl/orders.h"

#include <cerrno>
#include <ctime>

#include "common/config/relay_url.h"
#include "common/mail/message_id.h"
#include "smtpd/smtpctl/format.h"
#include "smtpd/smtpctl/queue_words.h"

namespace postern {

namespace {

Error no_order() { return {"", EINVAL}; }

// Takes what says which mail is meant. False: nothing does, or wrongly.
bool take_mail(ipc::StandingOrder& order, std::vector<std::string> words) {
    if (words.size() == 1) {
        const std::optional<MessageId> id = parse_message_id(words[0]);
        if (id)
            order.message = id->value;
        return id.has_value();
    }
    for (; words.size() >= 2; words.erase(words.begin(), words.begin() + 2)) {
        std::string* pattern = words[0] == "from"  ? &order.sender
                               : words[0] == "to"  ? &order.recipient
                               : words[0] == "via" ? &order.next_hop
                                                   : nullptr;
        if (!pattern || !pattern->empty() || words[1].empty())
            return false;
        *pattern = words[1];
    }
    return words.empty() && !(order.sender + order.recipient + order.next_hop).empty();
}

Result<RelayHost> parse_host(const std::string& url) {
    Result<RelayHost> host = config::parse_relay_url(url);
    return host ? host : Error{"the host is to be " + host.error().message};
}

int release_held(ControlClient& client, uint32_t number) {
    ipc::Change release;
    release.kind = ipc::ChangeKind::release;
    release.filter.order = number;
    return change(client, release);
}

int end_order(ControlClient& client, const ipc::StandingOrder& order) {
    ipc::EndOrder question;
    question.number = order.number;
    if (const int status = command(client, question))
        return status;
    if (order.kind != ipc::OrderKind::suspend)
        return 0;
    const int status = release_held(client, order.number);
    return status == nothing_done ? 0 : status; // that nothing was held is no failure
}

} // namespace

Result<ipc::StandingOrder> parse_order(std::vector<std::string> words, int64_t now) {
    ipc::StandingOrder order;
    const bool reroute = !words.empty() && words[0] == "reroute";
    if (words.empty())
        return no_order();
    words.erase(words.begin());
    order.kind = reroute ? ipc::OrderKind::reroute : ipc::OrderKind::suspend;
    order.reason = take_option(words, "reason").value_or("");
    const std::optional<int64_t> until = take_until(words, now);
    if (!until)
        return no_order();
    if (*until == now) // it would be over already
        return no_order();
    order.until = *until;
    if (reroute) {
        const std::optional<std::string> url = take_option(words, "host");
        if (!url)
            return no_order();
        Result<RelayHost> host = parse_host(*url);
        if (!host)
            return host.error();
        order.host = std::move(*host);
    }
    if (!take_mail(order, std::move(words)))
        return no_order();
    return order;
}

std::optional<int> give_order(ControlClient& client, const std::vector<std::string>& words) {
    Result<ipc::StandingOrder> order = parse_order(words, std::time(nullptr));
    if (!order && order.error().code == EINVAL)
        return std::nullopt;
    if (!order)
        return refused(order.error().message);
    ipc::GiveOrder question;
    question.order = std::move(*order);
    Asked<ipc::OrderList> given = ask<ipc::OrderList>(client, question);
    if (!given.answer)
        return given.status;
    for (const ipc::StandingOrder& one : given.answer->orders)
        print(format_order(one, std::time(nullptr)));
    return 0;
}

int end_orders(ControlClient& client, std::optional<uint32_t> number) {
    Asked<ipc::OrderList> standing = ask<ipc::OrderList>(client, ipc::OrderQuery());
    if (!standing.answer)
        return standing.status;
    bool found = false;
    for (const ipc::StandingOrder& order : standing.answer->orders) {
        if (number && order.number != *number)
            continue;
        found = true;
        if (const int status = end_order(client, order))
            return status;
    }
    if (found || !number)
        return found ? 0 : refused("there are no orders");
    // It may have been ended, or be over, with mail left held.
    return release_held(client, *number) == 0 ? 0 : refused("there is no such order");
}

int show_orders(ControlClient& client) {
    Asked<ipc::OrderList> standing = ask<ipc::OrderList>(client, ipc::OrderQuery());
    if (!standing.answer)
        return standing.status;
    for (const ipc::StandingOrder& order : standing.answer->orders)
        print(format_order(order, std::time(nullptr)));
    return 0;
}

} // namespace postern
