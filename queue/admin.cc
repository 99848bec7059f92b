#include "queue/admin.h"

#include <utility>

#include "common/base/log.h"
#include "common/ipc/channel.h"
#include "queue/admin_parts.h"

namespace postern {

namespace {

constexpr auto patience = std::chrono::seconds(5);

} // namespace

Admin::Admin(Queue& queue, Answer answer) : queue_(queue), answer_(std::move(answer)) {}

std::optional<ipc::Answer> Admin::ask(ipc::Question& question) {
    using Reply = std::optional<ipc::Answer>;
    return std::visit(
        ipc::Overloaded{
            [&](ipc::QueueQuery& query) -> Reply { return list(query); },
            [&](ipc::MessageQuery& query) -> Reply { return show(query); },
            [&](ipc::Change& query) -> Reply { return change(query); },
            [&](ipc::Pause& query) -> Reply { return pause(query); },
            [&](ipc::GiveOrder& query) -> Reply { return give_order(query); },
            [&](ipc::EndOrder& query) -> Reply { return end_order(query); },
            [&](ipc::OrderQuery& query) -> Reply { return list_orders(query); },
            [&](ipc::DestinationQuery& query) -> Reply { return list_destinations(query); },
            [&](ipc::SpoolCheck& query) -> Reply { return check_spool(query); },
            // The operator port answers these itself.
            [&](ipc::StatsQuery& query) -> Reply {
                return failed(query.request, "not a question for the queue");
            },
            [&](ipc::LogLevel& query) -> Reply {
                return failed(query.request, "not a question for the queue");
            },
            [&](ipc::SendTlsReports& query) -> Reply {
                return failed(query.request, "not a question for the queue");
            },
        },
        question);
}

// -- Standing orders.

ipc::Answer Admin::give_order(const ipc::GiveOrder& query) {
    Result<ipc::StandingOrder> given =
        queue_.orders().give(query.order, queue_.executor().wall_seconds());
    if (!given)
        return failed(query.request, given.error().message);
    queue_.orders_changed();
    log::info("an operator's order stands", {{"order", given->number},
                                             {"reroute", given->host ? given->host->host : ""},
                                             {"from", given->sender},
                                             {"to", given->recipient},
                                             {"via", given->next_hop},
                                             {"reason", given->reason}});
    ipc::OrderList list;
    list.request = query.request;
    list.orders.push_back(std::move(*given));
    return list;
}

ipc::Answer Admin::end_order(const ipc::EndOrder& query) {
    if (!queue_.loaded()) // what it holds could not be released
        return failed(query.request, "the queue is still being read: try again");
    if (Result<void> ended = queue_.orders().end(query.number, queue_.executor().wall_seconds());
        !ended)
        return failed(query.request, ended.error().message);
    queue_.orders_changed();
    log::info("an operator's order is ended", {{"order", query.number}});
    ipc::Done done;
    done.request = query.request;
    return done;
}

ipc::Answer Admin::list_orders(const ipc::OrderQuery& query) {
    ipc::OrderList list;
    list.request = query.request;
    list.orders = queue_.orders().standing(queue_.executor().wall_seconds());
    return list;
}

ipc::Answer Admin::list_destinations(const ipc::DestinationQuery& query) {
    ipc::DestinationPage page;
    page.request = query.request;
    page.after = query.after;
    size_t room = page_room;
    while (page.entries.size() < page_limit) {
        uint32_t number = page.after;
        std::optional<ipc::DestinationEntry> entry = queue_.scheduler().after(number);
        if (!entry)
            return page;
        const size_t size = 128 + entry->destination.size() + entry->reason.size();
        if (size > room)
            break;
        room -= size;
        page.after = number;
        page.entries.push_back(std::move(*entry));
    }
    page.last = false;
    return page;
}

ipc::Answer Admin::pause(const ipc::Pause& query) {
    switch (query.subsystem) {
    case ipc::Subsystem::mta:
        queue_.scheduler().pause_relays(query.paused);
        break;
    case ipc::Subsystem::mda:
        queue_.scheduler().pause_local(query.paused);
        break;
    case ipc::Subsystem::smtp:
        return failed(query.request, "the queue accepts no connections");
    }
    queue_.wake();
    ipc::Done done;
    done.request = query.request;
    return done;
}

// A piece may take longer than control waits for an answer, on a disk that is failing: whoever asks
// is told in time that there is nothing new yet, and asks again.
std::optional<ipc::Answer> Admin::check_spool(const ipc::SpoolCheck& question) {
    const bool anew = question.check == 0;
    if (!anew && question.check != check_)
        return failed(question.request, "another check of the spool has been begun");
    std::optional<ipc::SpoolChecked> ready = take_checked(); // that nobody has waited for
    if (ready && !anew) {
        ready->request = question.request;
        return ready;
    }
    if (!checking_ || anew) {
        if (Result<void> begun = queue_.spool().check(anew); !begun)
            return failed(question.request, begun.error().message);
        checking_ = true;
        check_ += anew;
        damaged_ = anew ? 0 : damaged_;
    }
    check_request_ = question.request;
    impatience_.arm(queue_.executor(), queue_.executor().now() + patience);
    return std::nullopt;
}

std::optional<ipc::SpoolChecked> Admin::take_checked() {
    std::optional<SpoolCheckPiece> piece = queue_.spool().take_checked();
    if (!piece)
        return std::nullopt;
    checking_ = false;
    damaged_ = piece->totals.damaged;
    ipc::SpoolChecked answer;
    answer.check = check_;
    answer.last = piece->last;
    answer.damaged = damaged_;
    answer.lines = std::move(piece->lines);
    return answer;
}

void Admin::collect() {
    if (!check_request_)
        return;
    std::optional<ipc::SpoolChecked> answer = take_checked();
    if (!answer)
        return;
    impatience_.disarm();
    answer->request = *std::exchange(check_request_, std::nullopt);
    answer_(std::move(*answer));
}

void Admin::tell_checking() {
    ipc::SpoolChecked answer;
    answer.request = *std::exchange(check_request_, std::nullopt);
    answer.check = check_;
    answer.last = false;
    answer.damaged = damaged_;
    answer_(std::move(answer));
}

} // namespace postern
