#include "smtpd/policy/reporter.h"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <utility>

#include "common/base/log.h"

namespace postern::policy {

using namespace std::chrono_literals;

namespace {

constexpr int64_t seconds_per_day = 86400;

int64_t day_of(int64_t now) { return now / seconds_per_day * seconds_per_day; }

int64_t seconds(std::chrono::seconds duration) { return duration.count(); }

// "20261126.d.example.0123456789abcdef"
std::string report_id(int64_t begin, const std::string& domain, const std::string& batch) {
    const time_t day = begin;
    std::tm parts{};
    char date[16] = "";
    gmtime_r(&day, &parts);
    strftime(date, sizeof date, "%Y%m%d", &parts);
    return std::string(date) + "." + domain + "." + batch;
}

void log_failure(const Result<void>& result) {
    if (!result)
        log::error("what is told by reports on TLS cannot be written down",
                   {{"reason", result.error().message}});
}

} // namespace

struct Reporter::Told {
    std::string id;
    size_t left = 0;                                     // reports
    std::map<std::string, std::set<std::string>> places; // by domain: those that were told before
};

Reporter::Reporter(Executor& executor, std::string hostname, ReportSender::World world,
                   ReportStore store, Counters& counters)
    : executor_(executor), hostname_(std::move(hostname)), store_(std::move(store)),
      sender_(executor, std::move(world), counters), day_(day_of(executor.wall_seconds())),
      since_(day_), tally_(day_), id_(new_id()),
      dropped_count_(counters["policy.reports.dropped"]) {
    go_on(store_.read());
    arm_next();
}

void Reporter::go_on(ReportStore::Found found) {
    if (found.today)
        go_on_with(*std::move(found.today));
    for (ReportStore::Waiting& waiting : found.waiting)
        begin(std::move(waiting), false);
}

void Reporter::go_on_with(Batch today) {
    if (today.id.empty()) { // before that is told which has the rest
        today.id = new_id();
        const Result<void> written = store_.write_today(today);
        log_failure(written);
        changed_ = !written;
    }
    if (day_of(today.begin) >= day_) { // it is today, or the clock was set back
        id_ = today.id;
        since_ = today.begin;
        tally_ = Tally(since_);
        tally_.resume(std::move(today.counts));
        return follow_clock();
    }
    if (!changed_)
        log_failure(store_.end_today(today.id));
    changed_ = false;
    ReportStore::Waiting waiting;
    waiting.batch = std::move(today);
    begin(std::move(waiting), false);
}

// It may have been set back.
void Reporter::follow_clock() {
    const int64_t now = executor_.wall_seconds();
    day_ = std::min(day_, day_of(now));
    if (since_ > now)
        since_ = day_;
    tally_.follow_clock(now, day_);
}

std::string Reporter::new_id() {
    char id[20] = "";
    snprintf(id, sizeof id, "%016llx", static_cast<unsigned long long>(sender_.random()));
    return id;
}

void Reporter::arm_next() {
    const int64_t midnight = day_ + seconds_per_day - executor_.wall_seconds();
    const int64_t left = changed_ ? std::min(midnight, seconds(save_after)) : midnight;
    arm(executor_, executor_.now() + std::chrono::seconds(std::max<int64_t>(left, 1)));
}

void Reporter::expired() {
    const int64_t today = day_of(executor_.wall_seconds());
    if (today > day_)
        end_day(today);
    day_ = today;
    follow_clock();
    save();
    arm_next();
}

void Reporter::add(const ipc::SessionResult& session) {
    if (!tally_.add(session)) {
        ++dropped_count_;
        if (!std::exchange(dropped_, true))
            log::warning("there is more to tell in reports on TLS than is counted in a day",
                         {{"domain", session.domain}, {"domains", tally_.counts().size()}});
        return;
    }
    if (changed_)
        return;
    changed_ = true;
    arm_next();
}

Batch Reporter::batch(Counts counts) const {
    Batch batch;
    batch.id = id_;
    batch.begin = since_;
    batch.end = std::max(since_, day_ + seconds_per_day - 1);
    batch.counts = std::move(counts);
    return batch;
}

void Reporter::save() {
    if (!changed_)
        return;
    const Result<void> written = store_.write_today(batch(tally_.counts()));
    changed_ = !written;
    if (!written && !unsaved_) // it is said once
        log_failure(written);
    unsaved_ = !written;
}

void Reporter::end_day(int64_t today) {
    save();
    ReportStore::Waiting over;
    over.batch = batch(tally_.take_all(today));
    if (over.batch.counts.empty())
        store_.forget_today();
    else if (!changed_)
        log_failure(store_.end_today(id_));
    else if (store_.write(over.batch))
        store_.forget_today();
    changed_ = dropped_ = false;
    id_ = new_id();
    since_ = today;
    begin(std::move(over), false);
}

uint32_t Reporter::send_now(const std::string& domain) {
    follow_clock();
    const int64_t now = executor_.wall_seconds();
    uint32_t reports = sender_.hurry(domain);
    if (tally_.counts().empty())
        return reports;
    ReportStore::Waiting part;
    part.batch = batch(domain.empty() ? tally_.take_all(now) : tally_.take(domain, now));
    part.batch.end = std::max(since_, now - 1);
    if (domain.empty())
        since_ = now;
    if (part.batch.counts.empty())
        return reports;
    // Whoever finds both files leaves what is in the first one out of the other.
    id_ = new_id();
    log_failure(store_.write(part.batch));
    changed_ = true;
    save();
    if (changed_) { // the other still has all, and goes on under the id that it has
        store_.remove(part.batch.id);
        arm_next();
    }
    reports += begin(std::move(part), true);
    return reports;
}

bool Reporter::is_too_late(const Batch& batch) const {
    return batch.end + seconds(too_late) < executor_.wall_seconds();
}

// It goes when the clock has said for a while that nobody wants to know any more.
Task<void> Reporter::put_aside(ReportStore::Waiting waiting) {
    for (std::chrono::hours left = clock_grace; left > 0h; left -= 1h) {
        co_await executor_.sleep(1h);
        const bool late = is_too_late(waiting.batch);
        if (!late) {
            --aside_count_;
            begin(std::move(waiting), false);
            co_return;
        }
    }
    --aside_count_;
    store_.remove(waiting.batch.id);
}

uint32_t Reporter::begin(ReportStore::Waiting waiting, bool at_once) {
    Batch& batch = waiting.batch;
    std::erase_if(batch.counts, [](const auto& one) { return one.second.policies.empty(); });
    if (is_too_late(batch) && !batch.counts.empty()) {
        log::warning("it is too late for reports on TLS",
                     {{"day", timestamp(batch.begin)}, {"domains", batch.counts.size()}});
        if (aside_count_ == aside_limit) {
            store_.remove(batch.id);
            return 0;
        }
        ++aside_count_;
        aside_.spawn(put_aside(std::move(waiting)));
        return 0;
    }
    auto told = std::make_shared<Told>();
    told->id = batch.id;
    told->places = std::move(waiting.told);
    if (batch.counts.empty())
        store_.remove(batch.id);
    told->left = batch.counts.size();
    Duration hurried{};
    for (auto& [domain, tally] : batch.counts) {
        TlsReport report;
        report.id = report_id(tally.begin, domain, batch.id);
        report.domain = domain;
        report.reporter = hostname_;
        report.begin = tally.begin;
        report.end = std::max(tally.begin, batch.end);
        report.policies = std::move(tally.policies);
        const Duration delay = at_once ? hurried : delay_after(batch.end);
        hurried += ReportSender::pace;
        tasks_.spawn(this->report(told, std::move(report), delay));
    }
    return static_cast<uint32_t>(batch.counts.size());
}

Duration Reporter::delay_after(int64_t end) {
    const int64_t left = end + 1 + seconds(spread) - executor_.wall_seconds();
    const int64_t within = std::clamp(left, seconds(late_spread), seconds(spread));
    return std::chrono::seconds(sender_.random() % static_cast<uint64_t>(within));
}

// Not each one waits for the disk: there may be thousands in a minute.
void Reporter::tell(const std::string& id, const std::string& domain, const std::string& place) {
    log_failure(store_.tell(id, domain, place));
    if (place.empty())
        return;
    if (unsynced_.empty())
        aside_.spawn(sync_told());
    unsynced_.insert(id);
}

Task<void> Reporter::sync_told() {
    co_await executor_.sleep(sync_after);
    for (const std::string& id : std::exchange(unsynced_, {}))
        log_failure(store_.sync_told(id));
}

Task<void> Reporter::report(std::shared_ptr<Told> batch, TlsReport report, Duration delay) {
    const std::string domain = report.domain;
    std::set<std::string> places = std::move(batch->places[domain]);
    std::function<void(const std::string&)> told = [&](const std::string& place) {
        tell(batch->id, domain, place);
    };
    co_await sender_.send(std::move(report), std::move(places), std::move(told), delay);
    if (--batch->left > 0)
        co_return tell(batch->id, domain, "");
    store_.remove(batch->id);
    unsynced_.erase(batch->id);
}

} // namespace postern::policy
