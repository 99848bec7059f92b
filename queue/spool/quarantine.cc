// Every change of names in corrupt/ is durable before anything is built on it.
#include "queue/spool/quarantine.h"

#include <algorithm>
#include <cerrno>

namespace postern {

namespace {

const std::string marker = "damaged";
constexpr unsigned refusals_borne = 5; // of one range

bool is_full(const Error& error) { return error.code == ENOSPC || error.code == EDQUOT; }

} // namespace

Result<void> Quarantine::recall() {
    auto found = files_.open(marker, OpenMode::Read);
    if (!found && found.error().code != ENOENT)
        return found.error();
    damage_found_ = static_cast<bool>(found);
    return {};
}

Result<void> Quarantine::note_damage() {
    if (damage_found_)
        return {};
    if (auto made = files_.open(marker, OpenMode::CreateNew);
        !made && made.error().code != EEXIST) // by an attempt that could not be synced
        return made.error();
    if (auto synced = files_.sync_directory(""); !synced)
        return synced;
    damage_found_ = true;
    return {};
}

Result<void> Quarantine::take_segment(uint16_t slot) {
    if (auto noted = note_damage(); !noted)
        return noted;
    std::string path = segment_path(slot);
    std::string target = "corrupt/segment-" + path.substr(path.find('/') + 1);
    // A name that is not taken: what was set aside before is not overwritten.
    auto names = files_.list("corrupt");
    if (!names)
        return names.error();
    std::string base = target;
    for (int i = 2; std::find(names->begin(), names->end(), target.substr(8)) != names->end(); i++)
        target = base + "." + std::to_string(i);
    state_.report(SpoolEvent::Kind::Damaged,
                  path + ": unreadable header; the segment is set aside as " + target);
    if (auto renamed = files_.rename(path, target); !renamed)
        return renamed;
    if (auto synced = files_.sync_directory("corrupt"); !synced)
        return synced;
    return files_.sync_directory("segments");
}

Result<void> Quarantine::take_range(uint16_t slot, const SegmentHeader& header,
                                    const DamagedRange& range, std::string_view segment) {
    const std::string where = segment_path(slot) + ": bytes " + std::to_string(range.begin) +
                              " to " + std::to_string(range.end);
    const std::string name =
        "epoch-" + std::to_string(header.epoch) + "-" + std::to_string(range.begin);
    if (done_.contains(name))
        return {};
    if (!range.was_durable) {
        state_.report(SpoolEvent::Kind::TornTail,
                      where + ": cut off by a crash before it was answered for");
        done_.insert(name);
        return {};
    }
    // A sealed segment keeps its damage, which is found again at the next start.
    if (auto noted = note_damage(); !noted && header.state == SegmentState::Active)
        return noted;
    damage_found_ = true;
    auto saved = set_aside(files_, name, segment.substr(range.begin, range.end - range.begin));
    if (!saved && !is_full(saved.error()) && ++refusals_[name] < refusals_borne)
        return saved;
    state_.report(SpoolEvent::Kind::Damaged,
                  where + (saved ? ": damaged; set aside as corrupt/" + name
                                 : ": damaged, and cannot be set aside: " + saved.error().message));
    done_.insert(name);
    return {};
}

Result<void> Quarantine::take_content(SpoolId id) {
    const std::string path = content_path(id);
    auto renamed = files_.rename(path, "corrupt" + path.substr(path.find('/')) + ".content");
    if (!renamed && renamed.error().code != ENOENT) // moved by an earlier attempt
        return renamed;
    return {};
}

Result<void> Quarantine::finish() {
    if (!damage_found_)
        return {};
    for (const char* directory : {"corrupt", "content"})
        if (auto synced = files_.sync_directory(directory); !synced)
            return synced;
    // One that stays makes the next start keep more than it has to.
    if (files_.unlink(marker))
        (void)files_.sync_directory("");
    return {};
}

} // namespace postern
