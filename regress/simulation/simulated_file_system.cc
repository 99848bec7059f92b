// The simulated disk: per file what is cached, what is durable, and which sectors differ.
#include "simulated_file_system.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace postern {

namespace {

constexpr uint64_t sector_size = 512;

Error simulated(const std::string& what, int code) { return system_error(what, code); }

std::string directory_of(const std::string& path) {
    size_t slash = path.rfind('/');
    return slash == std::string::npos ? "" : path.substr(0, slash);
}

} // namespace

class SimulatedFile : public File {
  public:
    SimulatedFile(SimulatedFileSystem& system, std::shared_ptr<SimulatedFileSystem::Node> node)
        : system_(system), node_(std::move(node)), generation_(system.generation_) {}

    Result<size_t> read_at(uint64_t offset, std::span<char> out) override {
        if (dead())
            return simulated("read", EIO);
        if (auto hook = system_.before_read) // a copy: it may take itself away
            hook();
        ++system_.reads_;
        if (system_.read_fails())
            return simulated("read", system_.read_error);
        auto unreadable = node_->unreadable.lower_bound(offset / sector_size);
        if (unreadable != node_->unreadable.end() &&
            *unreadable * sector_size < offset + out.size())
            return simulated("read", EIO);
        const std::string& bytes = node_->cached;
        if (offset >= bytes.size())
            return size_t{0};
        size_t count = std::min<size_t>(out.size(), bytes.size() - offset);
        std::memcpy(out.data(), bytes.data() + offset, count);
        system_.flip_in(out.first(count));
        return count;
    }
    Result<void> write_at(uint64_t offset, std::span<const std::string_view> pieces,
                          bool durable) override {
        if (dead())
            return simulated("write", EIO);
        return system_.write(*node_, offset, pieces, durable);
    }
    Result<void> sync() override {
        if (dead())
            return simulated("sync", EIO);
        if (auto step = system_.step(); !step)
            return step;
        take_in();
        return system_.sync_node(*node_, 0, UINT64_MAX);
    }
    Result<uint64_t> size() override {
        if (dead())
            return simulated("size", EIO);
        take_in();
        return node_->cached.size();
    }
    // What somebody else reads or writes through it is in memory; what he wrote is taken in when it
    // is looked at here.
    Result<FileDescriptor> descriptor() override {
        if (dead())
            return simulated("descriptor", EIO);
        if (!outside_) {
            outside_ = FileDescriptor(::memfd_create("content", MFD_CLOEXEC));
            const std::string& bytes = node_->cached;
            if (!outside_ || ::pwrite(outside_.get(), bytes.data(), bytes.size(), 0) !=
                                 static_cast<ssize_t>(bytes.size()))
                return system_error("memory file");
        }
        return FileDescriptor(::fcntl(outside_.get(), F_DUPFD_CLOEXEC, 0));
    }

    std::shared_ptr<SimulatedFileSystem::Node> node() const { return node_; }
    bool dead() const { return generation_ != system_.generation_ || system_.stopped_; }

  private:
    void take_in() {
        struct stat status;
        if (!outside_ || ::fstat(outside_.get(), &status) != 0 ||
            static_cast<size_t>(status.st_size) <= node_->cached.size())
            return;
        std::string bytes(static_cast<size_t>(status.st_size), '\0');
        if (::pread(outside_.get(), bytes.data(), bytes.size(), 0) ==
            static_cast<ssize_t>(bytes.size()))
            system_.overwrite(*node_, 0, bytes);
    }

    SimulatedFileSystem& system_;
    std::shared_ptr<SimulatedFileSystem::Node> node_;
    uint64_t generation_;
    FileDescriptor outside_;
};

class SimulatedLock : public FileLock {
  public:
    explicit SimulatedLock(SimulatedFileSystem& system)
        : system_(system), generation_(system.generation_) {}
    ~SimulatedLock() override {
        if (generation_ == system_.generation_)
            system_.locked_ = false;
    }

  private:
    SimulatedFileSystem& system_;
    uint64_t generation_;
};

void SimulatedFileSystem::flip_in(std::span<char> data) {
    if (data.empty() || good_to_come_-- > 0 || !random_.chance(read_flip))
        return;
    const uint64_t bit = random_() % (data.size() * 8);
    data[bit / 8] = static_cast<char>(data[bit / 8] ^ (1 << (bit % 8)));
    good_to_come_ = good_after_flip;
    ++flips_;
}

Result<void> SimulatedFileSystem::step(bool* stops_now) {
    if (stopped_)
        return simulated("the machine has stopped", EIO);
    steps_++;
    if (steps_ != stop_at_step)
        return {};
    stopped_ = true;
    if (stops_now != nullptr)
        *stops_now = true;
    return simulated("the machine stops", EIO);
}

void SimulatedFileSystem::write_back(Node& node, uint64_t sector) {
    uint64_t begin = sector * sector_size;
    if (begin >= node.cached.size())
        return;
    uint64_t count = std::min(sector_size, node.cached.size() - begin);
    if (node.durable.size() < begin + count)
        node.durable.resize(begin + count, '\0');
    node.durable.replace(begin, count, node.cached, begin, count);
}

Result<void> SimulatedFileSystem::sync_node(Node& node, uint64_t first, uint64_t last) {
    bool fails = random_.chance(sync_failure);
    auto begin = node.dirty.lower_bound(first), end = node.dirty.upper_bound(last);
    for (auto sector = begin; sector != end; ++sector)
        if (!fails || random_() % 2 == 0)
            write_back(node, *sector);
    node.dirty.erase(begin, end); // even if it failed: the kernel does not try again
    if (fails)
        return simulated("sync", EIO);
    if (node.dirty.empty())
        node.durable.resize(node.cached.size(), '\0');
    return {};
}

void SimulatedFileSystem::overwrite(Node& node, uint64_t offset, const std::string& bytes) {
    if (bytes.empty())
        return;
    if (node.cached.size() < offset + bytes.size())
        node.cached.resize(offset + bytes.size(), '\0');
    node.cached.replace(offset, bytes.size(), bytes);
    for (uint64_t sector = offset / sector_size;
         sector <= (offset + bytes.size() - 1) / sector_size; sector++)
        node.dirty.insert(sector);
    node.unreadable.erase(node.unreadable.lower_bound(offset / sector_size),
                          node.unreadable.upper_bound((offset + bytes.size() - 1) / sector_size));
}

Result<void> SimulatedFileSystem::write(Node& node, uint64_t offset,
                                        std::span<const std::string_view> pieces, bool durable) {
    std::string bytes;
    for (std::string_view piece : pieces)
        bytes.append(piece);
    if (meanwhile)
        meanwhile();
    bool stops_now = false;
    auto step_result = step(&stops_now);
    if (!step_result && !stops_now)
        return step_result;
    int code = 0;
    if (random_.chance(write_failure)) {
        bytes.resize(random_() % (bytes.size() + 1));
        code = EIO;
    }
    uint64_t growth =
        offset + bytes.size() > node.cached.size() ? offset + bytes.size() - node.cached.size() : 0;
    uint64_t room = capacity - std::min(capacity, used());
    if (growth > room) {
        uint64_t end = node.cached.size() + room;
        bytes.resize(end > offset ? end - offset : 0);
        code = ENOSPC;
    }
    overwrite(node, offset, bytes);
    if (!step_result)
        return step_result;
    if (code != 0)
        return simulated("write", code);
    if (!durable || bytes.empty())
        return {};
    // Like RWF_DSYNC: what was written here, not what was written elsewhere before.
    return sync_node(node, offset / sector_size, (offset + bytes.size() - 1) / sector_size);
}

void SimulatedFileSystem::apply(Names& names, const Change& change) {
    for (const auto& [path, node] : change.names) {
        if (node)
            names[path] = node;
        else
            names.erase(path);
    }
}

void SimulatedFileSystem::change_names(Change change) {
    apply(cached_names_, change);
    unsynced_changes_.push_back(std::move(change));
}

void SimulatedFileSystem::persist_names(const std::function<bool(const Change&)>& survives) {
    std::set<std::string> held_up; // an earlier change of this path is still to come
    std::erase_if(unsynced_changes_, [&](const Change& change) {
        bool may = survives(change);
        for (const auto& [path, node] : change.names)
            may = may && !held_up.contains(path);
        if (may)
            apply(durable_names_, change);
        else
            for (const auto& [path, node] : change.names)
                held_up.insert(path);
        return may;
    });
}

bool SimulatedFileSystem::concerns(const Change& change, const std::string& directory) {
    return std::any_of(change.names.begin(), change.names.end(),
                       [&](const auto& name) { return directory_of(name.first) == directory; });
}

// What is in a directory whose own name is not on the disk.
void SimulatedFileSystem::lose_unreachable() {
    std::erase_if(durable_names_, [this](const auto& name) {
        const std::string directory = directory_of(name.first);
        return !directory.empty() && !durable_names_.contains(directory);
    });
}

void SimulatedFileSystem::crash_node(Node& node, SimulationRandom& fate) {
    // Sector by sector; now and then all or nothing, which finds other bugs.
    const uint64_t mood = fate() % 4;
    const bool grows = fate() % 4 == 0;
    const bool garbage = fate() % 2 == 0;
    const uint64_t size = node.durable.size();
    std::vector<uint64_t> dropped;
    for (uint64_t sector : node.dirty) {
        if (mood == 0 || (mood > 1 && fate() % 2 == 0))
            write_back(node, sector);
        else
            dropped.push_back(sector);
    }
    if (grows && node.durable.size() < node.cached.size())
        node.durable.resize(node.cached.size(), '\0');
    for (uint64_t sector : dropped) {
        const uint64_t begin = std::max(sector * sector_size, size);
        const uint64_t end = std::min<uint64_t>((sector + 1) * sector_size, node.durable.size());
        if (!garbage || begin >= end)
            continue;
        node.durable.replace(begin, end - begin, fate.bytes(end - begin));
        ++garbage_;
    }
    node.dirty.clear();
    node.cached = node.durable;
}

void SimulatedFileSystem::crash(uint64_t seed) {
    SimulationRandom fate(seed);
    const uint64_t mood = fate() % 4; // all, none, those up to some point, any
    uint64_t kept = mood == 0   ? UINT64_MAX
                    : mood == 1 ? 0
                                : fate() % (unsynced_changes_.size() + 1);
    persist_names([&](const Change&) {
        if (mood == 3)
            return fate() % 2 == 0;
        return kept > 0 && kept-- > 0;
    });
    unsynced_changes_.clear();
    lose_unreachable();
    cached_names_ = durable_names_;
    for (auto& [path, node] : cached_names_)
        crash_node(*node, fate);
    stopped_ = false;
    locked_ = false;
    stop_at_step = 0;
    generation_++;
}

void SimulatedFileSystem::kill_process() {
    stopped_ = false;
    stop_at_step = 0;
    locked_ = false;
    generation_++;
}

bool SimulatedFileSystem::flip_bit(const std::string& path, uint64_t bit) {
    auto found = cached_names_.find(path);
    if (found == cached_names_.end() || found->second->cached.size() <= bit / 8)
        return false;
    for (std::string* bytes : {&found->second->cached, &found->second->durable})
        if (bytes->size() > bit / 8)
            (*bytes)[bit / 8] = static_cast<char>((*bytes)[bit / 8] ^ (1 << (bit % 8)));
    return true;
}

void SimulatedFileSystem::make_unreadable(const std::string& path, uint64_t begin, uint64_t end) {
    for (uint64_t sector = begin / sector_size; sector * sector_size < end; sector++)
        cached_names_.at(path)->unreadable.insert(sector);
}

std::string SimulatedFileSystem::contents(const std::string& path) const {
    auto found = cached_names_.find(path);
    return found == cached_names_.end() ? std::string() : found->second->cached;
}

void SimulatedFileSystem::set_contents(const std::string& path, const std::string& bytes) {
    auto node = std::make_shared<Node>();
    node->cached = node->durable = bytes;
    cached_names_[path] = durable_names_[path] = node;
    const std::string directory = directory_of(path);
    if (!directory.empty() && !durable_names_.contains(directory)) {
        auto parent = std::make_shared<Node>();
        parent->directory = true;
        cached_names_[directory] = durable_names_[directory] = parent;
    }
}

std::vector<std::string> SimulatedFileSystem::names(const std::string& directory) const {
    std::vector<std::string> names;
    for (const auto& [path, node] : cached_names_)
        if (path != directory && directory_of(path) == directory)
            names.push_back(path.substr(directory.empty() ? 0 : directory.size() + 1));
    return names;
}

Result<std::unique_ptr<File>> SimulatedFileSystem::open(const std::string& path, OpenMode mode) {
    if (stopped_)
        return simulated(path, EIO);
    auto found = cached_names_.find(path);
    if (mode != OpenMode::CreateNew) {
        if (found == cached_names_.end())
            return simulated(path, ENOENT);
        if (read_fails())
            return simulated(path, read_error);
        return std::unique_ptr<File>(std::make_unique<SimulatedFile>(*this, found->second));
    }
    if (auto counted = step(); !counted)
        return counted.error();
    if (found != cached_names_.end())
        return simulated(path, EEXIST);
    auto node = std::make_shared<Node>();
    change_names({{{path, node}}});
    return std::unique_ptr<File>(std::make_unique<SimulatedFile>(*this, node));
}

Result<std::unique_ptr<File>> SimulatedFileSystem::create_unnamed(const std::string&) {
    if (auto counted = step(); !counted)
        return counted.error();
    return std::unique_ptr<File>(std::make_unique<SimulatedFile>(*this, std::make_shared<Node>()));
}

Result<void> SimulatedFileSystem::link_unnamed(File& file, const std::string& path) {
    if (auto counted = step(); !counted)
        return counted;
    if (cached_names_.contains(path))
        return simulated(path, EEXIST);
    change_names({{{path, static_cast<SimulatedFile&>(file).node()}}});
    return {};
}

Result<void> SimulatedFileSystem::rename(const std::string& from, const std::string& to) {
    if (auto counted = step(); !counted)
        return counted;
    auto found = cached_names_.find(from);
    if (found == cached_names_.end())
        return simulated(from, ENOENT);
    auto node = found->second;
    change_names({{{from, nullptr}, {to, node}}});
    return {};
}

Result<void> SimulatedFileSystem::unlink(const std::string& path) {
    if (auto counted = step(); !counted)
        return counted;
    if (!cached_names_.contains(path))
        return simulated(path, ENOENT);
    change_names({{{path, nullptr}}});
    return {};
}

Result<void> SimulatedFileSystem::make_directory(const std::string& path) {
    if (auto counted = step(); !counted)
        return counted;
    if (cached_names_.contains(path))
        return {};
    auto node = std::make_shared<Node>();
    node->directory = true;
    change_names({{{path, node}}});
    return {};
}

Result<std::vector<std::string>> SimulatedFileSystem::list(const std::string& directory) {
    if (stopped_)
        return simulated(directory, EIO);
    if (!directory.empty() && !cached_names_.contains(directory))
        return simulated(directory, ENOENT);
    return names(directory);
}

Result<void> SimulatedFileSystem::sync_directory(const std::string& directory) {
    if (auto counted = step(); !counted)
        return counted;
    const bool fails = random_.chance(sync_failure);
    persist_names([&](const Change& change) {
        return concerns(change, directory) && (!fails || random_() % 2 == 0);
    });
    if (fails)
        return simulated(directory + ": sync", EIO);
    return {};
}

Result<std::unique_ptr<FileLock>> SimulatedFileSystem::lock(const std::string& path, LockMode) {
    if (stopped_)
        return simulated(path, EIO);
    if (locked_)
        return simulated(path, EWOULDBLOCK);
    locked_ = true;
    return std::unique_ptr<FileLock>(std::make_unique<SimulatedLock>(*this));
}

uint64_t SimulatedFileSystem::used() const {
    uint64_t bytes = 0;
    for (const auto& [path, node] : cached_names_)
        bytes += node->cached.size();
    return bytes;
}

Result<uint64_t> SimulatedFileSystem::free_space() {
    if (stopped_)
        return simulated("free space", EIO);
    uint64_t taken = used();
    return taken < capacity ? capacity - taken : 0;
}

} // namespace postern
