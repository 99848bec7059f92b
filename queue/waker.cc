#include "queue/waker.h"

#include "common/base/log.h"
#include "common/mail/domain.h"
#include "queue/queue.h"

namespace postern {

namespace {

std::string domain_of(const std::string& recipient) {
    const size_t at = recipient.rfind('@');
    return at == std::string::npos ? std::string() : normalize_domain(recipient.substr(at + 1));
}

bool is_below(const std::string& name, const std::string& domain) {
    return name.size() > domain.size() && name.ends_with(domain) &&
           name[name.size() - domain.size() - 1] == '.';
}

} // namespace

// False: it was asked for a short while ago, or there is no room to know.
bool Waker::remember(const std::string& key) {
    const TimePoint now = queue_.executor().now();
    std::erase_if(recent_, [now](const auto& one) { return one.second + interval <= now; });
    return recent_.size() < max_domains && rounds_.size() < max_rounds &&
           recent_.emplace(key, now).second;
}

void Waker::wake(const ipc::Wake& question, Answer answer) {
    const std::string domain = normalize_domain(question.domain);
    if (!remember((question.subdomains ? "@" : "") + domain))
        return answer(ipc::WakeResult::too_soon, 0);
    Round& round = rounds_.emplace_back();
    round.domain = domain;
    round.subdomains = question.subdomains;
    round.answer = std::move(answer);
    queue_.executor().schedule(*this);
}

void Waker::call() {
    Round& round = rounds_.front();
    for (size_t looked_at = 0; looked_at < cost_per_turn;) {
        const QueuedMessage* in_table = queue_.table().after(round.last);
        const ParkedMessage* parked = queue_.parked().after(round.last);
        if (!in_table && !parked)
            return finish();
        if (in_table && (!parked || in_table->id < parked->id)) {
            round.last = in_table->id;
            round.messages += try_now(*queue_.table().find(round.last), round);
            ++looked_at;
        } else {
            round.last = parked->id;
            round.messages += try_parked_now(*parked, round);
            looked_at += cost_of_parked;
        }
    }
    queue_.executor().schedule(*this);
}

// The first of the rounds is over.
void Waker::finish() {
    const Round done = std::move(rounds_.front());
    rounds_.pop_front();
    if (!rounds_.empty())
        queue_.executor().schedule(*this);
    queue_.wake();
    log::info("mail was asked for", {{"domain", done.domain}, {"messages", done.messages}});
    done.answer(done.messages ? ipc::WakeResult::started : ipc::WakeResult::nothing, done.messages);
}

bool Waker::Round::wants(const std::string& recipient) const {
    const std::string name = domain_of(recipient);
    return name == domain || (subdomains && is_below(name, domain));
}

// It is read for a look, and due at once if it is one. Where it waits with others for a destination
// one that is tried finds out for all.
bool Waker::try_parked_now(const ParkedMessage& parked, Round& round) {
    MailTable table;
    const QueuedMessage* message = queue_.loader().view(parked.id, table);
    if (!message || message->payload().find(round.domain) == std::string_view::npos)
        return false;
    const ipc::Envelope envelope = message->read().envelope;
    if (envelope.release_at > queue_.executor().wall_seconds())
        return false;
    for (uint32_t index = 0; index < message->count; ++index) {
        if (message->recipients[index].stage == Stage::finished ||
            message->recipients[index].held || !round.wants(envelope.recipients[index]))
            continue;
        if (parked.destination)
            queue_.scheduler().lift(parked.destination);
        queue_.parked().hasten(parked.id);
        return true;
    }
    return false;
}

// Whether some of it waits for the domain.
bool Waker::try_now(QueuedMessage& message, Round& round) {
    // Domains are kept in lower case: where this one does not occur nothing has to be decoded.
    if (!message.unfinished || message.payload().find(round.domain) == std::string_view::npos)
        return false;
    const ipc::Envelope envelope = message.read().envelope;
    if (envelope.release_at > queue_.executor().wall_seconds())
        return false;
    std::set<uint32_t> recipients;
    bool changed = false;
    for (uint32_t index = 0; index < message.count; ++index) {
        QueuedRecipient& recipient = message.recipients[index];
        if (!round.wants(envelope.recipients[index]) || recipient.stage == Stage::finished ||
            recipient.stage == Stage::in_flight || recipient.stage == Stage::reporting ||
            recipient.held)
            continue;
        recipients.insert(index);
        if (recipient.stage != Stage::waiting)
            continue;
        recipient.next_attempt = 0;
        // One of them finds out whether a host that was away is back; that is enough.
        recipient.urgent = round.tried.insert(domain_of(envelope.recipients[index])).second;
        changed = true;
    }
    if (changed)
        queue_.reschedule(message);
    lift_holds(message, recipients);
    return !recipients.empty();
}

void Waker::lift_holds(QueuedMessage& message, const std::set<uint32_t>& recipients) {
    for (Job* job = message.jobs; job; job = job->sibling) {
        if (!job->listed || !queue_.scheduler().hold(job->destination))
            continue;
        bool wanted = false;
        for_each_recipient(*job, [&](uint32_t index) { wanted |= recipients.contains(index); });
        if (wanted)
            queue_.scheduler().lift(job->destination);
    }
}

} // namespace postern
