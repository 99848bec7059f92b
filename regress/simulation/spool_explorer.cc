// Stops the machine at every step of random workloads on the spool, brings it up again, and
// compares what is recovered with what the spool had promised:
//
// - a message whose ticket succeeded, and which was not removed, is there exactly once, byte for
// byte;
// - one whose ticket had failed is not (unless the disk refused even the mark that says so);
// - one that was removed is not, once anything appended later was durable;
// - progress is never older than what was durable;
// - nothing comes back at a later start that was not there at an earlier one.
//
//   simulation_spool [--points N] [--seed N [--step N]] [--verbose]
//
// --points: crash points to visit (default 20000). --seed: only this workload, all its steps, or
// the one given. A failure prints how to see it again.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>
#include <random>
#include <string>

#include "common/base/crc32c.h"
#include "queue/spool/spool.h"
#include "simulated_file_system.h"

namespace postern {
namespace {

struct Violation {
    std::string what;
};

// What is known of one message.
struct Expectation {
    enum class Fate {
        Waiting, // appended, no answer yet
        Stored,  // the ticket succeeded, or it was recovered
        Refused, // the ticket failed
        Removed, // append_removed() was called
        Gone     // seen to be gone at a start: may never come back
    };
    Fate fate = Fate::Waiting;
    std::string envelope;
    std::string content;
    bool in_file = false;
    uint64_t removed_at = 0; // sequence number of the removal
    struct State {
        uint64_t sequence = 0;
        std::string bytes;
    };
    std::vector<State> progress;
};

class Explorer {
  public:
    Explorer(uint64_t seed, bool verbose)
        : random_(seed), files_(seed ^ 0x5eed), seed_(seed), verbose_(verbose) {}

    // Runs the workload, the machine stopping at `step` (0: not at all). Returns the steps made.
    uint64_t run(uint64_t step);

  private:
    SpoolOptions options();
    void open();
    void live(int operations);
    void one_operation();
    void append();
    void append_with_file(SpoolId id, Expectation& expected);
    void progress();
    void remove();
    void read_back();
    void collect();
    bool sync_step(bool sync_lazy);
    void kill_and_recover();
    void settle();
    void reopen_in_order();
    void crash_and_recover(uint64_t seed);
    void verify();
    void verify_message(const RecoveredMessage& message);
    void verify_progress(const Expectation& expected, const RecoveredMessage& message);
    void verify_missing(SpoolId id, Expectation& expected, bool recovered);
    std::optional<SpoolId> any_stored();
    std::string bytes(size_t length);
    size_t below(size_t limit) { return static_cast<size_t>(random_() % limit); }
    [[noreturn]] void fail(const std::string& what) { throw Violation{what}; }

    std::mt19937_64 random_;
    SimulatedFileSystem files_;
    uint64_t seed_;
    bool verbose_;
    uint64_t time_ = 1'000'000;
    uint64_t stamps_ = 0;
    std::unique_ptr<Spool> spool_;
    std::map<SpoolId, Expectation> expected_;
    std::map<Ticket, uint64_t> tickets_; // -> sequence number of the append
    uint64_t sequence_ = 0;
    uint64_t durable_ = 0;     // everything appended up to here is on disk
    bool window_open_ = false; // a refused message may come back: the fence was refused as well
    bool faults_ = false;
};

SpoolOptions Explorer::options() {
    SpoolOptions options;
    options.segment_size = 16 << 10;
    options.growth_step = 4 << 10;
    options.max_spares = 2;
    options.compaction_slack = 1;
    options.min_free = 0;
    options.threaded = false;
    options.clock = [this] { return time_ += 10; };
    options.random = [this] { return (++stamps_ * 0x9E3779B97F4A7C15u) ^ seed_; };
    options.report = [this](const SpoolEvent& event) {
        if (verbose_)
            std::printf("    event: %s\n", event.message.c_str());
        if (event.kind == SpoolEvent::Kind::Damaged && !window_open_)
            fail("reported as damaged: " + event.message);
    };
    return options;
}

std::string Explorer::bytes(size_t length) {
    std::string out(length, '\0');
    for (char& c : out)
        c = static_cast<char>(random_());
    return out;
}

void Explorer::append_with_file(SpoolId id, Expectation& expected) {
    auto file = spool_->create_content_file();
    if (!file)
        return;
    std::vector<std::string_view> pieces{expected.content};
    if (!file->file().write_at(0, pieces, false))
        return;
    auto ticket = spool_->append_message(id, expected.envelope, std::move(*file),
                                         expected.content.size(), crc32c(expected.content));
    expected.in_file = true;
    tickets_[*ticket] = sequence_;
    expected_[id] = expected;
}

void Explorer::append() {
    Expectation expected;
    expected.envelope = bytes(below(60));
    SpoolId id = spool_->next_id();
    sequence_++;
    size_t kind = below(10);
    expected.content = bytes(kind < 7 ? below(700) : kind < 9 ? below(6000) : below(12000));
    if (kind == 8) {
        append_with_file(id, expected);
        return;
    }
    auto ticket = spool_->append_message(id, expected.envelope, expected.content);
    if (!ticket)
        fail("append: " + ticket.error().message);
    tickets_[*ticket] = sequence_;
    expected_[id] = std::move(expected);
}

std::optional<SpoolId> Explorer::any_stored() {
    if (expected_.empty())
        return std::nullopt;
    auto at = expected_.begin();
    std::advance(at, static_cast<ptrdiff_t>(below(expected_.size())));
    for (size_t i = 0; i < expected_.size(); i++) {
        if (at->second.fate == Expectation::Fate::Stored)
            return at->first;
        if (++at == expected_.end())
            at = expected_.begin();
    }
    return std::nullopt;
}

void Explorer::progress() {
    auto id = any_stored();
    if (!id)
        return;
    std::string state = bytes(1 + below(below(4) == 0 ? 1500 : 40));
    auto durability = below(4) == 0 ? Durability::Durable : Durability::Lazy;
    auto ticket = spool_->append_progress(*id, state, durability);
    if (!ticket)
        fail("progress: " + ticket.error().message);
    sequence_++;
    if (durability == Durability::Durable)
        tickets_[*ticket] = sequence_;
    expected_[*id].progress.push_back({sequence_, state});
}

void Explorer::remove() {
    auto id = any_stored();
    if (!id)
        return;
    auto durability = below(2) == 0 ? Durability::Durable : Durability::Lazy;
    auto ticket = spool_->append_removed(*id, durability);
    if (!ticket)
        fail("remove: " + ticket.error().message);
    sequence_++;
    if (durability == Durability::Durable)
        tickets_[*ticket] = sequence_;
    expected_[*id].fate = Expectation::Fate::Removed;
    expected_[*id].removed_at = sequence_;
}

void Explorer::read_back() {
    auto id = any_stored();
    if (!id)
        return;
    const Expectation& expected = expected_[*id];
    auto content = spool_->read_content(*id, 0, expected.content.size());
    if (!content && files_.stopped())
        return;
    if (!content || *content != expected.content)
        fail("content of " + std::to_string(*id) + " reads differently");
}

void Explorer::collect() {
    for (AppendResult& completion : spool_->collect()) {
        auto found = tickets_.find(completion.ticket);
        if (found == tickets_.end())
            fail("completion of an unknown ticket");
        Expectation& expected = expected_[completion.id];
        if (completion.result)
            durable_ = std::max(durable_, found->second);
        else if (files_.stopped())
            continue; // nobody was left to be told
        else if (!faults_)
            fail("refused without a fault: " + completion.result.error().message);
        if (expected.fate == Expectation::Fate::Waiting)
            expected.fate =
                completion.result ? Expectation::Fate::Stored : Expectation::Fate::Refused;
        tickets_.erase(found);
    }
    if (!files_.stopped())
        window_open_ = spool_->statistics().unfenced;
}

// The sync thread's turn; the event loop goes on removing meanwhile.
bool Explorer::sync_step(bool sync_lazy) {
    files_.meanwhile = [this] {
        if (below(8) == 0 && !files_.stopped())
            remove();
    };
    bool more = spool_->run_sync_step(sync_lazy);
    files_.meanwhile = nullptr;
    collect();
    return more;
}

void Explorer::one_operation() {
    size_t kind = below(100);
    if (kind < 40)
        append();
    else if (kind < 50)
        progress();
    else if (kind < 68)
        remove();
    else if (kind < 72)
        read_back();
    else if (kind < 98) {
        spool_->commit();
        sync_step(below(4) == 0);
    } else
        reopen_in_order();
}

void Explorer::live(int operations) {
    for (int i = 0; i < operations && !files_.stopped(); i++)
        one_operation();
    if (!files_.stopped() && below(2) == 0)
        settle();
}

// Everything pending is written and the house is kept.
void Explorer::settle() {
    for (int i = 0; i < 200 && sync_step(true); i++) {
    }
}

void Explorer::open() {
    auto opened = Spool::open(files_, options());
    if (!opened) {
        if (files_.stopped() || files_.sync_failure > 0)
            return;
        fail("open: " + opened.error().message);
    }
    spool_ = std::move(*opened);
}

void Explorer::reopen_in_order() {
    auto closed = spool_->close();
    collect();
    bool faults = faults_ && !closed;
    if (!closed && !faults_ && !files_.stopped())
        fail("close: " + closed.error().message);
    spool_.reset();
    if (files_.stopped())
        return;
    // What was refused at the end, and the lazy records with it, is as after a crash.
    if (!faults)
        durable_ = sequence_;
    double sync_failure = std::exchange(files_.sync_failure, 0);
    double write_failure = std::exchange(files_.write_failure, 0);
    files_.kill_process();
    open();
    if (spool_)
        verify();
    files_.sync_failure = sync_failure;
    files_.write_failure = write_failure;
}

void Explorer::verify_progress(const Expectation& expected, const RecoveredMessage& message) {
    uint64_t newest = 0; // the newest state with these bytes
    uint64_t needed = 0; // the newest durable one
    for (const auto& state : expected.progress) {
        if (message.has_progress && state.bytes == message.progress)
            newest = state.sequence;
        if (state.sequence <= durable_)
            needed = state.sequence;
    }
    if (message.has_progress && newest == 0)
        fail("progress of " + std::to_string(message.id) + " was never recorded");
    if (newest < needed)
        fail("progress of " + std::to_string(message.id) + " is older than what was durable");
}

void Explorer::verify_message(const RecoveredMessage& message) {
    auto found = expected_.find(message.id);
    std::string name = std::to_string(message.id);
    if (found == expected_.end())
        fail("message " + name + " was never appended");
    Expectation& expected = found->second;
    using Fate = Expectation::Fate;
    if (expected.fate == Fate::Refused && !window_open_)
        fail("message " + name + " was refused and has come back");
    if (expected.fate == Fate::Gone)
        fail("message " + name + " was gone and has come back");
    if (expected.fate == Fate::Removed && expected.removed_at <= durable_)
        fail("message " + name + " was removed durably and has come back");
    if (message.envelope != expected.envelope)
        fail("envelope of " + name + " differs");
    if (message.content_in_file != expected.in_file ||
        message.content_length != expected.content.size())
        fail("content of " + name + " has another length or place");
    auto content = spool_->read_content(message.id, 0, expected.content.size() + 1);
    if (!content || *content != expected.content)
        fail("content of " + name + " differs");
    verify_progress(expected, message);
}

void Explorer::verify_missing(SpoolId id, Expectation& expected, bool recovered) {
    if (!recovered && expected.fate == Expectation::Fate::Stored)
        fail("message " + std::to_string(id) + " is lost");
    expected.fate = recovered ? Expectation::Fate::Stored : Expectation::Fate::Gone;
}

void Explorer::verify() {
    std::map<SpoolId, std::optional<std::string>> seen; // -> progress
    for (SpoolId id : spool_->take_found()) {
        if (seen.contains(id))
            fail("message " + std::to_string(id) + " was found twice");
        auto message = spool_->recover(id);
        if (!message && message.error().code == ENOENT)
            continue;
        if (!message)
            fail("message " + std::to_string(id) + ": " + message.error().message);
        seen[id] = message->has_progress ? std::optional(message->progress) : std::nullopt;
        verify_message(*message);
    }
    for (auto& [id, expected] : expected_)
        verify_missing(id, expected, seen.contains(id));
    std::erase_if(expected_, [&](const auto& item) {
        return item.second.fate == Expectation::Fate::Gone && item.first + 5000 < time_;
    });
    // From here on what was recovered is what is on disk.
    for (const auto& [id, state] : seen) {
        expected_[id].progress.clear();
        if (state)
            expected_[id].progress.push_back({0, *state});
    }
    tickets_.clear();
    durable_ = sequence_;
    for (const auto& [id, state] : seen)
        if (state)
            expected_[id].progress.back().sequence = durable_;
    window_open_ = false;
    if (spool_->next_id() <= (seen.empty() ? 0 : seen.rbegin()->first))
        fail("an id is handed out twice");
}

// The process dies and the machine does not: what was written and not synced is there, and must be
// on disk before it is served.
void Explorer::kill_and_recover() {
    spool_.reset();
    files_.kill_process();
    files_.sync_failure = files_.write_failure = 0;
    faults_ = files_.capacity != UINT64_MAX;
    open();
    verify();
    live(20);
}

void Explorer::crash_and_recover(uint64_t seed) {
    if (spool_)
        collect(); // answers that were on their way when the machine stopped still count
    if (spool_ && !window_open_ && seed % 2 == 0)
        kill_and_recover();
    spool_.reset();
    files_.crash(seed);
    files_.sync_failure = files_.write_failure = 0;
    faults_ = files_.capacity != UINT64_MAX;
    // Now and then it stops again while it recovers.
    for (uint64_t again = seed; again % 3 == 0 && again != 0; again /= 3) {
        files_.stop_at_step = files_.steps() + 1 + again % 23;
        open();
        if (!files_.stopped())
            break;
        spool_.reset();
        files_.crash(again);
    }
    files_.stop_at_step = 0;
    if (!spool_)
        open();
    verify();
}

uint64_t Explorer::run(uint64_t step) {
    faults_ = seed_ % 3 == 1;
    files_.sync_failure = faults_ ? 0.05 : 0;
    files_.write_failure = faults_ ? 0.03 : 0;
    if (seed_ % 5 == 2) {
        faults_ = true;
        files_.capacity = 100 << 10;
    }
    files_.stop_at_step = step;
    open();
    if (spool_)
        live(90);
    uint64_t steps = files_.steps();
    // At the end of the workload, or where it stopped.
    std::mt19937_64 fate(seed_ * 1000003 + step);
    crash_and_recover(fate());
    // A second, shorter life on what was recovered.
    files_.stop_at_step = files_.steps() + 1 + fate() % 60;
    live(30);
    crash_and_recover(fate());
    files_.stop_at_step = 0;
    files_.capacity = UINT64_MAX;
    settle();
    reopen_in_order();
    return steps;
}

struct Arguments {
    uint64_t points = 20000;
    std::optional<uint64_t> seed;
    std::optional<uint64_t> step;
    bool verbose = false;
};

bool run_one(uint64_t seed, uint64_t step, bool verbose, uint64_t& steps) {
    try {
        steps = Explorer(seed, verbose).run(step);
        return true;
    } catch (const Violation& violation) {
        std::printf(
            "FAILED: seed %llu, step %llu: %s\n  again: simulation_spool --seed %llu --step "
            "%llu --verbose\n",
            static_cast<unsigned long long>(seed), static_cast<unsigned long long>(step),
            violation.what.c_str(), static_cast<unsigned long long>(seed),
            static_cast<unsigned long long>(step));
        return false;
    }
}

int explore(const Arguments& arguments) {
    uint64_t visited = 0, failures = 0, seed = arguments.seed.value_or(1);
    for (; failures < 10 && (visited < arguments.points || arguments.seed); seed++) {
        uint64_t steps = 0, ignored = 0;
        if (arguments.step) {
            failures += run_one(seed, *arguments.step, arguments.verbose, steps) ? 0 : 1;
            visited++;
        } else {
            failures += run_one(seed, 0, arguments.verbose, steps) ? 0 : 1;
            for (uint64_t step = 1; step <= steps && failures < 10; step++, visited++)
                failures += run_one(seed, step, arguments.verbose, ignored) ? 0 : 1;
        }
        if (arguments.seed)
            break;
    }
    std::printf("%llu crash points, %llu failures\n", static_cast<unsigned long long>(visited),
                static_cast<unsigned long long>(failures));
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

} // namespace
} // namespace postern

int main(int argc, char** argv) {
    postern::Arguments arguments;
    for (int i = 1; i < argc; i++) {
        bool has_value = i + 1 < argc;
        if (std::strcmp(argv[i], "--verbose") == 0)
            arguments.verbose = true;
        else if (std::strcmp(argv[i], "--points") == 0 && has_value)
            arguments.points = std::strtoull(argv[++i], nullptr, 10);
        else if (std::strcmp(argv[i], "--seed") == 0 && has_value)
            arguments.seed = std::strtoull(argv[++i], nullptr, 10);
        else if (std::strcmp(argv[i], "--step") == 0 && has_value)
            arguments.step = std::strtoull(argv[++i], nullptr, 10);
        else {
            std::fprintf(
                stderr, "usage: simulation_spool [--points N] [--seed N [--step N]] [--verbose]\n");
            return 2;
        }
    }
    return postern::explore(arguments);
}
