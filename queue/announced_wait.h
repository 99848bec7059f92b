// What a next hop says of when to come back, in plain words. Pure.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace postern {

// "451 4.7.1 Greylisted, try again in 300 seconds", "… come back in 00:05:00", "… for 5 minutes":
// 1 second to a day. Only what is said after a word such as "retry" or "greylisted", so that "100
// messages in 10 minutes" is no such time; nothing where the reply does not say.
std::optional<std::chrono::seconds> announced_wait(std::string_view reply);

} // namespace postern
