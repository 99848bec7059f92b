// The seccomp(2) filter of a process: which system calls it may make.
#pragma once

#include "common/base/result.h"
#include "common/process/sandbox.h"

namespace postern {

// Installs it for the calling thread and all that it starts. Needs no_new_privs.
Result<void> install_system_call_filter(const Sandbox& sandbox);

} // namespace postern
