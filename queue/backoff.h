// How long to wait after a failed attempt. Pure: randomness is passed in.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace postern {

struct Backoff {
    std::chrono::seconds first{300}; // after the first failure
    std::chrono::seconds most{14400};
};

// After `failures` (1 or more) failed attempts: `first` doubled with each further failure, never
// more than `most`; less up to a fifth by `random`, so that mail that failed together does not come
// back together. At least a second.
std::chrono::seconds retry_after(const Backoff& backoff, uint32_t failures, uint64_t random);

// The same where a next hop has `announced` when to come back: not before, and at most a tenth
// later, or some seconds. It is not believed without bounds: half a minute is the least, `most` the
// most, and after three attempts it can no longer make the next one earlier.
std::chrono::seconds retry_after(const Backoff& backoff, uint32_t failures,
                                 std::optional<std::chrono::seconds> announced, uint64_t random);

} // namespace postern
