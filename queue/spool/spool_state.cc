// The cache of open segment files, and the names in the spool's directories.
#include "queue/spool/spool_state.h"

#include <array>
#include <cerrno>
#include <cstdio>

namespace postern {

Result<std::shared_ptr<File>> SegmentFiles::get(uint16_t slot) {
    while (true) {
        uint64_t changes = 0;
        {
            std::lock_guard lock(mutex_);
            auto found = open_.find(slot);
            if (found != open_.end())
                return found->second;
            changes = changes_;
        }
        auto opened = files_.open(segment_path(slot), OpenMode::ReadWrite);
        std::lock_guard lock(mutex_);
        if (changes != changes_)
            continue; // it may have been one that is gone by now
        if (!opened)  // ENOENT would say that there is no such message
            return opened.error().code == ENOENT ? Error{opened.error().message, EIO}
                                                 : opened.error();
        make_room();
        return open_.try_emplace(slot, std::move(*opened)).first->second;
    }
}

void SegmentFiles::put(uint16_t slot, std::shared_ptr<File> file) {
    std::lock_guard lock(mutex_);
    ++changes_;
    make_room();
    open_[slot] = std::move(file);
}

void SegmentFiles::make_room() {
    while (open_.size() >= limit_)
        open_.erase(open_.begin());
}

void SegmentFiles::forget(uint16_t slot) {
    std::lock_guard lock(mutex_);
    ++changes_;
    open_.erase(slot);
}

std::string content_path(SpoolId id) {
    char name[40];
    std::snprintf(name, sizeof name, "content/%016llx", static_cast<unsigned long long>(id));
    return name;
}

SpoolId content_id(const std::string& name) {
    if (name.size() != 16 || name.find_first_not_of("0123456789abcdef") != std::string::npos)
        return 0;
    return std::stoull(name, nullptr, 16);
}

Result<void> set_aside(FileSystem& files, const std::string& name, std::string_view data) {
    std::string path = "corrupt/" + name;
    auto file = files.open(path, OpenMode::CreateNew);
    if (!file && file.error().code == EEXIST) // perhaps cut off by a crash
        file = files.open(path, OpenMode::ReadWrite);
    if (!file)
        return file.error();
    std::array<std::string_view, 1> pieces{data};
    if (auto written = (*file)->write_at(0, pieces, true); !written) {
        (void)files.unlink(path);
        return written.error();
    }
    return files.sync_directory("corrupt");
}

} // namespace postern
