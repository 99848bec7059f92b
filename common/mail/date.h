// The date-time of RFC 5322 3.3, as trace fields and our own messages carry it. No locale, no time
// zone data base: the offset from UTC is given.
#pragma once

#include <chrono>
#include <string>

namespace postern {

// "Mon, 23 Nov 2026 17:35:30 +0000". `utc_offset` is that of the local time to show, within a day
// either way; without it, UTC. Times outside the years 1900 to 9999 are shown as the nearest that
// can be written (RFC 5322 3.3 has four digits of year and none before 1900).
void append_date(std::string& out, std::chrono::system_clock::time_point when,
                 std::chrono::minutes utc_offset = {});
std::string format_date(std::chrono::system_clock::time_point when,
                        std::chrono::minutes utc_offset = {});

} // namespace postern
