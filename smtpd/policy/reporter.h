// Tells domains how TLS with them went (TLSRPT, RFC 8460): at the end of each day of UTC, those
// that want to know get a report each, at a random time within `spread` of midnight (4.1).
//
// What is counted is on disk within a minute, and outlasts restarts. Reports that should have gone
// out before a restart go out soon after it; the same report has the same Report-ID, so that
// whoever gets it twice after a crash can tell (5.3).
#pragma once

#include <memory>
#include <string>

#include "common/loop/executor.h"
#include "common/loop/task.h"
#include "smtpd/policy/report_sender.h"
#include "smtpd/policy/report_store.h"
#include "smtpd/policy/tally.h"

namespace postern::policy {

class Reporter : Timer {
  public:
    static constexpr std::chrono::hours spread{4};
    static constexpr std::chrono::minutes late_spread{10}; // when that is over
    static constexpr std::chrono::minutes save_after{1};
    static constexpr std::chrono::seconds sync_after{5}; // of who knows: told twice, at worst
    static constexpr std::chrono::hours too_late{72};    // after the day's end
    // For what is too late by a clock that may be wrong.
    static constexpr std::chrono::hours clock_grace{24};
    static constexpr size_t aside_limit = 7; // days that are kept so; others are removed at once

    // Goes on with what the store has. Counts policy.reports.dropped: connections that were more
    // than is counted.
    Reporter(Executor& executor, std::string hostname, ReportSender::World world, ReportStore store,
             Counters& counters);

    void set_hostname(std::string hostname) { hostname_ = std::move(hostname); }
    void add(const ipc::SessionResult& session);

    // What was counted of the domain, or of all (""), up to now is told at once, and so is what
    // waits to be told. The number of reports.
    uint32_t send_now(const std::string& domain);

    // What was counted is on disk, unless it cannot be.
    void save();

    size_t open() const { return tasks_.size(); }

  private:
    struct Told; // the telling of one batch

    void go_on(ReportStore::Found found);
    void go_on_with(Batch today);
    void follow_clock();
    void arm_next();
    void expired() override;
    void end_day(int64_t today);
    Batch batch(Counts counts) const;
    uint32_t begin(ReportStore::Waiting waiting, bool at_once);
    bool is_too_late(const Batch& batch) const;
    Task<void> put_aside(ReportStore::Waiting waiting);
    void tell(const std::string& id, const std::string& domain, const std::string& place);
    Task<void> sync_told();
    Duration delay_after(int64_t end);
    Task<void> report(std::shared_ptr<Told> batch, TlsReport report, Duration delay);
    std::string new_id();

    Executor& executor_;
    std::string hostname_;
    ReportStore store_;
    ReportSender sender_;
    int64_t day_;   // whose sessions are counted; seconds since the epoch
    int64_t since_; // the same, or a time in it
    Tally tally_;
    std::string id_;       // of the batch that it will be
    bool changed_ = false; // since it was saved
    bool unsaved_ = false; // the last try failed
    bool dropped_ = false; // today, something
    uint64_t& dropped_count_;
    std::set<std::string> unsynced_; // ids of batches
    TaskGroup tasks_;
    size_t aside_count_ = 0; // of put_aside()
    TaskGroup aside_;        // what is not under way
};

} // namespace postern::policy
