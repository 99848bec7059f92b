// A file system in memory that behaves as badly as POSIX allows, from a seed.
//
// - Data that was not synced survives a crash sector by sector (512 bytes) at random: dropped, kept
//   or torn, in any order. A file that had grown may have its new size all the same, with zeros or
//   with somebody else's old data where the sectors were dropped.
// - Names that were not synced survive in any combination, but for those of one path, which do so
//   in order: a file system with a journal commits them in order, others do not. A rename survives
//   as a whole. Syncing a directory makes durable what was done in it, and no other directory.
// - A sync can fail: then each unsynced sector is on disk or not, and counts as clean, so that a
//   later sync succeeds without writing it (as Linux does); that of a directory makes some of its
//   names durable. A write can fail half-way.
// - A durable write makes durable what it wrote and nothing else of the file (as RWF_DSYNC does).
// - A read can return a flipped bit, though the disk has none; the next ones do not.
// - The disk has a size.
// - The machine can stop at any step (every call that changes something is one): from then on every
//   call fails, until crash() brings the machine up again with what survived.
//
// One thread only.
#pragma once

#include <climits>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "queue/spool/file_system.h"
#include "regress/simulation/random.h"

namespace postern {

class SimulatedFileSystem : public FileSystem {
  public:
    explicit SimulatedFileSystem(uint64_t seed) : random_(seed) {}

    // -- What goes wrong.
    uint64_t stop_at_step = 0;      // the machine stops at this step; 0: never
    double sync_failure = 0;        // probability of a sync or durable write failing
    double write_failure = 0;       // of a write failing with EIO after part of it
    uint64_t capacity = UINT64_MAX; // bytes
    double read_flip = 0;           // probability of a read returning a flipped bit
    int good_after_flip = 1;        // so many reads do not thereafter
    int read_error = 0;             // what reads and opens of what exists fail with; 0: nothing
    int good_reads = 0;             // so many succeed before that
    int bad_reads = INT_MAX;        // so many fail before the disk is good again
    // Called in the middle of every write: what another thread might do meanwhile.
    std::function<void()> meanwhile;
    // Called before every read: the same.
    std::function<void()> before_read;

    uint64_t steps() const { return steps_; }
    uint64_t reads() const { return reads_; }
    uint64_t flips() const { return flips_; } // reads that returned a flipped bit
    bool stopped() const { return stopped_; }
    // Crashes after which a file had somebody else's old data where its own had not arrived.
    uint64_t garbage() const { return garbage_; }
    // The machine comes up again; open Files are dead. `seed`: for what survives.
    void crash(uint64_t seed);
    // The process dies, but not the machine: nothing is lost but the open Files.
    void kill_process();
    // Reads of these bytes fail with EIO, until they are written.
    void make_unreadable(const std::string& path, uint64_t begin, uint64_t end);
    // A bit on the disk changes. False if there is no such file or it is shorter.
    bool flip_bit(const std::string& path, uint64_t bit);
    // The file's bytes as they are read; empty if there is none.
    std::string contents(const std::string& path) const;
    void set_contents(const std::string& path, const std::string& bytes); // synced at once
    std::vector<std::string> names(const std::string& directory) const;

    Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
    Result<std::unique_ptr<File>> create_unnamed(const std::string& directory) override;
    Result<void> link_unnamed(File& file, const std::string& path) override;
    Result<void> rename(const std::string& from, const std::string& to) override;
    Result<void> unlink(const std::string& path) override;
    Result<void> make_directory(const std::string& path) override;
    Result<std::vector<std::string>> list(const std::string& directory) override;
    Result<void> sync_directory(const std::string& directory) override;
    Result<std::unique_ptr<FileLock>> lock(const std::string& path, LockMode mode) override;
    Result<uint64_t> free_space() override;

  private:
    friend class SimulatedFile;
    friend class SimulatedLock;

    struct Node {
        std::string cached;            // what a read sees
        std::string durable;           // what is on the disk
        std::set<uint64_t> dirty;      // sectors in which they may differ
        std::set<uint64_t> unreadable; // sectors
        bool directory = false;
    };
    using Names = std::map<std::string, std::shared_ptr<Node>>;
    // One change of names, atomic; a null node unlinks.
    struct Change {
        std::vector<std::pair<std::string, std::shared_ptr<Node>>> names;
    };

    // Counts a step. An error if the machine has stopped, or stops now; then `stops_now` is set, if
    // it is given, and the call may still have part of its effect.
    Result<void> step(bool* stops_now = nullptr);
    bool read_fails() { return read_error != 0 && good_reads-- <= 0 && bad_reads-- > 0; }
    void flip_in(std::span<char> data);
    void change_names(Change change);
    static void apply(Names& names, const Change& change);
    // Makes those of the unsynced changes of names durable for which `survives` is true and that no
    // earlier one of the same path stands in the way of; forgets them.
    void persist_names(const std::function<bool(const Change&)>& survives);
    static bool concerns(const Change& change, const std::string& directory);
    void lose_unreachable();
    void crash_node(Node& node, SimulationRandom& fate);
    void write_back(Node& node, uint64_t sector);
    static void overwrite(Node& node, uint64_t offset, const std::string& bytes);
    Result<void> write(Node& node, uint64_t offset, std::span<const std::string_view> pieces,
                       bool durable);
    // The sectors from `first` to `last`.
    Result<void> sync_node(Node& node, uint64_t first, uint64_t last);
    uint64_t used() const;

    SimulationRandom random_;
    uint64_t steps_ = 0;
    uint64_t reads_ = 0;
    uint64_t flips_ = 0;
    uint64_t garbage_ = 0;
    int good_to_come_ = 0;
    uint64_t generation_ = 0; // of open Files
    bool stopped_ = false;
    bool locked_ = false;
    Names cached_names_;
    Names durable_names_;
    std::vector<Change> unsynced_changes_;
};

} // namespace postern
