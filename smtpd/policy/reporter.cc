#include "smtpd/policy/reporter.h"

#include <cstdio>
#include <ctime>

#include "common/base/log.h"

namespace postern::policy {

namespace {

constexpr int64_t seconds_per_day = 86400;

int64_t day_of(int64_t now) { return now / seconds_per_day * seconds_per_day; }

// "20261126.d.example.0123456789abcdef"
std::string report_id(int64_t begin, const std::string& domain, uint64_t random) {
    const time_t seconds = begin;
    std::tm parts{};
    char date[16] = "", suffix[20] = "";
    gmtime_r(&seconds, &parts);
    strftime(date, sizeof date, "%Y%m%d", &parts);
    snprintf(suffix, sizeof suffix, "%016llx", static_cast<unsigned long long>(random));
    return std::string(date) + "." + domain + "." + suffix;
}

std::string to_text(const ReportPlace& place) {
    return place.mailbox.empty()
               ? "https://" + place.host + ":" + std::to_string(place.port) + place.path
               : "mailto:" + place.mailbox;
}

} // namespace

Reporter::Reporter(Executor& executor, std::string hostname, World world, Counters& counters)
    : executor_(executor), hostname_(std::move(hostname)), world_(std::move(world)),
      sent_(counters["policy.reports.sent"]), failed_(counters["policy.reports.failed"]),
      day_(day_of(executor.wall_seconds())) {
    arm_for_midnight();
}

void Reporter::arm_for_midnight() {
    const int64_t left = day_ + seconds_per_day - executor_.wall_seconds();
    arm(executor_, executor_.now() + std::chrono::seconds(std::max<int64_t>(left, 1)));
}

void Reporter::expired() {
    const int64_t today = day_of(executor_.wall_seconds());
    if (today == day_) // the clock was set back
        return arm_for_midnight();
    for (auto& [domain, policies] : tally_.take()) {
        TlsReport report;
        report.id = report_id(day_, domain, world_.random());
        report.domain = domain;
        report.reporter = hostname_;
        report.begin = day_;
        report.policies = std::move(policies);
        const auto within = static_cast<uint64_t>(std::chrono::seconds(spread).count());
        tasks_.spawn(
            this->report(std::move(report), std::chrono::seconds(world_.random() % within)));
    }
    day_ = today;
    arm_for_midnight();
}

Task<void> Reporter::report(TlsReport report, Duration delay) {
    co_await executor_.sleep(delay);
    std::vector<ReportPlace> places;
    for (int left = tries; left > 0; --left) {
        ipc::ResolveQuery query = question(ipc::RecordType::txt, report_record_name(report.domain));
        const ipc::ResolveAnswer record = co_await world_.resolve(std::move(query), resolve_limit);
        places = report_places(record);
        if (record.status != ipc::ResolveStatus::temporary &&
            record.status != ipc::ResolveStatus::bogus)
            break;
        co_await executor_.sleep(retry_after);
    }
    if (places.empty())
        co_return;
    const std::string compressed = gzipped(to_json(report));
    for (int left = tries; left > 0 && !places.empty(); --left) {
        std::vector<ReportPlace> refused;
        for (const ReportPlace& place : places) {
            const bool given = co_await give(report, place, compressed);
            if (!given)
                refused.push_back(place);
        }
        places = std::move(refused);
        if (!places.empty() && left > 1)
            co_await executor_.sleep(retry_after);
    }
    failed_ += places.size();
    for (const ReportPlace& place : places)
        log::warning("a report on TLS is not taken",
                     {{"domain", report.domain}, {"place", to_text(place)}});
}

Task<bool> Reporter::give(const TlsReport& report, const ReportPlace& place,
                          const std::string& compressed) {
    bool given = false;
    if (place.mailbox.empty()) {
        given = co_await post(report, place, compressed);
    } else {
        std::string message = to_mail(report, compressed, place.mailbox, executor_.wall_seconds());
        given = co_await world_.mail(place.mailbox, std::move(message));
    }
    if (given) {
        ++sent_;
        log::info("a report on TLS was sent",
                  {{"domain", report.domain}, {"place", to_text(place)}});
    }
    co_return given;
}

// RFC 8460 5.4: any success will do.
Task<bool> Reporter::post(const TlsReport& report, const ReportPlace& place,
                          const std::string& compressed) {
    HttpsRequest request;
    request.host = place.host;
    request.port = place.port;
    request.path = place.path;
    request.content_type = "application/tlsrpt+gzip";
    request.body = compressed;
    request.addresses = co_await addresses_of(world_.resolve, place.host);
    if (request.addresses.empty())
        co_return false;
    Result<HttpsReply> reply = co_await world_.send(std::move(request));
    const bool taken = reply && reply->status >= 200 && reply->status < 300;
    if (!taken)
        log::warning("a web server does not take a report on TLS",
                     {{"domain", report.domain},
                      {"place", to_text(place)},
                      {"reason", reply ? "the HTTP status is " + std::to_string(reply->status)
                                       : reply.error().message}});
    co_return taken;
}

} // namespace postern::policy
