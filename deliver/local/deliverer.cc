#include "deliver/local/deliverer.h"

#include <algorithm>
#include <sysexits.h>

#include "common/base/log.h"
#include "common/base/pipe.h"
#include "common/smtp/address.h"
#include "deliver/local/content.h"
#include "deliver/local/exit_status.h"
#include "deliver/local/mail_loop.h"

namespace postern {

namespace {

// All the targets of a .forward, or the beginning of what a command says.
constexpr size_t helper_output_limit = 64 * 1024;
constexpr const char* riddles = "the delivery program speaks in riddles";

ipc::RecipientOutcome not_now(const Error& error) {
    return outcome_of_exit(EX_TEMPFAIL, error.message);
}

bool is_local(ActionKind kind) {
    return kind == ActionKind::maildir || kind == ActionKind::mbox || kind == ActionKind::mda;
}

bool has_target(const ipc::DeliveryRecipient& recipient, ipc::TargetKind kind) {
    return recipient.target && recipient.target->kind == kind;
}

Method method_of(const ipc::Deliver& order, const ipc::DeliveryRecipient& recipient) {
    if (has_target(recipient, ipc::TargetKind::command))
        return Method::command;
    if (has_target(recipient, ipc::TargetKind::file))
        return Method::mailbox;
    return order.route.kind == ActionKind::mda ? Method::command : Method::mailbox;
}

// Of a command or the name of a file, in octets: the queue takes no longer ones.
constexpr size_t longest_text = 4096;

// What a .forward of this user may say: he has no say over others' mailboxes and programs.
bool is_his(const ipc::Target& target, const std::string& user) {
    switch (target.kind) {
    case ipc::TargetKind::address:
        return parse_forward_path("<" + target.text + ">", nullptr, Internationalized::accepted)
            .has_value();
    case ipc::TargetKind::mailbox:
        return target.text == user;
    case ipc::TargetKind::command:
    case ipc::TargetKind::file:
        return target.user == user && !target.text.empty() && target.text.size() <= longest_text &&
               target.text.find('\0') == std::string::npos;
    case ipc::TargetKind::user:
        return false;
    }
    return false;
}

// What a helper says that has found a .forward. It comes from a process of the user's: it is as
// good as his .forward, and has bounds.
ipc::RecipientOutcome outcome_of_forward(std::string_view said, const std::string& user) {
    ipc::Forwarded forwarded;
    if (!ipc::decode_bytes(said, forwarded) || forwarded.targets.empty() ||
        forwarded.targets.size() > ipc::forward_limit ||
        !std::all_of(forwarded.targets.begin(), forwarded.targets.end(),
                     [&](const ipc::Target& target) { return is_his(target, user); }))
        return outcome_of_exit(EX_TEMPFAIL, riddles);
    ipc::RecipientOutcome outcome;
    outcome.status = ipc::RecipientStatus::forwarded;
    outcome.handover = ipc::Handover::delivered;
    outcome.enhanced = "2.0.0";
    outcome.diagnostic = "forwarded to " + std::to_string(forwarded.targets.size()) +
                         (forwarded.targets.size() == 1 ? " recipient" : " recipients");
    outcome.targets = std::move(forwarded.targets);
    return outcome;
}

// What is wrong with it is nobody's business who can send him mail.
ipc::RecipientOutcome outcome_of_bad_forward(std::string_view said, const std::string& user) {
    log::warning("a .forward cannot be used",
                 {{"user", user}, {"reason", outcome_of_exit(EX_CANTCREAT, said).diagnostic}});
    return outcome_of_exit(EX_CANTCREAT, "the user's .forward cannot be used");
}

} // namespace

Deliverer::Deliverer(Executor& executor, Counters& counters, Limits limits, Peers peers)
    : executor_(executor), delivered_(counters["local.delivered"]),
      forwarded_(counters["local.forwarded"]), temporary_(counters["local.temporary"]),
      permanent_(counters["local.permanent"]), limits_(limits), peers_(std::move(peers)) {}

void Deliverer::queue_connected() {
    queue_lost();
    granted_ = limits_.helpers;
    peers_.to_queue(ipc::Capacity{limits_.helpers});
}

void Deliverer::queue_lost() {
    ++queue_;
    granted_ = open_ = 0;
    waiting_.clear(); // the queue has them still
}

void Deliverer::set_helpers(uint32_t helpers) {
    limits_.helpers = helpers;
    if (granted_ == 0)
        return;
    // With less it may still send what it was free to send until it hears of it.
    granted_ = std::max(granted_, helpers);
    peers_.to_queue(ipc::Capacity{helpers});
    start_waiting();
}

bool Deliverer::deliver(ipc::Deliver order) {
    if (open_ >= granted_)
        return false;
    ++open_;
    waiting_.push_back(std::move(order));
    start_waiting();
    return true;
}

void Deliverer::start_waiting() {
    while (!waiting_.empty() && running_ < limits_.helpers) {
        ipc::Deliver order = std::move(waiting_.front());
        waiting_.pop_front();
        ++running_;
        tasks_.spawn(run(queue_, std::move(order)));
    }
}

// The recipients of one delivery come one after the other: a delivery takes one helper's place.
Task<void> Deliverer::run(uint64_t queue, ipc::Deliver order) {
    ipc::Outcome outcome;
    outcome.delivery = order.delivery;
    Result<FileDescriptor> content = open_content(order);
    Result<std::string> header = content ? read_header(*content) : Result(std::string());
    for (const ipc::DeliveryRecipient& recipient : order.recipients) {
        ipc::RecipientOutcome one;
        if (!is_local(order.route.kind))
            one = outcome_of_exit(EX_CONFIG, "not a local delivery");
        else if (!content)
            one = not_now(content.error());
        else if (!header)
            one = not_now(header.error());
        else if (was_delivered_to(*header, recipient.address))
            one = outcome_of_loop();
        else
            one = co_await store(order, recipient, *content);
        one.index = recipient.index;
        one.remote = order.route.user;
        count(one.status);
        log::debug("local delivery", {{"to", recipient.address},
                                      {"user", order.route.user},
                                      {"dsn", one.enhanced},
                                      {"stat", one.diagnostic}});
        outcome.recipients.push_back(std::move(one));
    }
    finish(queue, std::move(outcome));
}

Task<ipc::RecipientOutcome> Deliverer::store(const ipc::Deliver& order,
                                             const ipc::DeliveryRecipient& recipient,
                                             const FileDescriptor& content) {
    Result<FileDescriptor> copy = duplicate(content);
    if (!copy)
        co_return not_now(copy.error());
    Result<Pipe> pipe = make_pipe();
    if (!pipe)
        co_return not_now(pipe.error());
    ipc::Spawn spawn;
    spawn.request = next_request_++;
    spawn.action = order.route.action;
    spawn.user = order.route.user;
    spawn.reverse_path = order.reverse_path;
    spawn.recipient = recipient.address;
    spawn.original_recipient = recipient.parameters.original_recipient;
    spawn.target = recipient.target;
    spawn.content = std::move(*copy);
    spawn.output = std::move(pipe->write_end);
    const uint32_t request = spawn.request;
    Ended ended(executor_);
    helpers_[request] = &ended;
    peers_.to_supervisor(std::move(spawn));
    const Spawned spawned{order.route.user, method_of(order, recipient), !recipient.target};
    ipc::RecipientOutcome outcome = co_await wait_for(request, ended, pipe->read_end, spawned);
    helpers_.erase(request);
    co_return outcome;
}

Task<ipc::RecipientOutcome> Deliverer::wait_for(uint32_t request, Ended& ended,
                                                const FileDescriptor& output,
                                                const Spawned& spawned) {
    std::optional<ipc::Exited> exited = co_await ended.wait(limits_.run_time);
    if (!exited) {
        peers_.to_supervisor(ipc::Kill{request});
        exited = co_await ended.wait(limits_.end_time);
        // It may have stored the message just before: then there will be two of it, not none.
        if (!exited || exited->status != EX_OK)
            co_return outcome_of_exit(EX_TEMPFAIL, "the delivery program took too long");
    }
    const std::string said = read_available(output, helper_output_limit);
    if (!exited->error.empty())
        co_return outcome_of_exit(exited->status,
                                  exited->error + (said.empty() ? "" : ": " + said));
    if (exited->status == ipc::helper_forward_unusable)
        co_return outcome_of_bad_forward(said, spawned.user);
    if (exited->status == ipc::helper_forwarded)
        co_return spawned.looks_at_forward ? outcome_of_forward(said, spawned.user)
                                           : outcome_of_exit(EX_TEMPFAIL, riddles);
    co_return outcome_of_exit(exited->status, said, spawned.method);
}

void Deliverer::exited(ipc::Exited exited) {
    // One that nobody waits for any more was told to end long ago.
    if (auto found = helpers_.find(exited.request); found != helpers_.end())
        found->second->complete(std::move(exited));
}

void Deliverer::count(ipc::RecipientStatus status) {
    switch (status) {
    case ipc::RecipientStatus::delivered:
        ++delivered_;
        break;
    case ipc::RecipientStatus::forwarded:
        ++forwarded_;
        break;
    case ipc::RecipientStatus::temporary:
        ++temporary_;
        break;
    case ipc::RecipientStatus::permanent:
        ++permanent_;
        break;
    }
}

void Deliverer::finish(uint64_t queue, ipc::Outcome outcome) {
    --running_;
    if (queue == queue_ && granted_ > 0) {
        --open_;
        peers_.to_queue(std::move(outcome));
    }
    start_waiting();
    if (running_ == 0 && on_drained_)
        on_drained_();
}

void Deliverer::drain(std::function<void()> on_drained) {
    on_drained_ = std::move(on_drained);
    if (running_ == 0)
        on_drained_();
}

} // namespace postern
