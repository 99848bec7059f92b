#include "smtpd/lookup/table_cache.h"

#include "common/base/secret.h"

namespace postern {

namespace {

Duration time_of(const TableKey& key, ipc::TableVerdict verdict) {
    if (key.service == TableService::credentials)
        return TableCache::credentials_time;
    return verdict == ipc::TableVerdict::found ? TableCache::found_time
                                               : TableCache::not_found_time;
}

} // namespace

std::optional<TableAnswers::Answer> TableCache::find(const TableKey& key, TimePoint now) {
    const auto entry = entries_.find(key);
    if (entry == entries_.end())
        return std::nullopt;
    if (entry->second.until <= now) {
        erase(entry);
        return std::nullopt;
    }
    return entry->second.answer;
}

void TableCache::erase(std::map<TableKey, Entry>::iterator entry) {
    bytes_ -= bytes_of(entry->first, entry->second.answer);
    if (entry->first.service == TableService::credentials)
        wipe(entry->second.answer.value);
    entries_.erase(entry);
}

std::map<TableKey, TableCache::Entry>::iterator TableCache::at(const Place& place) {
    const auto entry = entries_.find(place.key);
    return entry != entries_.end() && entry->second.number == place.number ? entry : entries_.end();
}

void TableCache::add(const TableKey& key, const TableAnswers::Answer& answer, TimePoint now) {
    if (answer.verdict == ipc::TableVerdict::away)
        return;
    if (const auto former = entries_.find(key); former != entries_.end())
        erase(former);
    entries_[key] = {answer, now + time_of(key, answer.verdict), next_};
    order_.push_back({key, next_});
    if (key.service == TableService::credentials)
        credentials_.push_back({key, next_});
    ++next_;
    bytes_ += bytes_of(key, answer);
    // Places of what was replaced or has expired go with the others.
    while (!order_.empty() && (entries_.size() > most_entries || bytes_ > most_bytes ||
                               order_.size() > 2 * most_entries)) {
        if (const auto oldest = at(order_.front()); oldest != entries_.end())
            erase(oldest);
        order_.pop_front();
    }
}

void TableCache::expire(TimePoint now) {
    for (; !credentials_.empty(); credentials_.pop_front()) {
        const auto entry = at(credentials_.front());
        if (entry == entries_.end())
            continue;
        if (entry->second.until > now)
            return;
        erase(entry);
    }
}

std::optional<TimePoint> TableCache::next_expiry() const {
    if (credentials_.empty())
        return std::nullopt;
    const auto entry = entries_.find(credentials_.front().key);
    return entry == entries_.end() ? std::nullopt : std::optional(entry->second.until);
}

void TableCache::clear() {
    while (!entries_.empty())
        erase(entries_.begin());
    order_.clear();
    credentials_.clear();
    bytes_ = 0;
}

} // namespace postern
