#include "queue/queue_filter.h"

#include <algorithm>
#include <cstdint>

#include "queue/records.h"

namespace postern {

namespace {

// Of ASCII; other octets are themselves.
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same(char a, char b) { return lower(a) == lower(b); }

bool contains(std::string_view text, std::string_view part) {
    return part.empty() ||
           std::search(text.begin(), text.end(), part.begin(), part.end(), same) != text.end();
}

} // namespace

bool matches_pattern(std::string_view text, std::string_view pattern) {
    size_t at = 0, in_pattern = 0;
    // Where the last `*` was, and what it stands for begins and ends.
    size_t star = std::string_view::npos, end_of_star = 0;
    while (at < text.size()) {
        if (in_pattern < pattern.size() && pattern[in_pattern] == '*') {
            star = in_pattern++;
            end_of_star = at;
        } else if (in_pattern < pattern.size() && same(text[at], pattern[in_pattern])) {
            ++at;
            ++in_pattern;
        } else if (star != std::string_view::npos) {
            in_pattern = star + 1;
            at = ++end_of_star;
        } else {
            return false;
        }
    }
    while (in_pattern < pattern.size() && pattern[in_pattern] == '*')
        ++in_pattern;
    return in_pattern == pattern.size();
}

bool matches_sender(std::string_view reverse_path, std::string_view pattern) {
    if (pattern == "<>")
        return reverse_path.empty();
    return pattern.empty() || matches_pattern(reverse_path, pattern);
}

bool matches(const ipc::QueueFilter& filter, const ipc::EnvelopeEntry& entry) {
    if (filter.state && entry.state != *filter.state)
        return false;
    if (filter.order && (entry.state != ipc::RecipientState::held ||
                         !contains(entry.last_error, suspended_by(filter.order))))
        return false;
    if (entry.accepted_at <= filter.accepted_after || entry.accepted_at >= filter.accepted_before)
        return false;
    // Of what cannot be read nobody knows whose it is.
    if (entry.state == ipc::RecipientState::unreadable)
        return filter.sender.empty() && filter.recipient.empty() &&
               contains(entry.last_error, filter.error);
    return matches_sender(entry.reverse_path, filter.sender) &&
           (filter.recipient.empty() || matches_pattern(entry.recipient, filter.recipient)) &&
           contains(entry.last_error, filter.error);
}

bool means_all(const ipc::QueueFilter& filter) {
    const ipc::QueueFilter all;
    return ipc::encode_bytes(filter) == ipc::encode_bytes(all);
}

} // namespace postern
