// The queue process, and what happens to it.
#include "regress/simulation/queue_world.h"

#include <cstdio>
#include <poll.h>

namespace postern {

namespace {

using namespace std::chrono_literals;

constexpr uint16_t deliverers = 3; // local, and two relays

ipc::QueueSettings first_settings(bool expiring, bool parking) {
    ipc::QueueSettings settings;
    settings.hostname = "gateway.example";
    settings.ttl = expiring ? 1h : 240h;
    settings.retry_delay = 60s;
    settings.retry_max = 600s;
    settings.max_per_destination = 2;
    settings.max_in_memory = parking ? 2 : 1000;
    settings.max_message_size = 1 << 20;
    settings.relays = deliverers - 1;
    return settings;
}

} // namespace

QueueWorld::QueueWorld(uint64_t seed, bool verbose)
    : files(seed ^ 0x5eed), random(seed), verbose_(verbose), expiring_(seed % 6 == 4),
      settings_(first_settings(expiring_, seed % 2 == 0)) {}

QueueWorld::~QueueWorld() { die(); }

bool QueueWorld::start() {
    SpoolOptions options;
    options.segment_size = 32 << 10;
    options.growth_step = 4 << 10;
    options.max_spares = 2;
    options.compaction_slack = 1;
    options.min_free = 0;
    options.max_pending = max_pending;
    options.threaded = false;
    options.random = [this] { return random(); };
    options.clock = [this] {
        return static_cast<uint64_t>(
            std::chrono::duration_cast<std::chrono::microseconds>(time_.elapsed()).count() +
            test::SimulatedTime::default_start * 1'000'000);
    };
    options.uptime = options.clock;
    options.report = [this](const SpoolEvent& event) {
        if (verbose_)
            std::printf("    event: %s\n", event.message.c_str());
        if (event.kind == SpoolEvent::Kind::Damaged && files.garbage() == 0)
            ledger_.fail("reported as damaged: " + event.message);
    };
    auto opened = Spool::open(files, options);
    if (!opened) {
        files.kill_process();
        return false;
    }
    spool_ = std::move(*opened);
    queue_ =
        std::make_unique<Queue>(time_, *spool_, counters_, settings_, [this] { return random(); });
    admin_ = std::make_unique<Admin>(*queue_,
                                     [this](const ipc::Answer& answer) { take_answer(answer); });
    queue_->load();
    let_time_pass(1ms);
    if (files.stopped())
        return false;
    compare();
    if (files.stopped()) // by what was still to be written for mail that was found
        return false;
    connect_listener();
    connect_lookup();
    for (uint16_t deliverer = 0; deliverer < deliverers; ++deliverer)
        connect_deliverer(deliverer);
    throw_violation();
    return true;
}

void QueueWorld::die() {
    const bool lived = running();
    admin_.reset();
    queue_.reset();
    spool_.reset();
    questions_.clear();
    open_.clear();
    uploads_.clear();
    removals_.clear();
    lookup_connected_ = false;
    if (lived)
        ledger_.life_ended(std::exchange(window_open_, false));
}

void QueueWorld::stop() {
    bool drained = false;
    finishing_ = true;
    queue_->drain(5s, [&drained] { drained = true; });
    let_time_pass(6s);
    finishing_ = false;
    if (!drained && !files.stopped())
        ledger_.fail("it does not end when it is told to");
    die();
    throw_violation();
}

void QueueWorld::throw_violation() {
    if (!ledger_.violation().empty())
        throw Violation{ledger_.violation()};
}

// -- Connections.

void QueueWorld::connect_listener() {
    queue_->intake().connect(0,
                             [this](ipc::QueueToListener message) { listen(std::move(message)); });
}

void QueueWorld::connect_lookup() {
    questions_.clear();
    queue_->routing().connect(
        [this](ipc::RouteQuery query) { questions_.push_back(std::move(query)); });
    lookup_connected_ = true;
}

void QueueWorld::connect_deliverer(uint16_t deliverer) {
    queue_->connect_deliverer(deliverer, [this, deliverer](ipc::Deliver deliver) {
        take(deliverer, std::move(deliver));
    });
    ipc::Capacity capacity;
    capacity.deliveries = 1 + static_cast<uint32_t>(random.below(5));
    queue_->capacity(deliverer, capacity);
}

void QueueWorld::lose_deliverer(uint16_t deliverer) {
    std::erase_if(open_, [&](const Open& open) {
        if (open.deliverer == deliverer)
            ledger_.returned(open.handed);
        return open.deliverer == deliverer;
    });
    queue_->disconnect_deliverer(deliverer);
    connect_deliverer(deliverer);
}

// -- Time.

// False: nothing was done.
bool QueueWorld::sync(bool lazy) {
    const uint64_t failures = spool_->statistics().write_failures;
    while (spool_->run_sync_step(lazy) && !files.stopped()) {
    }
    if (!files.stopped()) // else nobody was told of a failure
        window_open_ = spool_->statistics().unfenced;
    pollfd descriptor{spool_->completion_fd(), POLLIN, 0};
    if (poll(&descriptor, 1, 0) <= 0)
        return false;
    queue_->collect();
    admin_->collect();
    // What the disk has refused is written again at another time.
    return spool_->statistics().write_failures == failures;
}

void QueueWorld::run() {
    for (bool busy = true; busy && !files.stopped();) {
        time_.run();
        busy = answer_questions();
        busy = answer_deliveries() || busy;
        busy = sync(chance(0.3)) || busy;
    }
    throw_violation();
}

void QueueWorld::let_time_pass(Duration duration) {
    run();
    const TimePoint end = time_.now() + duration;
    while (time_.until_next_timer() != Duration::max() &&
           time_.now() + time_.until_next_timer() <= end && !files.stopped()) {
        if (time_.until_next_timer() >= 500ms)
            sync(true); // nothing that is lazy stays so for longer
        time_.advance_to_next_timer();
        run();
    }
    if (files.stopped())
        return;
    if (end - time_.now() >= 500ms)
        sync(true);
    time_.advance(end - time_.now());
    run();
}

void QueueWorld::come_to_rest() {
    easy_ = true;
    ipc::Question resume_relays = ipc::Pause{1, ipc::Subsystem::mta, false};
    ipc::Question resume_local = ipc::Pause{2, ipc::Subsystem::mda, false};
    admin_->ask(resume_relays);
    admin_->ask(resume_local);
    for (const ipc::StandingOrder& order : queue_->orders().standing(time_.wall_seconds()))
        if (!queue_->orders().end(order.number, time_.wall_seconds()))
            ledger_.fail("an order cannot be ended on a good disk");
    orders_.clear();
    queue_->orders_changed();
    ipc::Change release;
    release.kind = ipc::ChangeKind::release;
    ipc::Question release_all = release;
    admin_->ask(release_all);
    if (!lookup_connected_)
        connect_lookup();
    const auto messages = [&] { return queue_->table().messages() + queue_->parked().messages(); };
    for (int i = 0; i < 100 && (messages() > 0 || i == 0); ++i)
        let_time_pass(5min);
    compare();
    if (messages() > 0 || spool_->statistics().messages > 0)
        ledger_.fail("the queue does not become empty: " +
                     std::to_string(queue_->table().messages()) + " messages in the table, " +
                     std::to_string(spool_->statistics().messages) + " in the spool");
    stop();
    if (!start())
        ledger_.fail("it does not start on a good disk");
    throw_violation();
    ledger_.finish(expiring_);
    throw_violation();
}

// -- What is seen is compared.

WallTime QueueWorld::expired_by() const { return time_.wall_seconds() - settings_.ttl.count(); }

void QueueWorld::compare() {
    run();
    if (files.stopped() || !queue_->loaded())
        return;
    for (bool busy = true; busy && !files.stopped();) { // nobody says anything meanwhile
        time_.run();
        busy = sync(true);
    }
    if (files.stopped())
        return;
    // All of it is looked at, wherever it is.
    while (const ParkedMessage* parked = queue_->parked().after(0))
        queue_->loader().find(parked->id);
    const SpoolStatistics statistics = spool_->statistics();
    if (statistics.pending_bytes == 0 && !statistics.unfenced)
        ledger_.checkpoint(queue_->table(), expired_by());
    else
        ledger_.compare(queue_->table(), expired_by());
    compare_counters();
    compare_orders();
    throw_violation();
}

// What was given and not ended stands, whatever has happened since.
void QueueWorld::compare_orders() {
    std::set<uint32_t> standing;
    for (const ipc::StandingOrder& order : queue_->orders().standing(time_.wall_seconds()))
        standing.insert(order.number);
    for (const auto& [number, until] : orders_)
        if (!standing.contains(number) && (!until || until > time_.wall_seconds()))
            ledger_.fail("order " + std::to_string(number) + " is lost");
    for (const uint32_t number : ended_orders_)
        if (standing.contains(number))
            ledger_.fail("order " + std::to_string(number) + " is back");
}

void QueueWorld::compare_counters() {
    queue_->refresh_counters();
    uint64_t messages = 0, unfinished = 0, waiting = 0, ready = 0;
    MailTable& table = queue_->table();
    for (QueuedMessage* message = table.after(0); message; message = table.after(message->id)) {
        ++messages;
        for (uint32_t index = 0; index < message->count; ++index) {
            const Stage stage = message->recipients[index].stage;
            unfinished += stage != Stage::finished;
            waiting += stage == Stage::waiting;
            ready += stage == Stage::ready;
        }
    }
    const std::pair<const char*, uint64_t> expected[] = {
        {"queue.messages", messages},       {"queue.recipients", unfinished},
        {"queue.deferred", waiting},        {"queue.ready", ready},
        {"queue.deliveries", open_.size()},
    };
    for (const auto& [name, value] : expected)
        if (counters_[name] != value)
            ledger_.fail(std::string(name) + " is " + std::to_string(counters_[name]) + ", not " +
                         std::to_string(value));
}

} // namespace postern
