// Tells domains how TLS with them went (TLSRPT, RFC 8460): at the end of each day of UTC, those
// that want to know get a report each, by HTTPS or mail.
//
// Reports go out at a random time within `spread` of midnight. What HTTPS does not take is tried
// again for a day; mail is the queue's affair. What was counted is lost with the process.
#pragma once

#include <functional>
#include <string>

#include "common/loop/executor.h"
#include "common/loop/task.h"
#include "common/process/operator_port.h"
#include "smtpd/policy/https.h"
#include "smtpd/policy/questions.h"
#include "smtpd/policy/report_record.h"
#include "smtpd/policy/tally.h"
#include "smtpd/policy/tls_report.h"

namespace postern::policy {

class Reporter : Timer {
  public:
    static constexpr std::chrono::hours spread{4};
    static constexpr std::chrono::hours retry_after{4};
    static constexpr int tries = 6;

    struct World {
        Resolve resolve;
        std::function<Task<Result<HttpsReply>>(HttpsRequest)> send;
        // A message to the mailbox, handed to the queue. False: it does not take it.
        std::function<Task<bool>(std::string mailbox, std::string message)> mail;
        std::function<uint64_t()> random;
    };

    // Counts policy.reports.sent and policy.reports.failed.
    Reporter(Executor& executor, std::string hostname, World world, Counters& counters);

    void set_hostname(std::string hostname) { hostname_ = std::move(hostname); }
    void add(const ipc::SessionResult& session) { tally_.add(session); }

    size_t open() const { return tasks_.size(); }

  private:
    void arm_for_midnight();
    void expired() override;
    Task<void> report(TlsReport report, Duration delay);
    Task<bool> post(const TlsReport& report, const ReportPlace& place,
                    const std::string& compressed);
    Task<bool> give(const TlsReport& report, const ReportPlace& place,
                    const std::string& compressed);

    Executor& executor_;
    std::string hostname_;
    World world_;
    uint64_t& sent_;
    uint64_t& failed_;
    Tally tally_;
    int64_t day_; // whose sessions are counted; seconds since the epoch
    TaskGroup tasks_;
};

} // namespace postern::policy
