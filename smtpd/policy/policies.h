// Which MTA-STS policy is in force for a domain (RFC 8461 3 and 5.1): found by its TXT record,
// fetched, kept, and fetched anew when the record changes or it is a day old.
//
// Promises: a policy that is kept counts until it is over, whatever the DNS and the domain's server
// say or don't say meanwhile. Each question is answered within `answer_limit`. One fetch a domain
// at a time, `fetch_limit` in all; after one that failed, none for the same record for five
// minutes.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/ipc/resolution.h"
#include "common/ipc/transport_policy.h"
#include "common/loop/completion.h"
#include "common/loop/task.h"
#include "common/process/operator_port.h"
#include "smtpd/policy/https.h"
#include "smtpd/policy/policy_store.h"
#include "smtpd/policy/questions.h"

namespace postern::policy {

class Policies {
  public:
    static constexpr std::chrono::seconds answer_limit{45};
    static constexpr std::chrono::seconds fetch_time{15};         // for the HTTPS request
    static constexpr std::chrono::minutes pause_after_failure{5}; // RFC 8461 3.3
    static constexpr std::chrono::hours refresh_after{24};        // or half of what it holds for
    static constexpr size_t fetch_limit = 200;

    struct World {
        Resolve resolve;
        std::function<Task<Result<HttpsReply>>(HttpsRequest)> send;
        // A policy cannot be had, for the domain to be told (RFC 8460 4.3.2.2).
        std::function<void(const std::string& domain, ipc::TlsResult, const std::string& why)>
            report;
    };

    // Counts policy.queries, policy.fetched, policy.failed, policy.later.
    Policies(Executor& executor, PolicyStore& store, World world, Counters& counters);

    // `known` is false only when too much is being fetched already.
    Task<ipc::PolicyAnswer> find(std::string domain);

    size_t fetching() const { return fetches_.size(); }

  private:
    // A fetch that is under way, and who waits for it.
    struct Fetch {
        bool over = false;
        std::vector<Completion<bool>*> waiting;
    };
    struct Failure {
        std::string id;
        TimePoint until;
    };

    bool stale(const KeptPolicy& kept) const;
    bool failed_lately(const std::string& domain, const std::string& id) const;
    std::shared_ptr<Fetch> begin(const std::string& domain, const std::string& id);
    Task<void> wait_for(std::shared_ptr<Fetch> fetch);
    Task<void> fetch(std::string domain, std::string id);
    Task<Result<std::string>> get_text(const std::string& domain);
    void note_failure(const std::string& domain, const std::string& id, ipc::TlsResult how,
                      const Error& why);

    Executor& executor_;
    PolicyStore& store_;
    World world_;
    Counters& counters_;
    std::map<std::string, std::shared_ptr<Fetch>> fetches_; // by domain
    std::map<std::string, Failure> failures_;               // by domain
    TaskGroup tasks_;
};

} // namespace postern::policy
