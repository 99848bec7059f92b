// Stops the machine at every step of random workloads on the spool, brings it up again, and
// compares what is recovered with what the spool had promised:
//
// - a message whose ticket succeeded, and which was not removed, is there exactly once, byte for
//   byte;
// - one whose ticket had failed is not (unless the disk refused even the mark that says so);
// - one that was removed is not, once anything appended later was durable;
// - progress is never older than what was durable;
// - nothing comes back at a later start that was not there at an earlier one;
// - a bit that is flipped on the way from the disk costs nothing; one that is flipped on the disk
//   costs one record, and never are wrong bytes given out as good; of a message whose record is
//   damaged the content file is kept;
// - nobody else gets the spool meanwhile.
//
// Recovery is stopped as well, again and again, and so is what is done after it. What a workload
// has to put up with (refusals, a full disk, flipped bits) depends on its seed. The command line is
// in exploration.h.
#include <cerrno>
#include <cstdio>
#include <map>
#include <optional>
#include <string>

#include "common/base/crc32c.h"
#include "queue/spool/spool.h"
#include "queue/spool/spool_state.h"
#include "regress/simulation/exploration.h"
#include "regress/simulation/simulated_file_system.h"

namespace postern {
namespace {

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
    bool damaged = false;    // by a bit that was flipped on the disk
    uint64_t removed_at = 0; // sequence number of the removal
    struct State {
        uint64_t sequence = 0;
        std::string bytes;
    };
    std::vector<State> progress;
};

// In place of the sequence number of a progress; those of what is appended come after them.
constexpr uint64_t superseded = 1; // something else was recovered; only damage brings it back
constexpr uint64_t as_recovered = 2;

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
    void read_part(SpoolId id, const Expectation& expected);
    void collect();
    bool sync_step(bool sync_lazy);
    void kill_and_recover();
    void settle();
    void begin_life();
    bool find();
    void reopen_in_order();
    void crash_and_recover(uint64_t seed);
    void verify();
    void verify_message(const RecoveredMessage& message);
    void verify_progress(const Expectation& expected, const RecoveredMessage& message);
    void verify_missing(SpoolId id, Expectation& expected, bool recovered);
    std::optional<SpoolId> any_stored();
    void try_to_share();
    bool is_content_aside(SpoolId id) const;
    bool make_room_for_damage();
    void flip_on_disk(SimulationRandom& fate);
    void cut_starts_short(SimulationRandom& fate);
    void recover_with_crashes(SimulationRandom& fate);
    void recover_with_faults();
    size_t below(size_t limit) { return random_.below(limit); }
    [[noreturn]] void fail(const std::string& what) { throw Violation{what}; }
    // Unless a bit that was flipped on the disk explains it.
    void fail_unless_damaged(const std::string& what);
    void fail_unless_forgotten(const std::string& what);

    SimulationRandom random_;
    SimulatedFileSystem files_;
    uint64_t seed_;
    bool verbose_;
    uint64_t time_ = 1'000'000;
    uint64_t uptime_ = 0;
    uint64_t stamps_ = 0;
    std::unique_ptr<Spool> spool_;
    std::vector<SpoolId> found_; // at the start, until it is looked at
    SpoolId first_new_id_ = 0;   // since then
    SpoolId first_known_id_ = 0; // the same, until the indexes have been read
    std::map<SpoolId, Expectation> expected_;
    std::map<Ticket, uint64_t> tickets_; // -> sequence number of the append
    uint64_t sequence_ = as_recovered;
    uint64_t durable_ = as_recovered; // everything appended up to here is on disk
    bool window_open_ = false;     // a refused message may come back: the fence was refused as well
    bool window_was_open_ = false; // in a life before the last verify()
    bool faults_ = false;
    uint64_t damage_ = 0; // bits that were flipped on the disk, and have cost nothing so far
    bool ever_damaged_ = false;
    bool torn_ = false; // a start since the last verify() found a write that was cut off
};

void Explorer::fail_unless_damaged(const std::string& what) {
    if (damage_ == 0)
        fail(what);
    damage_--;
}

// The same of progress and removals. Where the bit was in what was written last, it looks like a
// gap that a crash has left, and what follows of these is left out.
void Explorer::fail_unless_forgotten(const std::string& what) {
    if (!ever_damaged_ || !torn_)
        fail_unless_damaged(what);
}

SpoolOptions Explorer::options() {
    SpoolOptions options;
    options.segment_size = 16 << 10;
    options.growth_step = 4 << 10;
    options.max_spares = 2;
    options.compaction_slack = 1;
    options.min_free = 0;
    options.threaded = false;
    options.clock = [this] { return time_ += 10; };
    options.uptime = [this] { return uptime_; };
    options.random = [this] { return (++stamps_ * 0x9E3779B97F4A7C15u) ^ seed_; };
    options.report = [this](const SpoolEvent& event) {
        if (verbose_)
            std::printf("    event: %s\n", event.message.c_str());
        torn_ = torn_ || event.kind == SpoolEvent::Kind::TornTail;
        if (event.kind == SpoolEvent::Kind::Damaged && !window_open_ && !window_was_open_ &&
            !ever_damaged_ && files_.garbage() == 0)
            fail("reported as damaged: " + event.message);
    };
    return options;
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
    expected.envelope = random_.bytes(below(60));
    SpoolId id = spool_->next_id();
    sequence_++;
    size_t kind = below(10);
    expected.content = random_.bytes(kind < 7 ? below(700) : kind < 9 ? below(6000) : below(12000));
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
        if (at->second.fate == Expectation::Fate::Stored && at->first >= first_known_id_)
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
    std::string state = random_.bytes(1 + below(below(4) == 0 ? 1500 : 40));
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

// Of content inside a record the checksum is looked at whatever part is read.
void Explorer::read_part(SpoolId id, const Expectation& expected) {
    const size_t from = below(expected.content.size());
    const size_t length = 1 + below(expected.content.size() - from);
    auto content = spool_->read_content(id, from, length);
    if (content && *content != expected.content.substr(from, length))
        fail("a part of the content of " + std::to_string(id) + " reads differently");
    if (!content && !files_.stopped() && !expected.damaged && damage_ == 0)
        fail("a part of the content of " + std::to_string(id) +
             " cannot be read: " + content.error().message);
}

void Explorer::read_back() {
    auto id = any_stored();
    if (!id)
        return;
    const Expectation& expected = expected_[*id];
    if (below(2) == 0 && !expected.content.empty() && !expected.in_file)
        return read_part(*id, expected);
    auto content = spool_->read_content(*id, 0, expected.content.size());
    if (!content && (files_.stopped() || expected.damaged))
        return;
    if (!content && content.error().code == EBADMSG) {
        fail_unless_damaged("content of " + std::to_string(*id) + " is damaged");
        expected_[*id].damaged = true;
        return;
    }
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
    else if (kind < 73)
        try_to_share();
    else if (kind < 98) {
        spool_->commit();
        sync_step(below(4) == 0);
    } else
        reopen_in_order();
}

void Explorer::try_to_share() {
    auto second = Spool::open(files_, options());
    if (second || (second.error().code != EWOULDBLOCK && !files_.stopped()))
        fail("a second queue is not kept out");
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

// What is damaged cannot be set aside while the disk is full: it waits for room.
bool Explorer::make_room_for_damage() {
    return ever_damaged_ && std::exchange(files_.capacity, UINT64_MAX) != UINT64_MAX;
}

void Explorer::open() {
    auto opened = Spool::open(files_, options());
    if (!opened && !files_.stopped() && make_room_for_damage()) {
        files_.kill_process();
        opened = Spool::open(files_, options());
    }
    if (!opened) {
        if (files_.stopped() || files_.sync_failure > 0)
            return;
        fail("open: " + opened.error().message);
    }
    spool_ = std::move(*opened);
    begin_life();
}

// What was not durable at the end of the life before may be there or not, for as long as nobody has
// seen what is there.
void Explorer::begin_life() {
    using Fate = Expectation::Fate;
    for (auto& [id, expected] : expected_) {
        if (expected.fate == Fate::Removed && expected.removed_at > durable_)
            expected.removed_at = UINT64_MAX;
        if (expected.fate == Fate::Refused && window_open_)
            expected.fate = Fate::Waiting;
        for (auto& state : expected.progress)
            if (state.sequence > durable_)
                state.sequence = UINT64_MAX;
    }
    tickets_.clear();
    window_was_open_ = window_was_open_ || window_open_;
    window_open_ = false;
    first_new_id_ = first_known_id_ = spool_->next_id();
    found_.clear();
}

// The indexes are read, and mail is taken meanwhile. False if the machine stops.
bool Explorer::find() {
    for (int i = 0; i < 1000 && !files_.stopped(); i++) {
        if (first_known_id_ == 0)
            return true; // they were already
        if (auto found = spool_->take_found()) {
            found_ = std::move(*found);
            first_known_id_ = 0;
            return true;
        }
        if (i == 100)
            make_room_for_damage();
        if (below(4) == 0)
            append();
        spool_->commit();
        uptime_ += 10'000'000; // a minute at most between attempts
        sync_step(below(4) == 0);
    }
    if (!files_.stopped())
        fail("the indexes are not read");
    return false;
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
    if (spool_ && find())
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
        if (state.sequence != superseded && state.sequence <= durable_)
            needed = state.sequence;
    }
    if (message.has_progress && newest == 0)
        fail("progress of " + std::to_string(message.id) + " was never recorded");
    // Where damage has brought a message back it has done so without what was known of it.
    const bool returned = expected.damaged && (expected.fate == Expectation::Fate::Removed ||
                                               expected.fate == Expectation::Fate::Gone);
    if ((newest < needed || newest == superseded) && !returned)
        fail_unless_forgotten("progress of " + std::to_string(message.id) +
                              " is older than what was durable");
}

void Explorer::verify_message(const RecoveredMessage& message) {
    auto found = expected_.find(message.id);
    std::string name = std::to_string(message.id);
    if (found == expected_.end())
        fail("message " + name + " was never appended");
    Expectation& expected = found->second;
    using Fate = Expectation::Fate;
    if (expected.fate == Fate::Refused)
        fail("message " + name + " was refused and has come back");
    if (expected.fate == Fate::Gone) {
        fail_unless_forgotten("message " + name + " was gone and has come back");
        expected.damaged = true; // its file may have gone, as it should
    }
    if (expected.fate == Fate::Removed && expected.removed_at <= durable_) {
        fail_unless_forgotten("message " + name + " was removed durably and has come back");
        expected.damaged = true; // the same
    }
    if (message.envelope != expected.envelope)
        fail("envelope of " + name + " differs");
    if (message.content_in_file != expected.in_file ||
        message.content_length != expected.content.size())
        fail("content of " + name + " has another length or place");
    auto content = spool_->read_content(message.id, 0, expected.content.size() + 1);
    if (!content && content.error().code == EBADMSG && !expected.damaged) {
        // One that had been removed is back without its content, when that is forgotten.
        if (expected.fate == Expectation::Fate::Removed)
            fail_unless_forgotten("content of " + name + " is damaged");
        else
            fail_unless_damaged("content of " + name + " is damaged");
        expected.damaged = true;
    }
    if (content ? *content != expected.content : !expected.damaged)
        fail("content of " + name + " differs");
    verify_progress(expected, message);
}

void Explorer::verify_missing(SpoolId id, Expectation& expected, bool recovered) {
    if (!recovered && expected.fate == Expectation::Fate::Stored && !expected.damaged) {
        fail_unless_damaged("message " + std::to_string(id) + " is lost");
        // Damage to what was written last looks like a write that was cut off.
        if (expected.in_file && !torn_ && !is_content_aside(id))
            fail("of the damaged message " + std::to_string(id) + " the content is lost as well");
    }
    expected.fate = recovered ? Expectation::Fate::Stored : Expectation::Fate::Gone;
}

void Explorer::verify() {
    std::map<SpoolId, std::optional<std::string>> seen; // -> progress
    for (SpoolId id : std::exchange(found_, {})) {
        if (seen.contains(id))
            fail("message " + std::to_string(id) + " was found twice");
        auto message = spool_->recover(id);
        if (!message && message.error().code != ENOENT && make_room_for_damage())
            message = spool_->recover(id);
        if (!message && message.error().code == ENOENT)
            continue;
        if (!message)
            fail("message " + std::to_string(id) + ": " + message.error().message);
        seen[id] = message->has_progress ? std::optional(message->progress) : std::nullopt;
        verify_message(*message);
    }
    for (auto& [id, expected] : expected_)
        if (id < first_new_id_)
            verify_missing(id, expected, seen.contains(id));
    std::erase_if(expected_, [&](const auto& item) {
        return item.second.fate == Expectation::Fate::Gone && item.first + 5000 < time_;
    });
    // From here on what was recovered is what is on disk.
    for (const auto& [id, state] : seen) {
        for (auto& old : expected_[id].progress)
            old.sequence = superseded;
        if (state)
            expected_[id].progress.push_back({as_recovered, *state});
    }
    window_was_open_ = torn_ = false;
    if (first_new_id_ <= (seen.empty() ? 0 : seen.rbegin()->first))
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
    if (!find())
        return;
    verify();
    live(20);
}

bool Explorer::is_content_aside(SpoolId id) const {
    const std::string name = content_path(id).substr(8);
    for (const std::string& aside : files_.names("corrupt"))
        if (aside.starts_with(name) && aside.ends_with(".content"))
            return true;
    return false;
}

// Both copies of a segment's header, or any bit.
void Explorer::flip_on_disk(SimulationRandom& fate) {
    const auto segments = files_.names("segments");
    if (fate() % 4 == 0 && !segments.empty()) {
        const std::string path = "segments/" + segments[fate.below(segments.size())];
        if (!files_.flip_bit(path, 100) || !files_.flip_bit(path, 2048 * 8 + 100))
            return;
        damage_ += 1000; // all that is in it
        ever_damaged_ = true;
        return;
    }
    const char* directory = fate() % 4 == 0 ? "content" : "segments";
    const auto names = files_.names(directory);
    if (names.empty())
        return;
    const std::string path = std::string(directory) + "/" + names[fate.below(names.size())];
    const size_t size = files_.contents(path).size();
    if (size == 0 || !files_.flip_bit(path, fate.below(size * 8)))
        return;
    damage_++;
    ever_damaged_ = true;
}

// Starts that end before all indexes have been read: in order, or the process or the machine stops.
void Explorer::cut_starts_short(SimulationRandom& fate) {
    for (uint64_t starts = fate() % 4; starts > 0; starts--) {
        open();
        for (uint64_t steps = fate() % 8; spool_ && steps > 0; steps--)
            sync_step(false);
        if (spool_ && fate() % 2 == 0)
            (void)spool_->close();
        spool_.reset();
        if (fate() % 3 == 0)
            files_.crash(fate());
        else
            files_.kill_process();
    }
}

// It stops again while it recovers, the machine or only the process.
void Explorer::recover_with_crashes(SimulationRandom& fate) {
    while (fate() % 3 == 0) {
        files_.stop_at_step = files_.steps() + 1 + fate() % 40;
        open();
        if (spool_ && find())
            break;
        spool_.reset();
        if (fate() % 3 == 0)
            files_.kill_process();
        else
            files_.crash(fate());
    }
    files_.stop_at_step = 0;
}

// The disk refuses while it recovers, which is tried again, as the supervisor does.
void Explorer::recover_with_faults() {
    const double sync_failure = std::exchange(files_.sync_failure, 0.05);
    const double write_failure = std::exchange(files_.write_failure, 0.03);
    const bool faults = std::exchange(faults_, true);
    for (int i = 0; i < 3 && !spool_; i++) {
        open();
        if (!spool_)
            files_.kill_process();
    }
    if (spool_)
        find();
    faults_ = faults;
    files_.sync_failure = sync_failure;
    files_.write_failure = write_failure;
}

void Explorer::crash_and_recover(uint64_t seed) {
    SimulationRandom fate(seed);
    if (spool_)
        collect(); // answers that were on their way when the machine stopped still count
    if (spool_ && !window_open_ && fate() % 2 == 0)
        kill_and_recover();
    spool_.reset();
    files_.crash(fate());
    if (seed_ % 7 == 5 && fate() % 2 == 0)
        flip_on_disk(fate);
    const bool faults = faults_;
    files_.sync_failure = files_.write_failure = 0;
    faults_ = files_.capacity != UINT64_MAX;
    cut_starts_short(fate);
    recover_with_crashes(fate);
    if (!spool_ && faults)
        recover_with_faults();
    if (!spool_)
        open();
    find();
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
    files_.read_flip = seed_ % 4 == 3 ? 0.1 : 0;
    files_.stop_at_step = step;
    open();
    if (spool_ && find())
        live(90);
    uint64_t steps = files_.steps();
    // At the end of the workload, or where it stopped.
    SimulationRandom fate(seed_ * 1000003 + step);
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

} // namespace
} // namespace postern

int main(int argc, char** argv) {
    return postern::explore(argc, argv, 100000, [](uint64_t seed, uint64_t step, bool verbose) {
        return postern::Explorer(seed, verbose).run(step);
    });
}
