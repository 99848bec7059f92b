#include "smtpd/lookup/table_cache.h"

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
    entries_.erase(entry);
}

void TableCache::add(const TableKey& key, const TableAnswers::Answer& answer, TimePoint now) {
    if (answer.verdict == ipc::TableVerdict::away)
        return;
    if (const auto former = entries_.find(key); former != entries_.end())
        erase(former);
    entries_[key] = {answer, now + time_of(key, answer.verdict), next_};
    order_.push_back({key, next_++});
    bytes_ += bytes_of(key, answer);
    // Places of what was replaced or has expired go with the others.
    while (!order_.empty() && (entries_.size() > most_entries || bytes_ > most_bytes ||
                               order_.size() > 2 * most_entries)) {
        const auto oldest = entries_.find(order_.front().key);
        if (oldest != entries_.end() && oldest->second.number == order_.front().number)
            erase(oldest);
        order_.pop_front();
    }
}

void TableCache::clear() {
    entries_.clear();
    order_.clear();
    bytes_ = 0;
}

} // namespace postern
