// Content of messages that have just been accepted, for their first delivery: most mail leaves
// while it is still here, and need not be read back from the spool.
//
// Owner: the queue. Bounded: the oldest go first, and what is not here any more is in the spool.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

namespace postern {

class FreshContents {
  public:
    // What each takes beyond its own bytes.
    static constexpr size_t overhead = 160;

    // `limit`: bytes of all of them.
    explicit FreshContents(size_t limit) : limit_(limit) {}

    void keep(uint64_t message, std::string content);
    // The content, once.
    std::optional<std::string> take(uint64_t message);
    void forget(uint64_t message) { take(message); }

  private:
    using Ages = std::list<std::pair<uint64_t, std::string>>; // the oldest first

    const size_t limit_;
    size_t bytes_ = 0;
    Ages ages_;
    std::unordered_map<uint64_t, Ages::iterator> places_;
};

} // namespace postern
