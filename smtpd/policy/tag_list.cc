#include "smtpd/policy/tag_list.h"

#include <algorithm>

#include "common/smtp/text.h"

namespace postern::policy {

namespace {

constexpr size_t name_limit = 32;
constexpr size_t tag_limit = 32;

bool is_name(std::string_view text) {
    return !text.empty() && text.size() <= name_limit && text.front() != '_' &&
           text.front() != '-' && text.front() != '.' &&
           std::all_of(text.begin(), text.end(), [](char c) {
               return is_ascii_letter(c) || is_ascii_digit(c) || c == '_' || c == '-' || c == '.';
           });
}

bool is_value(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(),
                                        [](char c) { return c >= ' ' && c < 0x7f && c != ';'; });
}

// Fields are set apart by ';', and the last one may have one behind it.
std::optional<std::vector<Tag>> tags_of(std::string_view text) {
    std::vector<Tag> tags;
    while (!trim(text).empty()) {
        const size_t end = std::min(text.find(';'), text.size());
        const std::string_view field = trim(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
        const size_t equals = std::min(field.find('='), field.size());
        const std::string_view name = field.substr(0, equals);
        const std::string_view value = field.substr(std::min(equals + 1, field.size()));
        if (!is_name(name) || !is_value(value) || tags.size() == tag_limit)
            return std::nullopt;
        tags.push_back({std::string(name), std::string(value)});
    }
    return tags;
}

} // namespace

std::optional<std::vector<Tag>> only_record(const ipc::ResolveAnswer& answer,
                                            std::string_view version) {
    if (answer.status != ipc::ResolveStatus::ok)
        return std::nullopt;
    const std::string beginning = std::string(version) + ";";
    const std::string* only = nullptr;
    for (const ipc::DnsRecord& record : answer.records) {
        if (!record.data.starts_with(beginning))
            continue;
        if (only)
            return std::nullopt;
        only = &record.data;
    }
    if (!only)
        return std::nullopt;
    return tags_of(std::string_view(*only).substr(beginning.size()));
}

} // namespace postern::policy
