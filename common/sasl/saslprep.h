// SASLprep (RFC 4013): one form of a user's name or a password, however it was typed. Pure.
#pragma once

#include <optional>
#include <string_view>

#include "common/base/secret.h"

namespace postern {

// A stored string is to have no characters that Unicode 3.2 did not know; what is held against it
// may (RFC 3454 7).
enum class Prepared : uint8_t { for_storage, for_comparison };

// Nothing: it is not UTF-8, has a NUL or a character that is prohibited, or nothing is left of it.
std::optional<Secret> saslprep(std::string_view text, Prepared use);

} // namespace postern
