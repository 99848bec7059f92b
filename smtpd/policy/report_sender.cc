#include "smtpd/policy/report_sender.h"

#include <algorithm>

#include "common/base/log.h"
#include "common/loop/completion.h"
#include "common/smtp/text.h"

namespace postern::policy {

namespace {

std::string to_text(const ReportPlace& place) {
    return place.mailbox.empty()
               ? "https://" + place.host + ":" + std::to_string(place.port) + place.path
               : "mailto:" + place.mailbox;
}

} // namespace

// Completed when it is cut short.
struct ReportSender::Nap {
    Nap(ReportSender& sender, const std::string& domain)
        : sender(sender), domain(domain), over(sender.executor_) {
        sender.naps_.insert(this);
    }
    ~Nap() { sender.naps_.erase(this); }
    Nap(const Nap&) = delete;

    ReportSender& sender;
    const std::string& domain;
    Completion<bool> over;
};

// A report, and how far it has come.
struct ReportSender::Work {
    TlsReport report;
    std::set<std::string> told;
    std::function<void(const std::string& place)> tell;
    std::set<std::string> counted{}; // in given_
    std::set<std::string> untold{};
};

ReportSender::ReportSender(Executor& executor, World world, Counters& counters)
    : executor_(executor), world_(std::move(world)), sent_(counters["policy.reports.sent"]),
      failed_(counters["policy.reports.failed"]), withheld_(counters["policy.reports.withheld"]),
      slots_(executor, transfer_limit) {}

// True: it was cut short.
Task<bool> ReportSender::nap(const std::string& domain, TimePoint due) {
    Nap nap(*this, domain);
    const std::optional<bool> hurried =
        co_await nap.over.wait(std::max(due - executor_.now(), Duration()));
    co_return hurried.has_value();
}

uint32_t ReportSender::hurry(const std::string& domain) {
    uint32_t hurried = 0;
    for (Nap* nap : naps_)
        if ((domain.empty() || nap->domain == domain) && !nap->over.completed()) {
            nap->over.complete(true);
            ++hurried;
        }
    return hurried;
}

Task<void> ReportSender::keep_pace() {
    const TimePoint now = executor_.now();
    const TimePoint turn = std::max(now, next_);
    next_ = turn + pace;
    co_await executor_.sleep(turn - now);
}

Task<void> ReportSender::send(TlsReport report, std::set<std::string> told,
                              std::function<void(const std::string& place)> tell, Duration delay) {
    Work work{std::move(report), std::move(told), std::move(tell)};
    TimePoint due = executor_.now() + delay;
    Duration pause = first_pause;
    for (int left = tries; left > 0;) {
        const bool hurried = co_await nap(work.report.domain, due);
        co_await keep_pace();
        const bool done = co_await try_places(work);
        if (done)
            co_return;
        if (hurried)
            continue;
        --left;
        due = executor_.now() + pause;
        pause *= 2;
    }
    give_up(work.report.domain, work.untold);
}

// True: nothing is left to do.
Task<bool> ReportSender::try_places(Work& work) {
    std::optional<std::vector<ReportPlace>> places = co_await places_of(work.report.domain);
    if (!places)
        co_return false;
    work.untold.clear();
    for (const ReportPlace& place : *places) {
        const std::string name = to_text(place);
        if (work.told.contains(name))
            continue;
        if (!work.counted.contains(name) && !may_have(place)) {
            ++withheld_;
            log::warning("a place has had all reports on TLS that it can have today",
                         {{"domain", work.report.domain}, {"place", name}});
            work.told.insert(name);
            continue;
        }
        work.counted.insert(name);
        const bool given = co_await give(work.report, place);
        if (given) {
            work.told.insert(name);
            work.tell(name);
        } else {
            work.untold.insert(name);
        }
    }
    co_return work.untold.empty();
}

// It is counted if so.
bool ReportSender::may_have(const ReportPlace& place) {
    const int64_t day = executor_.wall_seconds() / 86400;
    if (day != day_)
        given_.clear();
    day_ = day;
    const std::string& box = place.mailbox;
    const bool by_mail = !box.empty();
    unsigned& host = given_[by_mail ? ascii_lower(box.substr(box.rfind('@'))) : place.host];
    unsigned spare = 0; // a web server's reports have no mailbox
    unsigned& mailbox = by_mail ? given_[ascii_lower(box)] : spare;
    if (host >= host_limit || mailbox >= mailbox_limit)
        return false;
    ++host;
    ++mailbox;
    return true;
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

Task<bool> ReportSender::give(const TlsReport& report, const ReportPlace& place) {
    bool given = false;
    if (place.mailbox.empty()) {
        given = co_await post(report, place);
    } else {
        std::string message =
            to_mail(report, compress(report), place.mailbox, executor_.wall_seconds());
        given = co_await world_.mail(place.mailbox, std::move(message));
    }
    if (given) {
        ++sent_;
        log::info("a report on TLS was sent",
                  {{"domain", report.domain}, {"place", to_text(place)}});
    }
    co_return given;
}

Task<bool> ReportSender::post(const TlsReport& report, const ReportPlace& place) {
    const std::string reason = co_await try_post(report, place);
    if (!reason.empty())
        log::warning("a web server does not take a report on TLS",
                     {{"domain", report.domain}, {"place", to_text(place)}, {"reason", reason}});
    co_return reason.empty();
}

// The reason why it is not taken. RFC 8460 5.4: any success will do.
Task<std::string> ReportSender::try_post(const TlsReport& report, const ReportPlace& place) {
    HostSlots::Slot slot(slots_, place.host);
    const std::optional<bool> turn = co_await slot.turn(turn_limit);
    if (!turn)
        co_return "others are being told";
    HttpsRequest request;
    request.host = place.host;
    request.port = place.port;
    request.path = place.path;
    request.addresses = co_await addresses_of(world_.resolve, place.host);
    if (request.addresses.empty())
        co_return place.host + " has no public address";
    request.content_type = "application/tlsrpt+gzip";
    request.body = compress(report);
    Result<HttpsReply> reply = co_await world_.send(std::move(request));
    if (!reply)
        co_return reply.error().message;
    if (reply->status < 200 || reply->status >= 300)
        co_return "the HTTP status is " + std::to_string(reply->status);
    co_return std::string();
}

} // namespace postern::policy
