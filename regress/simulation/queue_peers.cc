// Those around the queue, and what they do.
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/crc32c.h"
#include "regress/simulation/queue_world.h"

namespace postern {

namespace {

using namespace std::chrono_literals;

constexpr size_t large = ipc::inline_content_limit + 1;

std::string domain(size_t number) { return "d" + std::to_string(number) + ".example"; }

ipc::ContentTraits traits_of(const std::string& content) {
    ipc::ContentTraits traits;
    traits.header_length = static_cast<uint32_t>(content.find("\r\n\r\n") + 4);
    return traits;
}

} // namespace

void QueueWorld::act() {
    const size_t kind = random.below(100);
    if (kind < 40)
        submit();
    else if (kind < 72)
        let_time_pass(Duration(random.below(static_cast<size_t>(Duration(4min).count()))));
    else if (kind < 80)
        run();
    else if (kind < 86)
        compare();
    else if (kind < 91)
        operate();
    else if (kind < 93)
        lose_deliverer(static_cast<uint16_t>(random.below(3)));
    else if (kind < 95)
        lie(static_cast<uint16_t>(random.below(3)));
    else if (kind < 97)
        reload();
    else if (kind < 98)
        let_time_pass(Duration(random.below(static_cast<size_t>(Duration(40min).count()))));
    else if (kind < 99) {
        uploads_.clear();
        queue_->intake().disconnect(0);
        ledger_.listener_died();
        connect_listener();
    } else {
        die(); // the process alone
        files.kill_process();
        start();
    }
}

// -- Clients.

ipc::Envelope QueueWorld::envelope() {
    ipc::Envelope envelope;
    envelope.origin.helo = "client.example";
    if (!chance(0.1))
        envelope.reverse_path = "s" + std::to_string(next_recipient_) + "@from.example";
    for (size_t count = chance(0.7) ? 1 : 2 + random.below(3); count > 0; --count) {
        RecipientParameters parameters;
        static constexpr Notify wishes[] = {notify::unspecified,
                                            notify::unspecified,
                                            notify::never,
                                            notify::failure,
                                            notify::success | notify::failure,
                                            notify::success,
                                            notify::delay};
        parameters.notify = wishes[random.below(std::size(wishes))];
        if (!parameters.empty())
            envelope.options.push_back(
                {static_cast<uint32_t>(envelope.recipients.size()), parameters});
        envelope.recipients.push_back("r" + std::to_string(next_recipient_++) + "@" +
                                      domain(random.below(4)));
    }
    if (chance(0.05))
        envelope.release_at = time_.wall_seconds() + static_cast<int64_t>(random.below(1000));
    if (chance(0.2))
        envelope.parameters.priority = static_cast<int8_t>(random.below(9) - 4);
    if (chance(0.2))
        envelope.parameters.returned = Returned::all;
    return envelope;
}

void QueueWorld::submit() {
    const uint32_t request = next_request_++;
    std::string content = "Subject: " + std::to_string(request) + "\r\n\r\n";
    if (chance(0.02)) {
        content += std::string(large + random.below(20000), 'x') + "\r\n";
        uploads_[request] = Upload{envelope(), std::move(content)};
        ledger_.submitted(request, uploads_[request].envelope);
        ipc::ContentFileRequest question;
        question.request = request;
        if (!queue_->intake().handle(0, question))
            ledger_.fail("a listener is cut off");
        return;
    }
    content += std::string(random.below(chance(0.8) ? 200 : 4000), 'y') + "\r\n";
    ipc::Submit submit;
    submit.request = request;
    submit.envelope = envelope();
    submit.traits = traits_of(content);
    submit.content.bytes = std::move(content);
    ledger_.submitted(request, submit.envelope);
    if (!queue_->intake().handle(0, std::move(submit)))
        ledger_.fail("a listener is cut off");
}

void QueueWorld::upload(ipc::ContentFile file) {
    auto found = uploads_.find(file.request);
    Upload upload = std::move(found->second);
    uploads_.erase(found);
    if (chance(0.1)) {
        ledger_.refused(file.request);
        ipc::Abandon abandon;
        abandon.request = file.request;
        queue_->intake().handle(0, abandon);
        return;
    }
    const std::string& content = upload.content;
    if (::pwrite(file.file.get(), content.data(), content.size(), 0) !=
        static_cast<ssize_t>(content.size()))
        ledger_.fail("content cannot be written");
    ipc::Submit submit;
    submit.request = file.request;
    submit.envelope = std::move(upload.envelope);
    submit.traits = traits_of(content);
    submit.file_length = content.size();
    submit.file_checksum = crc32c(content);
    if (!queue_->intake().handle(0, std::move(submit)))
        ledger_.fail("a listener is cut off");
}

void QueueWorld::listen(ipc::QueueToListener message) {
    if (auto* durable = std::get_if<ipc::Durable>(&message))
        ledger_.durable(durable->request, durable->message);
    auto* refused = std::get_if<ipc::Refused>(&message);
    if (refused && !files.stopped()) { // else there is nobody left to be told
        uploads_.erase(refused->request);
        ledger_.refused(refused->request);
    }
    if (auto* file = std::get_if<ipc::ContentFile>(&message))
        upload(std::move(*file));
}

// -- Lookup.

// One of those in a recipient's place: "r17@d1.example" → "r17.t0@d2.example".
std::string QueueWorld::other(const std::string& recipient, const char* kind, size_t number) {
    const size_t at = recipient.find('@');
    return recipient.substr(0, at) + "." + kind + std::to_string(number) + "@" +
           domain(1 + number % 3);
}

// How many are in its place: some recipients' numbers have it so.
size_t QueueWorld::expands(const std::string& recipient, size_t divisor) {
    if (recipient.front() != 'r' || recipient.find('.') < recipient.find('@'))
        return 0;
    const size_t number = std::stoul(recipient.substr(1));
    return number % divisor == 0 ? 1 + number % 3 : 0;
}

void QueueWorld::expand(const ipc::RouteQuery& query, size_t others, ipc::RouteAnswer& answer) {
    std::vector<std::string> names;
    const bool list = others == 2 && !query.reverse_path.empty();
    for (size_t i = 0; i < others; ++i) {
        names.push_back(other(query.recipient, "t", i));
        ipc::ExpandedRecipient& one = answer.expanded.emplace_back();
        one.recipient = names.back();
        if (list)
            one.owner = "owner-" + query.recipient;
    }
    answer.verdict = ipc::RouteVerdict::expanded;
    answer.route = {};
    ledger_.expanded(query.recipient, names, others > 1);
}

bool QueueWorld::answer_questions() {
    if (questions_.empty() || (!easy_ && chance(0.1)))
        return false;
    for (ipc::RouteQuery& query : std::exchange(questions_, {}))
        if (!queue_->routing().answer(route(query)))
            ledger_.fail("lookup is cut off");
    return true;
}

ipc::RouteAnswer QueueWorld::route(const ipc::RouteQuery& query) {
    ipc::RouteAnswer answer;
    answer.request = query.request;
    answer.verdict = ipc::RouteVerdict::accepted;
    const std::string domain = query.recipient.substr(query.recipient.rfind('@') + 1);
    answer.route.action = "out";
    answer.route.domain = domain;
    if (domain == "d0.example") {
        answer.route.kind = ActionKind::maildir;
        answer.route.action = "box";
        answer.route.user = "somebody";
    }
    if (const size_t others = expands(query.recipient, 5); others && !query.origin.internal)
        expand(query, others, answer);
    if (easy_ || chance(0.88))
        return answer;
    static constexpr ipc::RouteVerdict verdicts[] = {
        ipc::RouteVerdict::temporary, ipc::RouteVerdict::no_rule, ipc::RouteVerdict::temporary,
        ipc::RouteVerdict::refused, ipc::RouteVerdict::no_mailbox};
    // A report always goes somewhere: it would vanish unseen.
    answer.expanded.clear();
    answer.verdict = verdicts[random.below(query.origin.internal ? 3 : std::size(verdicts))];
    if (answer.verdict == ipc::RouteVerdict::refused ||
        answer.verdict == ipc::RouteVerdict::no_mailbox)
        ledger_.refused_by_rule(query.recipient);
    return answer;
}

// -- Deliverers.

void QueueWorld::take(uint16_t deliverer, ipc::Deliver deliver) {
    const QueuedMessage* message = queue_->table().find(deliver.message);
    std::string content = std::move(deliver.content.bytes);
    if (!deliver.file.empty()) {
        content.resize(deliver.file_length);
        if (::pread(deliver.file[0].get(), content.data(), content.size(), 0) !=
            static_cast<ssize_t>(content.size()))
            ledger_.fail("content is shorter than it was");
    }
    Open open{deliverer,
              deliver.delivery,
              ledger_.handed(deliver, *message, content),
              {},
              message->read().envelope.origin.internal};
    for (const ipc::DeliveryRecipient& recipient : deliver.recipients)
        open.addresses[recipient.index] = recipient.address;
    open_.push_back(std::move(open));
}

bool QueueWorld::answer_deliveries() {
    bool any = false;
    for (Open& open : std::exchange(open_, {})) {
        if (!easy_ && !finishing_ && chance(0.3)) {
            open_.push_back(std::move(open)); // later
            continue;
        }
        answer_delivery(std::move(open));
        any = true;
    }
    return any;
}

ipc::RecipientOutcome QueueWorld::outcome() {
    ipc::RecipientOutcome outcome;
    outcome.status = ipc::RecipientStatus::delivered;
    outcome.enhanced = "2.0.0";
    outcome.diagnostic = "250 2.0.0 queued";
    outcome.from_remote = true;
    outcome.remote = "mx.example[192.0.2.1]:25";
    if (chance(0.5))
        outcome.handover = ipc::Handover::delivered;
    if (easy_ || chance(0.6))
        return outcome;
    const bool temporary = chance(0.6);
    outcome.status = temporary ? ipc::RecipientStatus::temporary : ipc::RecipientStatus::permanent;
    outcome.enhanced = temporary ? "4.3.0" : "5.1.1";
    outcome.diagnostic = temporary ? "451 4.3.0 later" : "550 5.1.1 nobody";
    return outcome;
}

void QueueWorld::answer_delivery(Open open) {
    ipc::Outcome answer;
    answer.delivery = open.delivery;
    answer.destination_down = !easy_ && chance(0.1);
    for (uint32_t index : open.handed.recipients) {
        ipc::RecipientOutcome one = outcome();
        one.index = index;
        if (answer.destination_down)
            one.status = ipc::RecipientStatus::temporary;
        else if (const std::string& address = open.addresses.at(index);
                 one.status == ipc::RecipientStatus::delivered && !open.internal &&
                 open.deliverer == Scheduler::local_deliverer)
            forward(address, one);
        ledger_.ended(open.handed.message, index, one.status);
        answer.recipients.push_back(std::move(one));
    }
    if (!easy_ && chance(0.05) &&
        answer.recipients.back().status == ipc::RecipientStatus::temporary)
        answer.recipients.pop_back(); // a missing one is temporary
    if (!queue_->outcome(open.deliverer, std::move(answer)))
        ledger_.fail("a deliverer is cut off");
}

// A .forward has others in its place.
void QueueWorld::forward(const std::string& recipient, ipc::RecipientOutcome& outcome) {
    const size_t others = expands(recipient, 7);
    if (!others || recipient.find("@d0.") == std::string::npos)
        return;
    outcome.status = ipc::RecipientStatus::forwarded;
    std::vector<std::string> names;
    for (size_t i = 0; i < others; ++i) {
        names.push_back(other(recipient, "f", i));
        outcome.targets.emplace_back().text = names.back();
    }
    ledger_.expanded(recipient, names, others > 1);
}

// An outcome that no sane deliverer has; it is cut off, and what it had comes back.
void QueueWorld::lie(uint16_t deliverer) {
    ipc::Outcome lie;
    ipc::RecipientOutcome one = outcome();
    lie.delivery = 1 + random.below(100);
    for (const Open& open : open_) {
        if (open.deliverer == deliverer) {
            lie.delivery = open.delivery;
            one.index = open.handed.recipients.front();
        }
    }
    if (chance(0.5))
        one.index += 1000; // a recipient that it does not have
    lie.recipients = {one, one};
    if (queue_->outcome(deliverer, std::move(lie)))
        ledger_.fail("a lie is believed");
    lose_deliverer(deliverer);
}

// -- Operators.

void QueueWorld::operate() {
    const size_t kind = random.below(9);
    if (kind < 2)
        return remove_something();
    if (kind >= 7)
        return kind == 7 ? give_order() : end_order();
    ipc::Question question;
    if (kind < 5) {
        ipc::Change change;
        change.request = next_request_++;
        change.kind = kind == 2   ? ipc::ChangeKind::schedule
                      : kind == 3 ? ipc::ChangeKind::hold
                                  : ipc::ChangeKind::release;
        if (change.kind == ipc::ChangeKind::hold && chance(0.5))
            change.until = time_.wall_seconds() + static_cast<int64_t>(random.below(1000));
        question = change;
    } else {
        const auto subsystem = chance(0.5) ? ipc::Subsystem::mta : ipc::Subsystem::mda;
        question = ipc::Pause{next_request_++, subsystem, chance(0.4)};
    }
    admin_->ask(question);
}

void QueueWorld::remove_something() {
    std::vector<uint64_t> ids;
    for (QueuedMessage* message = queue_->table().after(0); message;
         message = queue_->table().after(message->id))
        ids.push_back(message->id);
    if (ids.empty())
        return;
    ipc::Change remove;
    remove.kind = ipc::ChangeKind::remove;
    remove.request = next_request_++;
    remove.message = ids[random.below(ids.size())];
    if (chance(0.5))
        remove.index = static_cast<uint32_t>(random.below(2));
    if (const QueuedMessage* message = queue_->table().find(*remove.message))
        ledger_.noticed(*message);
    ipc::Question question = remove;
    if (admin_->ask(question))
        return; // there is no such recipient, or none that is left
    removals_[remove.request] = remove;
    if (const QueuedMessage* message = queue_->table().find(*remove.message)) {
        if (const StoredMessage stored = message->read(); stored.cause && !stored.descent)
            ledger_.report_removed(*stored.cause);
    }
    ledger_.removed(*remove.message, remove.index, false);
}

void QueueWorld::give_order() {
    ipc::GiveOrder give;
    give.request = next_request_++;
    ipc::StandingOrder& order = give.order;
    order.recipient = "*@" + domain(random.below(4));
    if (chance(0.5))
        order.until = time_.wall_seconds() + static_cast<int64_t>(random.below(1000));
    if (chance(0.5)) {
        order.kind = ipc::OrderKind::reroute;
        order.host.emplace().host = "elsewhere.example";
    }
    ipc::Question question = give;
    const std::optional<ipc::Answer> answer = admin_->ask(question);
    if (const auto* given = std::get_if<ipc::OrderList>(&*answer))
        orders_[given->orders.at(0).number] = given->orders.at(0).until;
}

// Whoever cannot end it may have ended it nevertheless: nothing is known of it then.
void QueueWorld::end_order() {
    if (orders_.empty())
        return;
    const auto order = orders_.begin();
    ipc::EndOrder end;
    end.request = next_request_++;
    end.number = order->first;
    ipc::Question question = end;
    const std::optional<ipc::Answer> answer = admin_->ask(question);
    if (std::get<ipc::Done>(*answer).ok)
        ended_orders_.insert(order->first);
    ipc::Change release;
    release.request = next_request_++;
    release.kind = ipc::ChangeKind::release;
    release.filter.order = order->first;
    orders_.erase(order);
    question = release;
    admin_->ask(question);
}

void QueueWorld::take_answer(const ipc::Answer& answer) {
    const uint32_t request = std::visit([](const auto& one) { return one.request; }, answer);
    auto found = removals_.find(request);
    if (found == removals_.end())
        return;
    if (std::holds_alternative<ipc::Changed>(answer))
        ledger_.removed(*found->second.message, found->second.index, true);
    removals_.erase(found);
}

void QueueWorld::reload() {
    if (chance(0.3)) {
        queue_->routing().disconnect();
        return connect_lookup();
    }
    if (chance(0.5))
        return queue_->routing().changed();
    settings_.retry_delay = std::chrono::seconds(30 + random.below(100));
    settings_.max_per_destination = 1 + static_cast<uint32_t>(random.below(3));
    settings_.warn_delays.clear();
    if (chance(0.5))
        settings_.warn_delays = {std::chrono::seconds(200 + random.below(600)), 2000s};
    queue_->configure(settings_);
}

} // namespace postern
