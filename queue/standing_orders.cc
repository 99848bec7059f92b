#include "queue/standing_orders.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "common/base/log.h"
#include "common/mail/pattern.h"
#include "queue/orders_file.h"
#include "queue/queue_filter.h"

namespace postern {

namespace {

constexpr size_t pattern_limit = 320; // bytes: what the longest path has, and some stars
constexpr size_t reason_limit = 256;  // bytes

bool over(const ipc::StandingOrder& order, int64_t now) {
    return order.until && order.until <= now;
}

// An empty pattern is true of anything, another one of what there is.
bool agrees(std::string_view text, std::string_view pattern) {
    return pattern.empty() || (!text.empty() && matches_pattern(text, pattern));
}

Result<void> check(const ipc::StandingOrder& order) {
    for (const std::string* pattern : {&order.sender, &order.recipient, &order.next_hop})
        if (pattern->size() > pattern_limit)
            return Error{"a pattern has 320 bytes at most", EINVAL};
    if (order.host && order.host->host.size() + order.host->unix_path.size() > pattern_limit)
        return Error{"a host has 320 bytes at most", EINVAL};
    if (order.host.has_value() != (order.kind == ipc::OrderKind::reroute))
        return Error{"a host belongs to mail that goes elsewhere", EINVAL};
    return {};
}

} // namespace

StandingOrders::StandingOrders(FileSystem& files) : files_(files) {
    Result<SavedOrders> saved = read_orders(files);
    if (!saved && saved.error().code != EBADMSG) {
        unread_ = saved.error();
        return;
    }
    if (!saved) {
        log::error("the operators' orders are damaged, mail goes where the rules say",
                   {{"reason", saved.error().message}});
        numbers_lost_ = true;
        return;
    }
    orders_ = std::move(saved->orders);
    next_number_ = saved->next_number;
}

Result<void> StandingOrders::change(std::vector<Order> orders, uint32_t next_number) {
    if (unread_) // what is there is not to be overwritten
        return Error{"the orders given before cannot be read: " + unread_->message, EIO};
    SavedOrders saved;
    saved.next_number = next_number;
    saved.orders = std::move(orders);
    if (Result<void> written = write_orders(files_, saved); !written)
        return written;
    orders_ = std::move(saved.orders);
    next_number_ = next_number;
    return {};
}

Result<StandingOrders::Order> StandingOrders::give(Order order, int64_t now) {
    if (Result<void> checked = check(order); !checked)
        return checked.error();
    std::vector<Order> orders = standing(now);
    if (orders.size() >= most)
        return Error{"there are 100 orders already", ENOSPC};
    if (numbers_lost_) // mail may be held by orders of any number that was given before
        next_number_ =
            static_cast<uint32_t>(std::clamp<int64_t>(now, next_number_, UINT32_MAX - 1));
    order.number = next_number_;
    order.given_at = now;
    order.reason.resize(std::min(order.reason.size(), reason_limit));
    orders.push_back(order);
    if (Result<void> changed = change(std::move(orders), next_number_ + 1); !changed)
        return changed.error();
    return order;
}

Result<void> StandingOrders::end(uint32_t number, int64_t now) {
    std::vector<Order> orders = standing(now);
    if (std::erase_if(orders, [&](const Order& order) { return order.number == number; }) == 0)
        return Error{"there is no such order", ENOENT};
    return change(std::move(orders), next_number_);
}

std::vector<StandingOrders::Order> StandingOrders::standing(int64_t now) const {
    std::vector<Order> result;
    std::copy_if(orders_.begin(), orders_.end(), std::back_inserter(result),
                 [&](const Order& order) { return !over(order, now); });
    return result;
}

const StandingOrders::Order* StandingOrders::find(ipc::OrderKind kind, const Mail& mail,
                                                  int64_t now) const {
    const auto found = std::find_if(orders_.begin(), orders_.end(), [&](const Order& order) {
        return order.kind == kind && !over(order, now) &&
               (!order.message || *order.message == mail.message) &&
               matches_sender(mail.reverse_path, order.sender) &&
               agrees(mail.recipient, order.recipient) && agrees(mail.next_hop, order.next_hop);
    });
    return found == orders_.end() ? nullptr : &*found;
}

} // namespace postern
