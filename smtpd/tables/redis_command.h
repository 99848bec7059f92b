// Commands of Redis with a key in them. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace postern::tables {

// The words of `command`, in each of which every "%s" is the key; whatever is in it, it stays
// within its word: words are sent with their lengths.
std::vector<std::string> redis_words(std::string_view command, std::string_view key);

} // namespace postern::tables
