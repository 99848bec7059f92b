// `smtpctl spool check DIRECTORY`: the program of the queue that knows spools is run in place of
// this one.
#pragma once

#include <string>

namespace postern {

// Does not return if that succeeds; else the exit status.
int run_spool_check(const std::string& directory);

} // namespace postern
