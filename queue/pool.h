// Values that many share, kept once: the routes of waiting mail, the reasons why it waits. A user
// holds a number of 32 bits and a reference; 0 is no value.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/ipc/codec.h"

namespace postern {

template <class T> class Pool {
  public:
    // A number for an equal value, with one more reference.
    uint32_t intern(const T& value) {
        auto [place, added] = numbers_.try_emplace(ipc::encode_bytes(value), 0);
        if (added) {
            if (free_.empty()) {
                entries_.emplace_back();
                free_.push_back(static_cast<uint32_t>(entries_.size()));
            }
            place->second = free_.back();
            free_.pop_back();
            entries_[place->second - 1].bytes = &place->first;
        }
        ++entries_[place->second - 1].references;
        return place->second;
    }
    uint32_t share(uint32_t number) {
        if (number)
            ++entries_[number - 1].references;
        return number;
    }
    void release(uint32_t number) {
        if (!number || --entries_[number - 1].references)
            return;
        numbers_.erase(numbers_.find(*entries_[number - 1].bytes));
        free_.push_back(number);
    }
    // The value; T{} for 0.
    T get(uint32_t number) const {
        T value;
        if (number)
            ipc::decode_bytes(*entries_[number - 1].bytes, value);
        return value;
    }
    size_t size() const { return numbers_.size(); }

  private:
    struct Entry {
        const std::string* bytes = nullptr; // the key of the map, which stays in its place
        uint32_t references = 0;
    };
    std::unordered_map<std::string, uint32_t> numbers_;
    std::vector<Entry> entries_;
    std::vector<uint32_t> free_;
};

} // namespace postern
