#include "smtpd/policy/policy_store.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <unistd.h>
#include <vector>

#include "common/base/log.h"
#include "common/smtp/domain_name.h"
#include "smtpd/policy/sts_policy.h"

namespace postern::policy {

namespace {

constexpr const char* fresh_name = ".new";
// What is over is deleted when it has been for a week: the clock may be wrong.
constexpr int64_t grace = 7 * 24 * 3600;
constexpr size_t file_limit = policy_text_limit + 256;

constexpr std::string_view first_line = "fetched ";
constexpr std::string_view second_line = "id ";

std::string to_content(const KeptPolicy& kept, std::string_view text) {
    std::string content(first_line);
    content += std::to_string(kept.fetched_at) + '\n';
    content += std::string(second_line) + kept.policy.id + '\n';
    return content.append(text);
}

// The rest of a line that begins so; nothing if it does not, or does not end.
std::optional<std::string_view> take_line(std::string_view& content, std::string_view beginning) {
    const size_t end = content.find('\n');
    if (end == content.npos || !content.starts_with(beginning))
        return std::nullopt;
    const std::string_view rest = content.substr(beginning.size(), end - beginning.size());
    content.remove_prefix(end + 1);
    return rest;
}

std::optional<KeptPolicy> from_content(std::string_view content) {
    const auto fetched = take_line(content, first_line);
    const auto id = fetched ? take_line(content, second_line) : std::nullopt;
    if (!id || id->empty())
        return std::nullopt;
    KeptPolicy kept;
    const auto [end, error] =
        std::from_chars(fetched->data(), fetched->data() + fetched->size(), kept.fetched_at);
    Result<ipc::StsPolicy> policy = parse_sts_policy(content);
    if (error != std::errc() || end != fetched->data() + fetched->size() || !policy)
        return std::nullopt;
    kept.policy = *std::move(policy);
    kept.policy.id = std::string(*id);
    return kept;
}

Result<std::string> read_file(int directory, const std::string& name) {
    FileDescriptor file(openat(directory, name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!file)
        return system_error("open " + name);
    std::string content(file_limit + 1, '\0');
    const ssize_t got = pread(file.get(), content.data(), content.size(), 0);
    if (got < 0)
        return system_error("read " + name);
    content.resize(static_cast<size_t>(got));
    return content;
}

std::vector<std::string> names_in(int directory) {
    std::vector<std::string> names;
    const int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    std::unique_ptr<DIR, int (*)(DIR*)> entries(copy < 0 ? nullptr : fdopendir(copy), closedir);
    while (const dirent* entry = entries ? readdir(entries.get()) : nullptr)
        if (std::string_view(entry->d_name) != "." && std::string_view(entry->d_name) != "..")
            names.emplace_back(entry->d_name);
    return names;
}

} // namespace

PolicyStore::PolicyStore(FileDescriptor directory, int64_t now) : directory_(std::move(directory)) {
    for (const std::string& name : names_in(directory_.get()))
        read(name, now);
    make_room(now, limit);
}

void PolicyStore::read(const std::string& name, int64_t now) {
    const Result<std::string> content = read_file(directory_.get(), name);
    if (!content)
        return log::warning("a policy cannot be read", {{"reason", content.error().message}});
    std::optional<KeptPolicy> kept = from_content(*content);
    if (!is_domain(name) || !kept || kept->expires_at() <= now - grace)
        return remove(name);
    kept->fetched_at = std::min(kept->fetched_at, now); // the clock may have been wrong
    policies_[name] = *std::move(kept);
}

const KeptPolicy* PolicyStore::find(const std::string& domain, int64_t now) const {
    const auto found = policies_.find(domain);
    return found == policies_.end() || found->second.expires_at() <= now ? nullptr : &found->second;
}

Result<void> PolicyStore::keep(const std::string& domain, const std::string& id,
                               std::string_view text, int64_t now) {
    Result<ipc::StsPolicy> policy = parse_sts_policy(text);
    if (!policy)
        return policy.error();
    KeptPolicy kept{*std::move(policy), now};
    kept.policy.id = id;
    const std::string content = to_content(kept, text);
    policies_.erase(domain);
    make_room(now, limit - 1);
    policies_[domain] = std::move(kept);
    return write(domain, content);
}

// Of the disk: a policy is some 200 octets, and few are written in a minute.
Result<void> PolicyStore::write(const std::string& domain, const std::string& content) {
    const int directory = directory_.get();
    FileDescriptor file(
        openat(directory, fresh_name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!file)
        return system_error("create a file");
    const ssize_t written = pwrite(file.get(), content.data(), content.size(), 0);
    if (written != static_cast<ssize_t>(content.size()))
        return written < 0 ? system_error("write") : Error{"the disk is full"};
    if (fdatasync(file.get()) < 0)
        return system_error("sync");
    if (renameat(directory, fresh_name, directory, domain.c_str()) < 0)
        return system_error("rename to " + domain);
    if (fsync(directory) < 0)
        return system_error("sync the directory");
    return {};
}

void PolicyStore::remove(std::string domain) {
    unlinkat(directory_.get(), domain.c_str(), 0);
    policies_.erase(domain);
}

void PolicyStore::make_room(int64_t now, size_t most) {
    if (policies_.size() <= most)
        return;
    std::vector<std::string> over;
    for (const auto& [domain, kept] : policies_)
        if (kept.expires_at() <= now)
            over.push_back(domain);
    for (const std::string& domain : over)
        remove(domain);
    while (policies_.size() > most)
        remove(
            std::min_element(policies_.begin(), policies_.end(), [](const auto& a, const auto& b) {
                return a.second.fetched_at < b.second.fetched_at;
            })->first);
}

} // namespace postern::policy
