// FILE.lock: how mail programs keep each other out of a mailbox, beside fcntl(2).
#pragma once

#include <chrono>
#include <string>
#include <sys/stat.h>

#include "common/base/result.h"

namespace postern {

class DotLock {
  public:
    DotLock() = default;
    ~DotLock() { release(); }
    DotLock(const DotLock&) = delete;

    // True: it is ours now. False: another has it. One that is older than `stale_after`, or names a
    // process of this host that is gone ("PID HOST", as ours do), was left behind by somebody who
    // has died, and is taken away; but only a regular file of our own user, of 1,024 octets at
    // most. Fails where the directory lets none be made; Error::code is the errno.
    Result<bool> take(const std::string& file, std::chrono::seconds stale_after);
    void release();

  private:
    std::string path_; // empty: not held
    struct stat ours_ {};
};

} // namespace postern
