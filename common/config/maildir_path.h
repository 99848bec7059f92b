// The path of `action … maildir PATH` and `action … mbox PATH`, with its format specifiers
// (format_specifier.h) replaced by what is known of the delivery. Pure.
//
// `~` at the beginning is the home directory, and a path that does not begin with '/' is below it.
//
// What a stranger wrote never leaves its component of the path: in the values of addresses '/' and
// control characters become ':', and so does a '.' that would make the component "." or "..".
// Characters that are special to a shell become ':' too, unless the modifier `raw` is given.
//
// `smtpd -n` calls check_maildir_path() for each action; the supervisor expands.
#pragma once

#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/config/format_specifier.h"

namespace postern {

// Empty stands for "~/Maildir". Fails for what check_maildir_path() refuses, for a component that
// would be empty because its values are, and for a path or component longer than Linux takes.
Result<std::string> expand_maildir_path(std::string_view path, const DeliveryValues& values);

// Whether the path can be expanded at all: what is wrong with it, for the operator.
Result<void> check_maildir_path(std::string_view path);

} // namespace postern
