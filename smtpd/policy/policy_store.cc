#include "smtpd/policy/policy_store.h"

#include <algorithm>
#include <charconv>
#include <unistd.h>
#include <vector>

#include "common/base/log.h"
#include "common/smtp/domain_name.h"
#include "smtpd/policy/files.h"
#include "smtpd/policy/report_store.h"
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

} // namespace

PolicyStore::PolicyStore(FileDescriptor directory, int64_t now) : directory_(std::move(directory)) {
    for (const std::string& name : names_in(directory_.get()))
        if (!name.starts_with(ReportStore::prefix))
            read(name, now);
    make_room(now, limit);
}

void PolicyStore::read(const std::string& name, int64_t now) {
    const Result<std::string> content = read_file(directory_.get(), name, file_limit);
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
    // A wait for the disk: a policy is some 200 octets, and few are written in a minute.
    return replace_file(directory_.get(), fresh_name, domain, content);
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
