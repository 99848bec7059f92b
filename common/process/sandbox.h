// Giving up rights: user, root directory, system calls. What a process needs is a line in its main.
#pragma once

#include "common/base/result.h"
#include "common/ipc/supervision.h"

namespace postern {

// What a process still may do once it serves. All may read and write descriptors that they hold,
// watch them, start threads, and ask for memory and the time.
struct Sandbox {
    bool network_client = false; // make sockets and connect them
    bool network_server = false; // accept on sockets that it was given
    bool open_files = false;     // open, create, rename and unlink files below its root directory
    bool read_files = false;     // open files for reading
    bool ask_services = false;   // connect to Unix sockets: name services
    bool resolve_names = false;  // by the C library, with network_client and read_files
    bool has_secrets = false;    // takes a right away: no core file, no debugger but root's
};

// Drops to the user and root directory, sets no_new_privs, and installs a system call filter: what
// is not listed fails with EPERM. Programs built with a sanitizer, which needs more, get no filter.
Result<void> enter_sandbox(const ipc::Identity& identity, const Sandbox& sandbox);

} // namespace postern
