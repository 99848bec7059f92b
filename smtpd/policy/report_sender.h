// Gives a report on TLS to all places that its domain names (RFC 8460 5), by HTTPS or mail.
//
// What is not taken is tried again for a day, at intervals that grow (5.5); once a mail is in the
// queue it is the queue's affair.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/loop/completion.h"
#include "common/loop/task.h"
#include "common/process/operator_port.h"
#include "smtpd/policy/https.h"
#include "smtpd/policy/questions.h"
#include "smtpd/policy/report_record.h"
#include "smtpd/policy/tls_report.h"

namespace postern::policy {

class ReportSender {
  public:
    static constexpr std::chrono::minutes first_pause{45}; // each one is twice the one before
    static constexpr int tries = 6;                        // in 23 hours 15 minutes
    static constexpr std::chrono::milliseconds pace{50};   // between reports that are hurried on

    struct World {
        Resolve resolve;
        std::function<Task<Result<HttpsReply>>(HttpsRequest)> send;
        // A message to the mailbox, handed to the queue. False: it does not take it.
        std::function<Task<bool>(std::string mailbox, std::string message)> mail;
        std::function<uint64_t()> random;
    };

    // Counts policy.reports.sent and policy.reports.failed.
    ReportSender(Executor& executor, World world, Counters& counters);

    // Waits for `delay` first. `told`: places that need not be told; `tell` is called with each one
    // that has been. Ends when nothing is left to do.
    Task<void> send(TlsReport report, std::set<std::string> told,
                    std::function<void(const std::string& place)> tell, Duration delay);

    // What waits for its time, or to be tried again, goes on now, at some pace: reports to the
    // domain, or all ("").
    uint32_t hurry(const std::string& domain);

    uint64_t random() { return world_.random(); }

  private:
    struct Nap;
    Task<void> nap(const std::string& domain, Duration duration);
    Task<std::optional<std::vector<ReportPlace>>> places_of(const std::string& domain);
    Task<bool> post(const TlsReport& report, const ReportPlace& place,
                    const std::string& compressed);
    Task<bool> give(const TlsReport& report, const ReportPlace& place,
                    const std::string& compressed);
    void give_up(const std::string& domain, const std::set<std::string>& places);

    Executor& executor_;
    World world_;
    uint64_t& sent_;
    uint64_t& failed_;
    std::set<Nap*> naps_;
};

} // namespace postern::policy
