#include "smtpd/policy/report_sender.h"

#include "common/base/log.h"

namespace postern::policy {

namespace {

std::string to_text(const ReportPlace& place) {
    return place.mailbox.empty()
               ? "https://" + place.host + ":" + std::to_string(place.port) + place.path
               : "mailto:" + place.mailbox;
}

} // namespace

// Completed with how long to wait all the same.
struct ReportSender::Nap {
    Nap(ReportSender& sender, const std::string& domain)
        : sender(sender), domain(domain), over(sender.executor_) {
        sender.naps_.insert(this);
    }
    ~Nap() { sender.naps_.erase(this); }
    Nap(const Nap&) = delete;

    ReportSender& sender;
    const std::string& domain;
    Completion<Duration> over;
};

ReportSender::ReportSender(Executor& executor, World world, Counters& counters)
    : executor_(executor), world_(std::move(world)), sent_(counters["policy.reports.sent"]),
      failed_(counters["policy.reports.failed"]) {}

Task<void> ReportSender::nap(const std::string& domain, Duration duration) {
    std::optional<Duration> rest;
    {
        Nap nap(*this, domain);
        rest = co_await nap.over.wait(duration);
    }
    if (rest)
        co_await executor_.sleep(*rest);
}

uint32_t ReportSender::hurry(const std::string& domain) {
    uint32_t hurried = 0;
    for (Nap* nap : naps_)
        if ((domain.empty() || nap->domain == domain) && !nap->over.completed())
            nap->over.complete(pace * hurried++);
    return hurried;
}

Task<void> ReportSender::send(TlsReport report, std::set<std::string> told,
                              std::function<void(const std::string& place)> tell, Duration delay) {
    co_await nap(report.domain, delay);
    const std::string compressed = compress(report);
    std::set<std::string> untold;
    Duration pause = first_pause;
    for (int left = tries; left > 0; --left, pause *= 2) {
        std::optional<std::vector<ReportPlace>> places = co_await places_of(report.domain);
        const bool known = places.has_value();
        if (known)
            untold.clear();
        else
            places.emplace();
        for (const ReportPlace& place : *places) {
            const std::string name = to_text(place);
            if (told.contains(name))
                continue;
            const bool given = co_await give(report, place, compressed);
            if (given) {
                told.insert(name);
                tell(name);
            } else {
                untold.insert(name);
            }
        }
        if (known && untold.empty())
            co_return;
        if (left > 1)
            co_await nap(report.domain, pause);
    }
    give_up(report.domain, untold);
}

// The domain may be one of those that can't be asked where they want to be told.
void ReportSender::give_up(const std::string& domain, const std::set<std::string>& places) {
    failed_ += places.size();
    for (const std::string& place : places)
        log::warning("a report on TLS is not taken", {{"domain", domain}, {"place", place}});
}

// Nothing: it cannot be found out now.
Task<std::optional<std::vector<ReportPlace>>> ReportSender::places_of(const std::string& domain) {
    ipc::ResolveQuery query = question(ipc::RecordType::txt, report_record_name(domain));
    const ipc::ResolveAnswer record = co_await world_.resolve(std::move(query), resolve_limit);
    if (record.status == ipc::ResolveStatus::temporary ||
        record.status == ipc::ResolveStatus::bogus)
        co_return std::nullopt;
    std::vector<ReportPlace> places = report_places(record);
    if (places.empty())
        log::debug("a domain does not ask for reports on TLS", {{"domain", domain}});
    co_return places;
}

Task<bool> ReportSender::give(const TlsReport& report, const ReportPlace& place,
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
Task<bool> ReportSender::post(const TlsReport& report, const ReportPlace& place,
                              const std::string& compressed) {
    HttpsRequest request;
    request.host = place.host;
    request.port = place.port;
    request.path = place.path;
    request.content_type = "application/tlsrpt+gzip";
    request.body = compressed;
    request.addresses = co_await addresses_of(world_.resolve, place.host);
    std::string reason;
    if (request.addresses.empty()) {
        reason = place.host + " has no address";
    } else {
        Result<HttpsReply> reply = co_await world_.send(std::move(request));
        if (!reply)
            reason = reply.error().message;
        else if (reply->status < 200 || reply->status >= 300)
            reason = "the HTTP status is " + std::to_string(reply->status);
    }
    if (!reason.empty())
        log::warning("a web server does not take a report on TLS",
                     {{"domain", report.domain}, {"place", to_text(place)}, {"reason", reason}});
    co_return reason.empty();
}

} // namespace postern::policy
