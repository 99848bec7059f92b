// fork(2), to run another program.
#pragma once

#include <sys/types.h>

namespace postern {

// As fork(2), but in the child all signals are blocked until it calls be_like_new(). Until then our
// own handlers would be called there, and write into the wake-up socket of our loop, which the
// child shares: whoever ends it early would seem to end us.
pid_t quiet_fork();

// In the child: signals do what they do in a new process, and are no longer blocked.
void be_like_new();

} // namespace postern
