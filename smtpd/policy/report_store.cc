#include "smtpd/policy/report_store.h"

#include <algorithm>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/log.h"
#include "smtpd/policy/files.h"

namespace postern::policy {

namespace {

const std::string begin_of_name(ReportStore::prefix);
const std::string today_name = begin_of_name + "today";
const std::string fresh_name = begin_of_name + "new";
const std::string damaged_name = begin_of_name + "damaged";
const std::string told_suffix = ".told";

std::string name_of(const std::string& id) { return begin_of_name + id; }
std::string told_name_of(const std::string& id) { return begin_of_name + id + told_suffix; }

// Before what is done with goes: that is to be told once as well.
void leave_out(const Batch& part, std::optional<Batch>& today) {
    if (!today || today->id != part.id)
        return;
    today->id.clear();
    for (const auto& [domain, tally] : part.counts)
        today->counts.erase(domain);
}

} // namespace

ReportStore::Found ReportStore::read() {
    Found found;
    found.today = read_batch(today_name);
    std::vector<std::string> names = names_in(directory_.get());
    std::sort(names.begin(), names.end());
    for (const std::string& name : names) {
        if (!name.starts_with(prefix))
            continue;
        const std::string id = name.substr(prefix.size(), 16);
        if (!is_batch_id(id))
            continue;
        if (name == told_name_of(id) &&
            !std::binary_search(names.begin(), names.end(), name_of(id)))
            remove(id);
        if (name != name_of(id))
            continue;
        if (std::optional<Batch> batch = read_batch(name)) {
            Waiting& waiting = found.waiting.emplace_back();
            waiting.batch = *std::move(batch);
            waiting.batch.id = id;
            leave_out(waiting.batch, found.today);
            read_told(waiting);
        }
    }
    return found;
}

std::optional<Batch> ReportStore::read_batch(const std::string& name) {
    const Result<std::string> content = read_file(directory_.get(), name, file_limit);
    if (!content && content.error().code == ENOENT)
        return std::nullopt;
    Result<Batch> batch = !content                       ? Result<Batch>(content.error())
                          : content->size() > file_limit ? Error{"it is too long"}
                                                         : parse_batch(*content);
    if (batch)
        return *std::move(batch);
    log::error("what was counted for reports on TLS cannot be read, and is put aside",
               {{"file", name}, {"as", damaged_name}, {"reason", batch.error().message}});
    renameat(directory_.get(), name.c_str(), directory_.get(), damaged_name.c_str());
    return std::nullopt;
}

// "domain place" a line; the last one may have been written half.
void ReportStore::read_told(Waiting& waiting) {
    const Result<std::string> content =
        read_file(directory_.get(), told_name_of(waiting.batch.id), file_limit);
    if (!content)
        return;
    std::string_view left = *content;
    for (size_t end; (end = left.find('\n')) != left.npos; left.remove_prefix(end + 1)) {
        const std::string_view line = left.substr(0, end);
        const size_t space = std::min(line.find(' '), line.size());
        const std::string domain(line.substr(0, space));
        if (space == line.size())
            waiting.batch.counts.erase(domain);
        else
            waiting.told[domain].emplace(line.substr(space + 1));
    }
}

Result<void> ReportStore::write_today(const Batch& batch) {
    return replace_file(directory_.get(), fresh_name, today_name, to_text(batch));
}

bool ReportStore::is_there(const std::string& id) const {
    struct stat status {};
    return fstatat(directory_.get(), name_of(id).c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
}

Result<void> ReportStore::end_today(const std::string& id) {
    const int directory = directory_.get();
    if (is_there(id))
        return Error{"there is a batch " + id};
    if (renameat(directory, today_name.c_str(), directory, name_of(id).c_str()) < 0)
        return system_error("rename");
    return {};
}

void ReportStore::forget_today() { unlinkat(directory_.get(), today_name.c_str(), 0); }

Result<void> ReportStore::write(const Batch& batch) {
    if (is_there(batch.id))
        return Error{"there is a batch " + batch.id};
    return replace_file(directory_.get(), fresh_name, name_of(batch.id), to_text(batch));
}

Result<void> ReportStore::tell(const std::string& id, const std::string& domain,
                               const std::string& place) {
    const std::string name = told_name_of(id);
    const int flags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW;
    FileDescriptor file(openat(directory_.get(), name.c_str(), flags | O_CREAT | O_EXCL, 0600));
    if (file)
        new_told_.insert(id);
    else if (errno == EEXIST)
        file = FileDescriptor(openat(directory_.get(), name.c_str(), flags));
    if (!file)
        return system_error("open");
    const std::string line = domain + (place.empty() ? "" : " " + place) + "\n";
    const ssize_t written = ::write(file.get(), line.data(), line.size());
    if (written != static_cast<ssize_t>(line.size()))
        return written < 0 ? system_error("write") : Error{"the disk is full"};
    return {};
}

Result<void> ReportStore::sync_told(const std::string& id) {
    FileDescriptor file(
        openat(directory_.get(), told_name_of(id).c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!file)
        return system_error("open");
    if (fdatasync(file.get()) < 0 || (new_told_.contains(id) && fsync(directory_.get()) < 0))
        return system_error("sync");
    new_told_.erase(id);
    return {};
}

void ReportStore::remove(const std::string& id) {
    unlinkat(directory_.get(), name_of(id).c_str(), 0);
    unlinkat(directory_.get(), told_name_of(id).c_str(), 0);
    new_told_.erase(id);
}

} // namespace postern::policy
