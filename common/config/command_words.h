// The command of `action … mda COMMAND` and of `mda wrapper NAME COMMAND`. Pure.
//
// It is cut into words when the configuration is read, and no shell ever sees it: quotes and '\'
// work as in a shell, and what else would mean something to one (| ; & < > $ ` outside of single
// quotes) is refused, because it would not happen. The words' format specifiers
// (format_specifier.h) are replaced for each delivery, each inside of its word: whatever a stranger
// calls himself, it is no word more and no word less.
//
// In the values of addresses control characters, '/', and what is special to a shell become ':',
// and so does a '-' that would be the first character of a word, or stand behind a blank or a quote
// in it, which programs take for an option. With the modifier `raw` it is control characters alone.
// An operator who has a shell of his own ("/bin/sh -c '…'") read a word that has values in it cannot
// have them raw there: in a word that has blanks, quotes or operators in it, nor behind "-c" or the
// name of a shell.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/config/format_specifier.h"

namespace postern {

inline constexpr std::string_view mda_specifier = "%{mda}"; // a whole word of a wrapper

// The words, specifiers and all; one at least. The error is for the operator.
Result<std::vector<std::string>> split_command(std::string_view command);

// What is wrong with the specifiers of a command's words, for the operator.
Result<void> check_command(const std::vector<std::string>& words);

// The words of a wrapper with those of the command in the place of %{mda}, which it must have, once
// and as a word of its own.
Result<std::vector<std::string>> wrap_command(const std::vector<std::string>& wrapper,
                                              const std::vector<std::string>& command);

// What is executed for one delivery. Fails for what check_command() refuses, and for a value that
// is too short for the part of it that is asked for.
Result<std::vector<std::string>> expand_command(const std::vector<std::string>& words,
                                                const DeliveryValues& values);

} // namespace postern
