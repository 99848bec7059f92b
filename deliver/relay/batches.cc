// See batches.h.
#include "deliver/relay/batches.h"

#include <algorithm>
#include <set>

#include "common/mail/domain.h"

namespace postern::relay {

namespace {

Abilities everything() {
    static const EhloCapabilities all = [] {
        EhloCapabilities offered;
        offered.eight_bit_mime = offered.chunking = offered.binary_mime = true;
        offered.smtp_utf8 = offered.deliver_by = true;
        return offered;
    }();
    return Abilities{all};
}

} // namespace

Batches::Batches(const ClientSession& session, const Message& message,
                 std::vector<Recipient>& recipients, const Random& random)
    : session_(session), message_(message),
      random_(random), next_hop_{session.capabilities(), session.lmtp()} {
    for (Recipient& recipient : recipients)
        if (recipient.verdict == Verdict::open)
            waiting_.push_back(&recipient);
    refuse_unacceptable();
    const uint64_t stated = session.capabilities().rcpt_max.value_or(recipients_per_transaction);
    limit_ =
        static_cast<size_t>(std::clamp<uint64_t>(stated, 1, uint64_t{recipients_per_transaction}));
    if (waiting_.size() > limit_ || session.capabilities().rcpt_domain_max)
        begin_anywhere();
}

void Batches::begin_anywhere() {
    if (waiting_.size() > 1)
        std::rotate(waiting_.begin(),
                    waiting_.begin() + static_cast<std::ptrdiff_t>(random_(waiting_.size())),
                    waiting_.end());
}

// The message as a whole, now: there may be too little left of its time for another transaction.
bool Batches::acceptable() {
    std::optional<Diagnosis> obstacle = find_obstacle(message_, next_hop_, session_.now());
    if (!obstacle)
        return true;
    obstacle->remote = session_.remote();
    const bool later = session_.for_now() && !find_obstacle(message_, everything(), session_.now());
    for (Recipient* recipient : waiting_)
        refuse(*recipient, *obstacle, later);
    waiting_.clear();
    return false;
}

// `later`: a server that offers everything could take it, and this one may do so as soon as TLS
// works again.
void Batches::refuse(Recipient& recipient, Diagnosis obstacle, bool later) {
    if (later)
        obstacle.status = obstacle.status.as(4);
    decide(recipient, later ? Verdict::temporary : Verdict::permanent, std::move(obstacle));
}

void Batches::refuse_unacceptable() {
    std::erase_if(waiting_, [this](Recipient* recipient) {
        std::optional<Diagnosis> obstacle = find_obstacle(*recipient, next_hop_);
        if (!obstacle)
            return false;
        obstacle->remote = session_.remote();
        refuse(*recipient, std::move(*obstacle),
               session_.for_now() && !find_obstacle(*recipient, everything()));
        return true;
    });
}

bool Batches::next() {
    present_.clear();
    overflow_.clear();
    if (acceptable())
        take();
    utf8_ = needs_utf8(message_) ||
            std::any_of(present_.begin(), present_.end(),
                        [](const Recipient* recipient) { return needs_utf8(*recipient); });
    return !present_.empty();
}

void Batches::take() {
    const auto domains_limit = session_.capabilities().rcpt_domain_max; // RFC 9422
    std::set<std::string> domains;
    size_t taken = 0;
    while (taken < waiting_.size() && taken < limit_) {
        if (domains_limit) {
            const std::string& address = waiting_[taken]->address;
            domains.insert(normalize_domain(address.substr(address.rfind('@') + 1)));
            if (taken > 0 && domains.size() > *domains_limit)
                break;
        }
        ++taken;
    }
    const auto end = waiting_.begin() + static_cast<std::ptrdiff_t>(taken);
    present_.assign(waiting_.begin(), end);
    waiting_.erase(waiting_.begin(), end);
}

std::vector<Recipient*> Batches::later() const {
    std::vector<Recipient*> result = overflow_;
    result.insert(result.end(), waiting_.begin(), waiting_.end());
    return result;
}

void Batches::take_all() {
    present_.insert(present_.end(), waiting_.begin(), waiting_.end());
    waiting_.clear();
}

void Batches::settle_put_off(size_t accepted) {
    if (overflow_.empty())
        return;
    if (accepted == 0) {
        for (Recipient* recipient : overflow_)
            recipient->verdict = Verdict::temporary;
        return;
    }
    limit_ = accepted;
    waiting_.insert(waiting_.begin(), overflow_.begin(), overflow_.end());
    begin_anywhere();
}

} // namespace postern::relay
