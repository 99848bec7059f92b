// How long to wait after a failed attempt. Pure: randomness is passed in.
#pragma once

#include <chrono>
#include <cstdint>

namespace postern {

struct Backoff {
    std::chrono::seconds first{300}; // after the first failure
    std::chrono::seconds most{14400};
};

// After `failures` (1 or more) failed attempts: `first` doubled with each further failure, never
// more than `most`; less up to a fifth by `random`, so that mail that failed together does not come
// back together. At least a second.
std::chrono::seconds retry_after(const Backoff& backoff, uint32_t failures, uint64_t random);

} // namespace postern
