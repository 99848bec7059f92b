// A program of the operator's or the user's that takes the message on its standard input.
#pragma once

#include <string>
#include <vector>

#include "common/base/result.h"
#include "deliver/local/helper/message.h"

namespace postern {

// How much of what a program says is kept, in bytes; the rest is read and dropped.
inline constexpr size_t command_output_limit = 4096;

struct CommandEnd {
    int status = 0;     // of waitpid(2)
    std::string output; // standard output and standard error, the first of it
};

// Runs it, with our environment and nothing else of ours: words.front() is looked for in PATH, no
// shell has a part in it. Its end is what counts: not whether it read all of the message, nor what
// it leaves running. Fails if it could not be started, or the message not be read; Error::code is
// the errno. If the message cannot be read and we lead a process group, all of that group is
// killed, and we with it, after the reason has been written to standard error.
//
// It has no limit of time: who started us ends our process group. It ends with us.
Result<CommandEnd> run_command(const std::vector<std::string>& words, const LocalMessage& message);

// The exit status (sysexits.h) of ours that tells of this end, and the words for it: empty for a
// success. What is no exit status of sysexits.h becomes EX_TEMPFAIL.
struct Verdict {
    int status = 0;
    std::string words;
};
Verdict verdict_on(const CommandEnd& end);

} // namespace postern
