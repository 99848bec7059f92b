// Does something in a child process, and sees to it that nothing of it stays behind: when the child
// ends, or when this process is told to end (SIGTERM), all that the child has started is killed,
// however it has tried to get away (setsid(2), a second fork(2)).
#pragma once

#include <functional>

namespace postern::pam {

// Ends this process as `body` has ended: with what it returned, or by the signal that ended it; by
// SIGKILL after a SIGTERM. To be called with no other children and no other threads.
[[noreturn]] void run_guarded(const std::function<int()>& body);

} // namespace postern::pam
