// BY= (RFC 2852) is a time that runs out wherever a message waits.
#pragma once

#include <algorithm>
#include <cstdint>

namespace postern {

// Seconds of it that are left after `elapsed`, as far as the nine digits of a by-value go.
constexpr std::int64_t remaining_time(std::int64_t seconds, std::int64_t elapsed) {
    constexpr std::int64_t most = 999'999'999;
    return std::clamp(seconds - elapsed, -most, most);
}

} // namespace postern
