#include "queue/dispatch.h"

#include <algorithm>

#include "common/base/log.h"
#include "common/ipc/submission.h"
#include "common/mail/message_id.h"
#include "common/smtp/enhanced_status.h"
#include "common/smtp/remaining_time.h"
#include "queue/expansion.h"
#include "queue/lifetime.h"
#include "queue/scheduler.h"

namespace postern {

namespace {

constexpr size_t diagnostic_limit = 1024;
constexpr size_t remote_limit = 300;

// Deliverers sanitise what they heard; this only makes sure, and changes nothing if they did.
void make_harmless(std::string& text, size_t limit) {
    if (text.size() > limit)
        text.resize(limit);
    for (char& c : text)
        if (c < 0x20 || c >= 0x7f)
            c = '?';
}

// RFC 3463 2: the class has to say the same as the status.
std::string consistent_code(const ipc::RecipientOutcome& outcome) {
    int status_class = 2;
    if (outcome.status == ipc::RecipientStatus::temporary)
        status_class = 4;
    else if (outcome.status == ipc::RecipientStatus::permanent)
        status_class = 5;
    EnhancedStatusCode code = parse_enhanced_status(outcome.enhanced).value_or(status::undefined);
    return to_string(code.as(status_class));
}

// A user's .forward names addresses, his own mailbox, and what is run as him: nothing of others.
bool may_name(const ipc::Target& target, const std::string& user) {
    switch (target.kind) {
    case ipc::TargetKind::address:
        return true;
    case ipc::TargetKind::mailbox:
        return !user.empty() && target.text == user;
    case ipc::TargetKind::command:
    case ipc::TargetKind::file:
        return !user.empty() && target.user == user;
    case ipc::TargetKind::user:
        break; // lookup's to say
    }
    return false;
}

bool sane_targets(const ipc::RecipientOutcome& outcome,
                  const std::optional<std::string>& forwarder) {
    if (outcome.status != ipc::RecipientStatus::forwarded)
        return outcome.targets.empty();
    return forwarder && !outcome.targets.empty() && outcome.targets.size() <= ipc::forward_limit &&
           std::all_of(outcome.targets.begin(), outcome.targets.end(),
                       [&](const ipc::Target& target) {
                           return is_sane(target) && may_name(target, *forwarder);
                       });
}

} // namespace

Result<std::vector<ipc::RecipientOutcome>>
check_outcomes(const std::vector<uint32_t>& expected, std::vector<ipc::RecipientOutcome> outcomes,
               const std::optional<std::string>& forwarder) {
    std::unordered_map<uint32_t, bool> heard;
    for (uint32_t index : expected)
        heard.emplace(index, false);
    for (ipc::RecipientOutcome& outcome : outcomes) {
        auto found = heard.find(outcome.index);
        if (found == heard.end())
            return Error{"an outcome for a recipient that was not handed over"};
        if (found->second)
            return Error{"two outcomes for one recipient"};
        if (!sane_targets(outcome, forwarder)) {
            if (!forwarder || outcome.status != ipc::RecipientStatus::forwarded)
                return Error{"an outcome with targets that are none"};
            // A user's doing: to cut off local for it would end the deliveries of all others.
            outcome.status = ipc::RecipientStatus::temporary;
            outcome.targets.clear();
            outcome.enhanced = "4.3.5";
            outcome.diagnostic = "the user's .forward cannot be used";
        }
        found->second = true;
        make_harmless(outcome.diagnostic, diagnostic_limit);
        make_harmless(outcome.remote, remote_limit);
        make_harmless(outcome.tls, remote_limit);
        outcome.enhanced = consistent_code(outcome);
    }
    for (auto [index, was_heard] : heard) {
        if (was_heard)
            continue;
        ipc::RecipientOutcome missing;
        missing.index = index;
        missing.enhanced = "4.3.0";
        missing.diagnostic = "the attempt ended without a result";
        outcomes.push_back(std::move(missing));
    }
    return outcomes;
}

Dispatch::Dispatch(Spool& spool, FreshContents& fresh, MailTable& table, Handlers handlers)
    : spool_(spool), fresh_(fresh), table_(table), handlers_(std::move(handlers)) {}

void Dispatch::connect(uint16_t deliverer, Send send) {
    disconnect(deliverer); // whoever was there before has died
    if (deliverers_.size() <= deliverer)
        deliverers_.resize(deliverer + 1u);
    deliverers_[deliverer] = std::move(send);
}

void Dispatch::disconnect(uint16_t deliverer) {
    if (!connected(deliverer))
        return;
    deliverers_[deliverer] = nullptr;
    std::vector<std::pair<uint64_t, Job*>> lost;
    for (const auto& [number, delivery] : open_)
        if (delivery.deliverer == deliverer)
            lost.emplace_back(number, delivery.job);
    // Each goes back to the front: the last one handed out first.
    std::sort(lost.rbegin(), lost.rend());
    for (auto [number, job] : lost) {
        open_.erase(number);
        handlers_.lost(*job);
    }
}

bool Dispatch::connected(uint16_t deliverer) const {
    return deliverer < deliverers_.size() && deliverers_[deliverer];
}

Result<void> Dispatch::deliver(Job& job, WallTime now) {
    const StoredMessage message = job.message->read();
    ipc::Deliver deliver;
    if (Result<void> added = add_content(*job.message, deliver); !added)
        return added;
    deliver.delivery = next_delivery_++;
    deliver.message = job.message->id;
    deliver.route = table_.routes.get(job.route);
    deliver.reverse_path = deliver.route.reverse_path.value_or(message.envelope.reverse_path);
    if (deliver.route.reverse_path)
        log::info("sender rewritten", {{"message", to_string(MessageId{deliver.message})},
                                       {"from", message.envelope.reverse_path},
                                       {"as", deliver.reverse_path}});
    deliver.parameters = message.envelope.parameters;
    if (const auto deadline = wanted_by(message.envelope))
        deliver.parameters.deliver_by->seconds = remaining_time(*deadline, now);
    deliver.traits = message.traits;
    for_each_recipient(job, [&](uint32_t index) {
        ipc::DeliveryRecipient recipient;
        recipient.index = index;
        recipient.address = message.envelope.recipients[index];
        recipient.parameters = message.envelope.parameters_of(index);
        // A user's name is in the route.
        if (const ipc::Target* target = message.envelope.target_of(index);
            target && target->kind != ipc::TargetKind::user)
            recipient.target = *target;
        deliver.recipients.push_back(std::move(recipient));
        table_.set_stage(job.message->recipients[index], Stage::in_flight);
    });
    open_.emplace(deliver.delivery, Delivery{&job, job.deliverer});
    deliverers_[job.deliverer](std::move(deliver));
    return {};
}

Result<void> Dispatch::add_content(const QueuedMessage& message, ipc::Deliver& deliver) {
    if (std::optional<std::string> fresh = fresh_.take(message.id)) {
        deliver.content.bytes = *std::move(fresh);
        return {};
    }
    if (message.size <= ipc::inline_content_limit) {
        Result<std::string> content = spool_.read_content(message.id, 0, message.size);
        if (!content)
            return content.error();
        if (content->size() != message.size)
            return Error{"the content is cut short"};
        deliver.content.bytes = std::move(*content);
        return {};
    }
    Result<Content> content = spool_.open_content(message.id);
    if (!content)
        return content.error();
    if (!content->in_file)
        return Error{"large content without a file"};
    deliver.file.push_back(std::move(content->file));
    deliver.file_offset = content->offset;
    deliver.file_length = content->length;
    return {};
}

bool Dispatch::outcome(uint16_t deliverer, ipc::Outcome outcome) {
    auto found = open_.find(outcome.delivery);
    if (found == open_.end() || found->second.deliverer != deliverer)
        return false;
    Job& job = *found->second.job;
    std::vector<uint32_t> expected;
    for_each_recipient(job, [&](uint32_t index) { expected.push_back(index); });
    std::optional<std::string> forwarder;
    if (deliverer == Scheduler::local_deliverer)
        forwarder = table_.routes.get(job.route).user;
    Result<std::vector<ipc::RecipientOutcome>> outcomes =
        check_outcomes(expected, std::move(outcome.recipients), forwarder);
    if (!outcomes)
        return false;
    open_.erase(found);
    // Who took mail, or refused it, is there.
    bool down = outcome.destination_down;
    for (const ipc::RecipientOutcome& one : *outcomes)
        down &= one.status == ipc::RecipientStatus::temporary;
    handlers_.settled(job, down, std::move(*outcomes));
    return true;
}

} // namespace postern
