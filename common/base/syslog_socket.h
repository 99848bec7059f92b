// The datagram socket of a syslog daemon, without ever waiting for it for long.
//
// syslog(3) blocks for as long as the daemon does, and cannot say that a line found no room. A line
// goes out as the BSD daemons have always read it (RFC 3164 4.1, without the host name, which is
// left out on the machine itself): `<22>Nov 25 17:46:02 postern-queue[4711]: text`.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "common/base/file_descriptor.h"

namespace postern {

class SyslogSocket {
  public:
    using Clock = std::chrono::steady_clock;
    using Now = std::function<Clock::time_point()>;

    explicit SyslogSocket(std::string path, Now now = Clock::now);

    // `severity`: LOG_ERR to LOG_DEBUG of syslog(3); the facility is mail. `sender` such as
    // "postern-queue[4711]". False: the daemon's queue is full, or it is not there. After a failure
    // the path is connected to anew, at most once a second: the daemon may have made a new socket.
    bool offer(int severity, std::string_view sender, std::string_view text);

    // The same, but gives a busy daemon a moment (50 ms) to make room. Once that was in vain,
    // nobody waits any more until it has taken a line.
    bool send(int severity, std::string_view sender, std::string_view text);

  private:
    bool connect();
    bool transmit(const std::string& datagram);
    bool offer(const std::string& datagram);

    std::string path_;
    Now now_;
    FileDescriptor socket_;
    Clock::time_point connected_at_; // or tried to
    bool given_up_ = false;          // it was waited for in vain
};

} // namespace postern
