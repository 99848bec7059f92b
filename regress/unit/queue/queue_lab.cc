#include "regress/unit/queue/queue_lab.h"

#include "common/base/utf8.h"

#include <cstdlib>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

namespace postern::test {

std::vector<std::string> Handed::recipients() const {
    std::vector<std::string> result;
    for (const ipc::DeliveryRecipient& recipient : deliver.recipients)
        result.push_back(recipient.address);
    return result;
}

namespace {

ipc::RecipientOutcome outcome(ipc::RecipientStatus status, const std::string& enhanced,
                              const std::string& diagnostic) {
    ipc::RecipientOutcome result;
    result.status = status;
    result.enhanced = enhanced;
    result.diagnostic = diagnostic;
    result.from_remote = true;
    result.remote = "mx.dest.example[192.0.2.1]:25";
    return result;
}

} // namespace

ipc::RecipientOutcome delivered() {
    ipc::RecipientOutcome result =
        outcome(ipc::RecipientStatus::delivered, "2.0.0", "250 2.0.0 queued");
    result.deliver_by = true;
    return result;
}
ipc::RecipientOutcome delivered(ipc::Handover handover) {
    ipc::RecipientOutcome result = delivered();
    result.handover = handover;
    return result;
}
ipc::RecipientOutcome temporary(const std::string& diagnostic) {
    return outcome(ipc::RecipientStatus::temporary, "4.3.0", diagnostic);
}
ipc::RecipientOutcome permanent(const std::string& diagnostic) {
    return outcome(ipc::RecipientStatus::permanent, "5.1.1", diagnostic);
}

ipc::RouteAnswer verdict(const ipc::RouteQuery& query, ipc::RouteVerdict verdict) {
    ipc::RouteAnswer answer;
    answer.request = query.request;
    answer.verdict = verdict;
    return answer;
}

ipc::RouteAnswer to_exchanger(const ipc::RouteQuery& query) {
    ipc::RouteAnswer answer = verdict(query, ipc::RouteVerdict::accepted);
    answer.route.action = "out";
    answer.route.domain = query.recipient.substr(query.recipient.rfind('@') + 1);
    return answer;
}

ipc::QueueSettings QueueLab::default_settings() {
    ipc::QueueSettings settings;
    settings.hostname = "gateway.example";
    settings.ttl = 24h;
    settings.retry_delay = 300s;
    settings.retry_max = 3600s;
    settings.max_per_destination = 2;
    settings.max_in_memory = 1'000'000;
    settings.max_message_size = 1 << 20;
    settings.relays = 2;
    return settings;
}

QueueLab::QueueLab() : QueueLab(Options{}) {}

QueueLab::QueueLab(Options options) : route(to_exchanger), options_(std::move(options)) {
    log_ = memfd_create("log", MFD_CLOEXEC);
    standard_error_ = dup(STDERR_FILENO);
    dup2(log_, STDERR_FILENO);
    if (options_.start)
        start();
}

QueueLab::~QueueLab() {
    queue.reset();
    spool.reset();
    dup2(standard_error_, STDERR_FILENO);
    close(standard_error_);
    close(log_);
}

void QueueLab::start() {
    open();
    if (options_.start) {
        queue->load();
        connect_everybody();
    }
    advance(1ms);
}

void QueueLab::open() {
    SpoolOptions spool_options = options_.spool;
    spool_options.threaded = false;
    spool_options.min_free = 0;
    spool_options.clock = [this] {
        return static_cast<uint64_t>(
            std::chrono::duration_cast<std::chrono::microseconds>(time.elapsed()).count() +
            SimulatedTime::default_start * 1'000'000);
    };
    spool_options.uptime = spool_options.clock;
    auto opened = Spool::open(options_.disk ? *options_.disk : files, spool_options);
    ASSERT_TRUE(opened) << opened.error().message;
    spool = std::move(*opened);
    queue = std::make_unique<Queue>(time, *spool, counters, settings, [this] { return random_++; });
    admin = std::make_unique<Admin>(
        *queue, [this](ipc::Answer answer) { late_answer_ = std::move(answer); });
}

void QueueLab::connect_everybody() {
    queue->intake().connect(0, [this](ipc::QueueToListener message) {
        uint32_t request = std::visit([](auto& one) { return one.request; }, message);
        answers[request] = std::move(message);
    });
    queue->routing().connect([this](ipc::RouteQuery query) {
        ++questions;
        asked_.push_back(std::move(query));
    });
    connect_deliverers();
}

void QueueLab::connect_deliverers() {
    for (uint16_t number = 0; number < 1 + settings.relays; ++number)
        queue->connect_deliverer(number, [this, number](ipc::Deliver deliver) {
            all_handed.push_back(Handed{number, std::move(deliver), false});
        });
    grant_capacity(options_.capacity);
}

void QueueLab::grant_capacity(uint32_t deliveries) {
    ipc::Capacity capacity;
    capacity.deliveries = deliveries;
    for (uint16_t number = 0; number < 1 + settings.relays; ++number)
        queue->capacity(number, capacity);
}

void QueueLab::stop() {
    bool drained = false;
    queue->drain(10s, [&] { drained = true; });
    advance(11s);
    EXPECT_TRUE(drained);
    die();
}

void QueueLab::die() {
    admin.reset();
    queue.reset();
    spool.reset();
    asked_.clear();
    all_handed.clear();
    answered_ = 0;
    files.kill_process();
}

void QueueLab::lose_power(uint64_t seed) {
    die();
    files.crash(seed);
}

bool QueueLab::answer_lookup() {
    if (lookup_silent || asked_.empty())
        return false;
    for (ipc::RouteQuery& query : std::exchange(asked_, {}))
        EXPECT_TRUE(queue->routing().answer(route(query)));
    return true;
}

bool QueueLab::collect() {
    while (spool->run_sync_step(true)) {
    }
    pollfd descriptor{spool->completion_fd(), POLLIN, 0};
    if (poll(&descriptor, 1, 0) <= 0)
        return false;
    queue->collect();
    admin->collect();
    return true;
}

void QueueLab::run() {
    unanswered_ = 0;
    for (bool busy = true; busy;) {
        time.run();
        busy = answer_lookup();
        while (answered_ < all_handed.size() && all_handed[answered_].answered)
            ++answered_;
        for (size_t i = answered_; relay && i < all_handed.size(); ++i) {
            if (all_handed[i].answered)
                continue;
            if (auto outcome = relay(all_handed[i])) {
                answer(all_handed[i], *outcome);
                busy = true;
            }
        }
        busy |= collect();
    }
}

void QueueLab::advance(Duration duration) {
    run();
    const TimePoint end = time.now() + duration;
    while (time.until_next_timer() != Duration::max() &&
           time.now() + time.until_next_timer() <= end) {
        time.advance_to_next_timer();
        run();
    }
    time.advance(end - time.now());
    run();
}

uint32_t QueueLab::submit(const std::string& from, const std::vector<std::string>& to,
                          const std::string& content) {
    ipc::Envelope envelope;
    envelope.reverse_path = from;
    envelope.recipients = to;
    return submit(std::move(envelope), content);
}

uint32_t QueueLab::submit(ipc::Envelope envelope, const std::string& content) {
    ipc::Submit submit;
    submit.request = next_request_++;
    submit.envelope = std::move(envelope);
    submit.envelope.origin.helo = "client.example";
    submit.content.bytes = content;
    submit.traits.eight_bit = !is_ascii(content);
    const uint32_t request = submit.request;
    if (++unanswered_ >= ipc::submission_credit / 2)
        run(); // no more than a listener may have open
    EXPECT_TRUE(queue->intake().handle(0, std::move(submit)));
    return request;
}

uint64_t QueueLab::accept(const std::string& from, const std::vector<std::string>& to,
                          const std::string& content) {
    ipc::Envelope envelope;
    envelope.reverse_path = from;
    envelope.recipients = to;
    return accept(std::move(envelope), content);
}

uint64_t QueueLab::accept(ipc::Envelope envelope, const std::string& content) {
    const uint32_t request = submit(std::move(envelope), content);
    run();
    auto* durable = std::get_if<ipc::Durable>(&answers[request]);
    EXPECT_NE(durable, nullptr);
    return durable ? durable->message : 0;
}

Handed& QueueLab::handed(size_t index) {
    if (index >= all_handed.size()) {
        ADD_FAILURE() << "only " << all_handed.size() << " deliveries were handed out";
        std::abort();
    }
    return all_handed[index];
}

bool QueueLab::answer(Handed& handed, ipc::RecipientOutcome outcome, bool down) {
    handed.answered = true;
    ipc::Outcome answer;
    answer.delivery = handed.deliver.delivery;
    answer.destination_down = down;
    for (const ipc::DeliveryRecipient& recipient : handed.deliver.recipients) {
        outcome.index = recipient.index;
        answer.recipients.push_back(outcome);
    }
    return queue->outcome(handed.deliverer, std::move(answer));
}

std::vector<ipc::EnvelopeEntry> QueueLab::show_queue() {
    std::vector<ipc::EnvelopeEntry> all;
    ipc::QueueQuery query;
    query.limit = 1000;
    for (;;) {
        auto page = ask<ipc::QueuePage>(query);
        all.insert(all.end(), page.entries.begin(), page.entries.end());
        if (page.last)
            return all;
        query.after_message = page.after_message;
        query.after_index = page.after_index;
    }
}

std::string QueueLab::content_of(uint64_t message) {
    ipc::MessageQuery query;
    query.message = message;
    query.limit = 64 * 1024;
    return ask<ipc::MessagePart>(query).content.bytes;
}

std::string QueueLab::logged() const {
    std::string text(static_cast<size_t>(lseek(log_, 0, SEEK_END)), '\0');
    const ssize_t got = pread(log_, text.data(), text.size(), 0);
    text.resize(static_cast<size_t>(std::max<ssize_t>(got, 0)));
    return text;
}

void QueueLab::forget_log() {
    if (ftruncate(log_, 0) == 0)
        lseek(log_, 0, SEEK_SET);
}

size_t QueueLab::times_logged(const std::string& text) const {
    const std::string log = logged();
    size_t count = 0;
    for (size_t at = log.find(text); at != std::string::npos; at = log.find(text, at + 1))
        ++count;
    return count;
}

} // namespace postern::test
