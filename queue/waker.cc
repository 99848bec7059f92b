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
    MailTable& table = queue_.table();
    size_t looked_at = 0;
    for (QueuedMessage* message = table.after(round.last); message;
         message = table.after(message->id)) {
        round.last = message->id;
        round.messages += try_now(*message, round);
        if (++looked_at == messages_per_turn)
            return queue_.executor().schedule(*this);
    }
    const Round done = std::move(round);
    rounds_.pop_front();
    if (!rounds_.empty())
        queue_.executor().schedule(*this);
    queue_.wake();
    log::info("mail was asked for", {{"domain", done.domain}, {"messages", done.messages}});
    done.answer(done.messages ? ipc::WakeResult::started : ipc::WakeResult::nothing, done.messages);
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
        const std::string domain = domain_of(envelope.recipients[index]);
        const bool wanted =
            domain == round.domain || (round.subdomains && is_below(domain, round.domain));
        if (!wanted || recipient.stage == Stage::finished || recipient.stage == Stage::in_flight ||
            recipient.stage == Stage::reporting)
            continue;
        recipients.insert(index);
        if (recipient.stage != Stage::waiting)
            continue;
        recipient.next_attempt = 0;
        // One of them finds out whether a host that was away is back; that is enough.
        recipient.urgent = round.tried.insert(domain).second;
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
