#include "smtpd/policy/reporter.h"

#include <algorithm>
#include <cstdio>
#include <ctime>

#include "common/base/log.h"

namespace postern::policy {

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
      since_(day_), tally_(day_), id_(new_id()) {
    go_on(store_.read());
    arm_next();
}

void Reporter::go_on(ReportStore::Found found) {
    for (ReportStore::Waiting& waiting : found.waiting)
        begin(std::move(waiting), false);
    if (!found.today)
        return;
    Batch& today = *found.today;
    if (day_of(today.begin) >= day_) { // it is today, or the clock was set back
        id_ = today.id;
        since_ = std::min(today.begin, executor_.wall_seconds());
        tally_ = Tally(since_);
        return tally_.resume(std::move(today.counts));
    }
    log_failure(store_.end_today(today.id));
    ReportStore::Waiting waiting;
    waiting.batch = std::move(today);
    begin(std::move(waiting), false);
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
    day_ = today; // the clock may have been set back
    save();
    arm_next();
}

void Reporter::add(const ipc::SessionResult& session) {
    tally_.add(session);
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
    changed_ = false;
    const Result<void> written = store_.write_today(batch(tally_.counts()));
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
    else
        log_failure(store_.end_today(id_));
    id_ = new_id();
    since_ = today;
    begin(std::move(over), false);
}

uint32_t Reporter::send_now(const std::string& domain) {
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
    // A crash between these two has it told twice, rather than never.
    id_ = new_id();
    log_failure(store_.write(part.batch));
    changed_ = true;
    save();
    reports += begin(std::move(part), true);
    return reports;
}

uint32_t Reporter::begin(ReportStore::Waiting waiting, bool at_once) {
    Batch& batch = waiting.batch;
    auto told = std::make_shared<Told>();
    told->id = batch.id;
    told->places = std::move(waiting.told);
    std::erase_if(batch.counts, [](const auto& one) { return one.second.policies.empty(); });
    if (batch.end + seconds(too_late) < executor_.wall_seconds()) {
        log::warning("it is too late for reports on TLS",
                     {{"day", timestamp(batch.begin)}, {"domains", batch.counts.size()}});
        batch.counts.clear();
    }
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

Task<void> Reporter::report(std::shared_ptr<Told> batch, TlsReport report, Duration delay) {
    const std::string domain = report.domain;
    std::set<std::string> places = std::move(batch->places[domain]);
    std::function<void(const std::string&)> tell = [&](const std::string& place) {
        log_failure(store_.tell(batch->id, domain, place));
    };
    co_await sender_.send(std::move(report), std::move(places), tell, delay);
    tell("");
    if (--batch->left == 0)
        store_.remove(batch->id);
}

} // namespace postern::policy
