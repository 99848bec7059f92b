// What a process has to say for syslog: it comes here, and is passed on.
//
// The process has locked itself in. Were it to log by itself, it would be silent for ever once the
// syslog daemon has been started anew; and what a library writes to standard error before it aborts
// would be read by nobody.
//
// A process that babbles, or was taken over, gets its turns and no more (LineBudget): the rest
// stays in the socket, and when that is full the process counts what it loses. So it is while the
// syslog daemon takes nothing.
#pragma once

#include <deque>
#include <functional>
#include <string>

#include "common/base/file_descriptor.h"
#include "common/base/log.h"
#include "common/loop/event_loop.h"
#include "smtpd/supervisor/line_budget.h"

namespace postern {

class ChildLog {
  public:
    // Takes a line of `sender`, such as "postern-queue[4711]". False: not now, it is offered again.
    using PassOn = std::function<bool(const std::string& sender, const log::Line& line)>;

    // In one event; then others have their turn.
    static constexpr size_t lines_per_event = 256;
    // Of a process that has ended; more are lost.
    static constexpr size_t last_lines = 4096;

    // `socket`: non-blocking; its other end, of packets, is the process's standard error.
    ChildLog(EventLoop& loop, FileDescriptor socket, std::string sender, PassOn pass_on);

    // The process has ended: its last words, as far as they are taken now.
    void read_rest();

  private:
    struct Pause final : Timer {
        explicit Pause(ChildLog& log) : log_(log) {}
        void expired() override { log_.read_some(); }
        ChildLog& log_;
    };

    void read_some();
    void offer_later();
    void pause(Duration duration);
    size_t read_one();
    bool pass_on_held();
    bool report_lost();
    bool ended() const;

    EventLoop& loop_;
    FileDescriptor socket_;
    std::string sender_;
    PassOn pass_on_;
    std::deque<log::Line> held_; // of one packet: those that nobody has taken yet
    uint64_t lost_ = 0;          // lines that are not told of yet
    LineBudget budget_;
    Duration retry_;
    Pause pause_;
    Watch watch_;
};

} // namespace postern
