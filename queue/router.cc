#include "queue/router.h"

#include <algorithm>
#include <iterator>

#include "common/mail/domain.h"
#include "common/smtp/address.h"
#include "queue/expansion.h"

namespace postern {

namespace {

constexpr auto answer_limit = std::chrono::seconds(60);
// Recipients in others' place that are kept at once; those beyond it are asked for again later.
constexpr size_t expanded_limit = 500'000;
constexpr size_t expanded_enough = 100'000; // nothing more is asked for while there are so many
constexpr size_t words_limit = 512;         // bytes
constexpr size_t name_limit = 1024;         // bytes of any name in a route

std::string host_destination(const RelayTarget& target) {
    const RelayHost& host = target.host;
    if (!host.unix_path.empty())
        return "lmtp:" + host.unix_path;
    const char* scheme = "smtp://";
    if (host.scheme == RelayScheme::lmtp)
        scheme = "lmtp://";
    else if (host.scheme == RelayScheme::smtps)
        scheme = "smtps://";
    else if (host.scheme == RelayScheme::smtp_tls)
        scheme = "smtp+tls://";
    else if (host.scheme == RelayScheme::smtp_no_tls)
        scheme = "smtp+notls://";
    const std::string label = target.label.empty() ? "" : target.label + "@";
    return scheme + label + normalize_domain(host.host) + ":" + std::to_string(host.port);
}

// What keeps mail for a destination from going that would go on other terms, such as a certificate.
std::string tls_terms(const RelayTls& tls) {
    std::string terms = tls.required ? " tls" : "";
    if (!tls.mta_sts)
        terms += " no-mta-sts";
    if (!tls.verify)
        terms += " no-verify";
    if (!tls.authority.empty())
        terms += " ca " + tls.authority;
    if (!tls.ciphers.empty())
        terms += " ciphers " + tls.ciphers;
    if (!tls.tls_1_2 || !tls.tls_1_3)
        terms += tls.tls_1_2 ? " TLSv1.2" : " TLSv1.3";
    if (!tls.pki.empty())
        terms += " pki " + tls.pki;
    return terms;
}

bool sane(const RelayTarget& target) {
    return target.host.host.size() <= name_limit && target.host.unix_path.size() <= name_limit &&
           target.label.size() <= name_limit;
}

bool sane(const ipc::Route& route) {
    for (const std::string* name :
         {&route.action, &route.label, &route.credentials, &route.domain, &route.backup_name,
          &route.helo, &route.user, &route.tls.authority, &route.tls.ciphers, &route.tls.pki})
        if (name->size() > name_limit)
            return false;
    if ((route.host && !sane(RelayTarget{*route.host})) ||
        route.others.size() >= relay_hosts_limit || route.sources.size() > 2)
        return false;
    if (!std::all_of(route.others.begin(), route.others.end(),
                     [](const RelayTarget& other) { return sane(other); }))
        return false;
    for (const ipc::SourceAddress& source : route.sources)
        if (source.helo.size() > name_limit)
            return false;
    if (route.proxy &&
        (route.proxy->host.size() > name_limit || route.proxy->label.size() > name_limit))
        return false;
    if (route.reverse_path &&
        !parse_reverse_path("<" + *route.reverse_path + ">", nullptr, Internationalized::accepted))
        return false;
    switch (route.kind) {
    case ActionKind::relay:
        return route.host || !route.domain.empty();
    case ActionKind::lmtp:
        return route.host.has_value();
    case ActionKind::maildir:
    case ActionKind::mbox:
    case ActionKind::mda:
        return true;
    case ActionKind::expand_only:
    case ActionKind::forward_only:
        break; // no way to deliver
    }
    return false;
}

// Null: it is for a relay.
const char* local_name(ActionKind kind) {
    if (kind == ActionKind::maildir)
        return "maildir";
    if (kind == ActionKind::mbox)
        return "mbox";
    return kind == ActionKind::mda ? "mda" : nullptr;
}

// Those in its place were too many: one without an address stands for them.
void drop(RoutedRecipient& recipient) {
    recipient.expanded = std::vector<ipc::ExpandedRecipient>(1);
}
bool is_dropped(const RoutedRecipient& recipient) {
    return recipient.expanded.size() == 1 && recipient.expanded.front().recipient.empty();
}

} // namespace

Place place_of(const ipc::Route& route, const std::string& recipient) {
    Place place;
    if (local_name(route.kind)) {
        // A user's mailboxes and programs are nobody else's business: one that is full, or slow,
        // holds up no other's, under however many addresses his mail comes.
        place.local = true;
        place.destination = std::string(local_name(route.kind)) + ":" + route.action + ":" +
                            (route.user.empty() ? recipient : route.user);
        place.domain = domain_of_path(recipient);
        return place;
    }
    place.destination =
        route.host ? host_destination({*route.host, route.label}) : normalize_domain(route.domain);
    for (const RelayTarget& other : route.others)
        place.destination += "," + host_destination(other);
    place.domain = route.host ? route.host->host : route.domain;
    for (const ipc::SourceAddress& source : route.sources) {
        place.sources.push_back(source.address);
        place.destination += " from " + source.address.to_string();
    }
    if (route.proxy)
        place.destination += " through " + std::string(url_scheme(route.proxy->protocol)) +
                             route.proxy->host + ":" + std::to_string(route.proxy->port);
    place.destination += tls_terms(route.tls);
    return place;
}

Router::Router(Executor& executor, MailTable& table, Handlers handlers)
    : executor_(executor), table_(table), handlers_(std::move(handlers)) {}

void Router::connect(Ask ask) {
    disconnect(); // whoever was there before has died
    ask_ = std::move(ask);
}

void Router::disconnect() {
    ask_ = nullptr;
    questions_.clear();
    overdue_.disarm();
    std::list<Batch> lost = std::exchange(batches_, {});
    for (Batch& batch : lost) {
        forget_expanded(batch);
        give_back(batch);
    }
}

void Router::give_back(Batch& batch) {
    for (RoutedRecipient& recipient : batch.recipients)
        table_.routes.release(recipient.route);
    handlers_.unrouted(*batch.job);
}

size_t Router::room() const {
    // Large lists are waited for before more is asked: their answers are long.
    const bool takes_more =
        ask_ && questions_.size() < ipc::routing_credit && expanded_ < expanded_enough;
    return takes_more ? ipc::routing_credit - questions_.size() : 0;
}

void Router::route(Job& job) {
    Batch& batch = batches_.emplace_back();
    batch.self = std::prev(batches_.end());
    batch.job = &job;
    batch.deadline = executor_.now() + answer_limit;
    batch.generation = generation_;
    const StoredMessage message = job.message->read();
    for_each_recipient(job, [&](uint32_t index) {
        RoutedRecipient recipient;
        recipient.index = index;
        Question question;
        question.batch = &batch;
        question.slot = static_cast<uint32_t>(batch.recipients.size());
        question.recipient = message.envelope.recipients[index];
        ipc::RouteQuery query;
        query.request = next_request_++;
        query.origin = message.envelope.origin;
        query.reverse_path = message.envelope.reverse_path;
        query.recipient = question.recipient;
        if (const ipc::Target* target = message.envelope.target_of(index))
            query.target = *target;
        batch.recipients.push_back(std::move(recipient));
        batch.requests.push_back(query.request);
        questions_.emplace(query.request, std::move(question));
        ask_(std::move(query));
    });
    batch.unanswered = batch.recipients.size();
    if (!overdue_.armed())
        overdue_.arm(executor_, batch.deadline);
}

bool Router::answer(ipc::RouteAnswer answer) {
    auto found = questions_.find(answer.request);
    if (found == questions_.end())
        return true; // given up before
    const bool accepted = answer.verdict == ipc::RouteVerdict::accepted;
    if ((accepted && !sane(answer.route)) || answer.words.size() > words_limit)
        return false;
    Batch& batch = *found->second.batch;
    RoutedRecipient& recipient = batch.recipients[found->second.slot];
    recipient.verdict = answer.verdict;
    recipient.words = std::move(answer.words);
    if (answer.verdict == ipc::RouteVerdict::expanded && !take_expanded(recipient, answer))
        return false;
    if (answer.more)
        return true;
    if (accepted) {
        recipient.place = place_of(answer.route, found->second.recipient);
        recipient.route = table_.routes.intern(answer.route);
    }
    questions_.erase(found);
    if (--batch.unanswered == 0)
        finish(batch);
    return true;
}

// A part of those in the recipient's place. False: no sane lookup says that.
bool Router::take_expanded(RoutedRecipient& recipient, ipc::RouteAnswer& answer) {
    std::vector<ipc::ExpandedRecipient>& all = recipient.expanded;
    if (answer.expanded.empty() || all.size() + answer.expanded.size() > ipc::expansion_limit ||
        !std::all_of(answer.expanded.begin(), answer.expanded.end(),
                     [](const ipc::ExpandedRecipient& one) { return is_sane(one); }))
        return false;
    if (is_dropped(recipient))
        return true;
    if (expanded_ + answer.expanded.size() > expanded_limit) {
        expanded_ -= all.size();
        drop(recipient);
        ++expanded_;
        return true;
    }
    expanded_ += answer.expanded.size();
    std::move(answer.expanded.begin(), answer.expanded.end(), std::back_inserter(all));
    return true;
}

void Router::forget_expanded(Batch& batch) {
    for (RoutedRecipient& recipient : batch.recipients)
        expanded_ -= recipient.expanded.size();
}

void Router::finish(Batch& batch) {
    for (uint32_t request : batch.requests) {
        const auto open = batch.unanswered ? questions_.find(request) : questions_.end();
        if (open == questions_.end())
            continue;
        // Not even if a part of its answer has come.
        batch.recipients[open->second.slot].verdict = ipc::RouteVerdict::temporary;
        questions_.erase(open);
    }
    for (RoutedRecipient& recipient : batch.recipients)
        if (is_dropped(recipient)) // the others make room for it
            recipient.verdict = ipc::RouteVerdict::temporary;
    forget_expanded(batch);
    Batch done = std::move(batch);
    batches_.erase(done.self);
    if (done.generation != generation_)
        return give_back(done);
    handlers_.routed(*done.job, std::move(done.recipients));
}

void Router::give_up_overdue() {
    while (!batches_.empty() && batches_.front().deadline <= executor_.now())
        finish(batches_.front());
    if (!batches_.empty())
        overdue_.arm(executor_, batches_.front().deadline);
}

} // namespace postern
