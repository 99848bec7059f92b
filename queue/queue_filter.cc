#include "queue/queue_filter.h"

#include <algorithm>
#include <cstdint>

#include "common/mail/pattern.h"
#include "common/smtp/text.h"
#include "queue/records.h"

namespace postern {

namespace {

bool same(char a, char b) { return ascii_lower(a) == ascii_lower(b); }

bool contains(std::string_view text, std::string_view part) {
    return part.empty() ||
           std::search(text.begin(), text.end(), part.begin(), part.end(), same) != text.end();
}

} // namespace

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
