// Gives a report on TLS to all places that its domain names (RFC 8460 5), by HTTPS or mail.
//
// What is not taken is tried again for a day, at intervals that grow (5.5); once a mail is in the
// queue it is the queue's affair.
//
// Domains are asked no faster than one in `pace`, and at most `transfer_limit` web servers are told
// at once, one report each. Whoever has many domains does not get us to flood somebody else: a
// mailbox, and a host by whatever way, has only so many reports a day.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/loop/task.h"
#include "common/process/operator_port.h"
#include "smtpd/policy/host_slots.h"
#include "smtpd/policy/https.h"
#include "smtpd/policy/questions.h"
#include "smtpd/policy/report_record.h"
#include "smtpd/policy/tls_report.h"

namespace postern::policy {

class ReportSender {
  public:
    static constexpr std::chrono::minutes first_pause{45}; // each one is twice the one before
    static constexpr int tries = 6;                        // in 23 hours 15 minutes
    static constexpr std::chrono::milliseconds pace{500};
    static constexpr size_t transfer_limit = 16;
    static constexpr std::chrono::hours turn_limit{1}; // for one of these to be free
    static constexpr unsigned mailbox_limit = 50;      // reports a day of UTC, further tries apart
    static constexpr unsigned host_limit = 500;        // the same, of a web server or mail domain

    struct World {
        Resolve resolve;
        std::function<Task<Result<HttpsReply>>(HttpsRequest)> send;
        // A message to the mailbox, handed to the queue. False: it does not take it.
        std::function<Task<bool>(std::string mailbox, std::string message)> mail;
        std::function<uint64_t()> random;
    };

    // Counts policy.reports.sent, policy.reports.failed, and policy.reports.withheld: what is more
    // than a place has a day.
    ReportSender(Executor& executor, World world, Counters& counters);

    // Waits for `delay` first. `told`: places that need not be told; `tell` is called with each one
    // that has been. Ends when nothing is left to do.
    Task<void> send(TlsReport report, std::set<std::string> told,
                    std::function<void(const std::string& place)> tell, Duration delay);

    // What waits for its time, or to be tried again, is tried now: reports to the domain, or all
    // (""). It is one try more; the others keep their times.
    uint32_t hurry(const std::string& domain);

    uint64_t random() { return world_.random(); }

  private:
    struct Nap;
    struct Work;
    Task<bool> nap(const std::string& domain, TimePoint due);
    Task<void> keep_pace();
    Task<bool> try_places(Work& work);
    Task<std::optional<std::vector<ReportPlace>>> places_of(const std::string& domain);
    bool may_have(const ReportPlace& place);
    Task<bool> give(const TlsReport& report, const ReportPlace& place);
    Task<bool> post(const TlsReport& report, const ReportPlace& place);
    Task<std::string> try_post(const TlsReport& report, const ReportPlace& place);
    void give_up(const std::string& domain, const std::set<std::string>& places);

    Executor& executor_;
    World world_;
    uint64_t& sent_;
    uint64_t& failed_;
    uint64_t& withheld_;
    HostSlots slots_;
    std::set<Nap*> naps_;
    TimePoint next_{};                      // nobody is asked before
    int64_t day_ = 0;                       // of UTC
    std::map<std::string, unsigned> given_; // on that day, by mailbox, web server and mail domain
};

} // namespace postern::policy
