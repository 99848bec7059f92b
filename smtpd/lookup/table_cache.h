// Answers of external tables that were given not long ago. `away` is none.
//
// Bounds: `most_entries` and `most_bytes`; the oldest goes first. The clock is passed in. Of
// credentials that are dropped nothing stays behind in memory.
#pragma once

#include <deque>
#include <map>
#include <optional>

#include "common/loop/executor.h"
#include "smtpd/lookup/table_answers.h"

namespace postern {

class TableCache {
  public:
    TableCache() = default;
    ~TableCache() { clear(); }
    TableCache(const TableCache&) = delete;

    static constexpr size_t most_entries = 20'000;
    static constexpr size_t most_bytes = 16 << 20; // of keys and values
    static constexpr Duration found_time = std::chrono::seconds(60);
    static constexpr Duration not_found_time = std::chrono::seconds(10);
    // A changed password has to hold soon.
    static constexpr Duration credentials_time = std::chrono::seconds(5);

    std::optional<TableAnswers::Answer> find(const TableKey& key, TimePoint now);
    void add(const TableKey& key, const TableAnswers::Answer& answer, TimePoint now);
    void clear();
    // Drops credentials whose time is over; next_expiry(): when there are more.
    void expire(TimePoint now);
    std::optional<TimePoint> next_expiry() const;
    size_t size() const { return entries_.size(); }

  private:
    struct Entry {
        TableAnswers::Answer answer;
        TimePoint until;
        uint64_t number = 0; // of its last place in the order
    };
    struct Place {
        TableKey key;
        uint64_t number;
    };
    static size_t bytes_of(const TableKey& key, const TableAnswers::Answer& answer) {
        return key.table.size() + key.key.size() + answer.value.size();
    }
    void erase(std::map<TableKey, Entry>::iterator entry);
    // The entry whose last place this is, else the end.
    std::map<TableKey, Entry>::iterator at(const Place& place);

    std::map<TableKey, Entry> entries_;
    std::deque<Place> order_; // oldest first; places of entries that were replaced are void
    std::deque<Place> credentials_; // the same of credentials, all of which last equally long
    size_t bytes_ = 0;
    uint64_t next_ = 1;
};

} // namespace postern
