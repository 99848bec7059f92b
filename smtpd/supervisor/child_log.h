// What a process has to say for syslog(3): it comes here, and is passed on.
//
// The process has locked itself in. Were it to log by itself, it would be silent for ever once the
// syslog daemon has been started anew; and what a library writes to standard error before it aborts
// would be read by nobody.
#pragma once

#include <functional>
#include <string>

#include "common/base/file_descriptor.h"
#include "common/base/log.h"
#include "common/loop/event_loop.h"

namespace postern {

class ChildLog {
  public:
    // Takes a line of `sender`, such as "postern-queue[4711]".
    using PassOn = std::function<void(const std::string& sender, const log::Line& line)>;

    // `socket`: non-blocking; its other end, of packets, is the process's standard error.
    ChildLog(EventLoop& loop, FileDescriptor socket, std::string sender, PassOn pass_on);

    // The process has ended: its last words.
    void read_rest();

  private:
    void read_some();
    bool read_one();

    EventLoop& loop_;
    FileDescriptor socket_;
    std::string sender_;
    PassOn pass_on_;
    Watch watch_;
};

} // namespace postern
