#include "smtpd/policy/policies.h"

#include <algorithm>

#include "common/base/log.h"
#include "common/mail/domain.h"
#include "common/smtp/domain_name.h"
#include "common/smtp/text.h"
#include "smtpd/policy/sts_policy.h"
#include "smtpd/policy/sts_record.h"

namespace postern::policy {

namespace {

constexpr size_t failures_limit = 10'000; // domains; then all are forgotten

ipc::PolicyAnswer answer_of(const KeptPolicy* kept) {
    ipc::PolicyAnswer answer;
    answer.known = true;
    if (kept)
        answer.policy = kept->policy;
    return answer;
}

// RFC 8461 3.3: 200 and no other status; the type is "text/plain", so that a host which lets its
// users publish pages does not let them publish policies.
Result<std::string> text_of(HttpsReply reply) {
    if (reply.status != 200)
        return Error{"the HTTP status is " + std::to_string(reply.status)};
    const std::string type = reply.content_type.substr(0, reply.content_type.find_first_of("; \t"));
    if (!equal_ignoring_case(type, "text/plain"))
        return Error{"the content type is " + sanitize(reply.content_type, 100)};
    return std::move(reply.body);
}

ipc::TlsResult result_of_fetch(const Error& error) {
    return error.code == HttpsClient::not_verified ? ipc::TlsResult::sts_webpki_invalid
                                                   : ipc::TlsResult::sts_policy_fetch_error;
}

} // namespace

Policies::Policies(Executor& executor, PolicyStore& store, World world, Counters& counters)
    : executor_(executor), store_(store), world_(std::move(world)), counters_(counters) {
    for (const char* name : {"policy.queries", "policy.fetched", "policy.failed", "policy.later"})
        counters_[name]; // there from the start
}

Task<ipc::PolicyAnswer> Policies::find(std::string domain) {
    ++counters_["policy.queries"];
    domain = normalize_domain(domain);
    if (!is_domain(domain))
        co_return answer_of(nullptr);
    ipc::ResolveQuery query = question(ipc::RecordType::txt, sts_record_name(domain));
    const ipc::ResolveAnswer record = co_await world_.resolve(std::move(query), resolve_limit);
    const std::optional<std::string> id = sts_record_id(record);
    const KeptPolicy* kept = store_.find(domain, executor_.wall_seconds());
    if (!id && !kept)
        co_return answer_of(nullptr);
    // Whoever hides the record does not keep the policy from being refreshed (10.2).
    const std::string wanted = id.value_or(kept ? kept->policy.id : std::string());
    const bool current = kept && kept->policy.id == wanted;
    if ((current && !stale(*kept)) || failed_lately(domain, wanted))
        co_return answer_of(kept);
    if (!fetches_.contains(domain) && fetches_.size() >= fetch_limit) {
        if (kept)
            co_return answer_of(kept);
        ++counters_["policy.later"];
        co_return ipc::PolicyAnswer();
    }
    std::shared_ptr<Fetch> fetch = begin(domain, wanted);
    if (current) // it is fetched for those to come
        co_return answer_of(kept);
    co_await wait_for(std::move(fetch));
    co_return answer_of(store_.find(domain, executor_.wall_seconds()));
}

// A clock that was set back makes a policy one of the future.
bool Policies::stale(const KeptPolicy& kept) const {
    const int64_t age = executor_.wall_seconds() - kept.fetched_at;
    const int64_t limit =
        std::min<int64_t>(std::chrono::seconds(refresh_after).count(), kept.policy.max_age / 2);
    return age < 0 || age >= limit;
}

bool Policies::failed_lately(const std::string& domain, const std::string& id) const {
    const auto found = failures_.find(domain);
    return found != failures_.end() && found->second.id == id &&
           found->second.until > executor_.now();
}

std::shared_ptr<Policies::Fetch> Policies::begin(const std::string& domain, const std::string& id) {
    if (const auto found = fetches_.find(domain); found != fetches_.end())
        return found->second;
    auto fetch = std::make_shared<Fetch>();
    fetches_[domain] = fetch;
    tasks_.spawn(this->fetch(domain, id));
    return fetch;
}

Task<void> Policies::wait_for(std::shared_ptr<Fetch> fetch) {
    struct Waiter {
        Waiter(Executor& executor, Fetch& fetch) : done(executor), fetch(fetch) {
            fetch.waiting.push_back(&done);
        }
        ~Waiter() { std::erase(fetch.waiting, &done); }
        Waiter(const Waiter&) = delete;
        Completion<bool> done;
        Fetch& fetch;
    };
    if (fetch->over)
        co_return;
    Waiter waiter(executor_, *fetch);
    co_await waiter.done.wait(answer_limit - resolve_limit);
}

Task<void> Policies::fetch(std::string domain, std::string id) {
    Result<std::string> text = co_await get_text(domain);
    if (!text) {
        note_failure(domain, id, result_of_fetch(text.error()), text.error());
    } else if (const Result<ipc::StsPolicy> parsed = parse_sts_policy(*text); !parsed) {
        note_failure(domain, id, ipc::TlsResult::sts_policy_invalid, parsed.error());
    } else {
        ++counters_["policy.fetched"];
        failures_.erase(domain);
        const Result<void> written = store_.keep(domain, id, *text, executor_.wall_seconds());
        if (!written)
            log::error("an MTA-STS policy cannot be written down",
                       {{"domain", domain}, {"reason", written.error().message}});
    }
    const auto found = fetches_.find(domain);
    found->second->over = true;
    for (Completion<bool>* waiting : found->second->waiting)
        waiting->complete(true);
    fetches_.erase(found);
}

Task<Result<std::string>> Policies::get_text(const std::string& domain) {
    HttpsRequest request;
    request.host = policy_host(domain);
    request.path = policy_path;
    request.body_limit = policy_text_limit;
    request.limit = fetch_time;
    request.addresses = co_await addresses_of(world_.resolve, request.host);
    if (request.addresses.empty())
        co_return Error{request.host + " has no public address"};
    Result<HttpsReply> reply = co_await world_.send(std::move(request));
    if (!reply)
        co_return reply.error();
    co_return text_of(*std::move(reply));
}

void Policies::note_failure(const std::string& domain, const std::string& id, ipc::TlsResult how,
                            const Error& why) {
    ++counters_["policy.failed"];
    log::warning("an MTA-STS policy cannot be fetched",
                 {{"domain", domain}, {"reason", why.message}});
    world_.report(domain, how, why.message);
    if (failures_.size() >= failures_limit)
        failures_.clear();
    failures_[domain] = {id, executor_.now() + pause_after_failure};
}

} // namespace postern::policy
