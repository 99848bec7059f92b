// A next hop that follows a script, written as the dialogue that it is:
//
//     S: 220 mx.example ready       it says this line
//     C: EHLO relay.example         it expects this line, exactly
//     C= a\0\r\nb\x80               it expects these octets, exactly
//     C* 70                         it expects so many lines, whatever they are
//     quiet                         nothing more has come, and nothing comes within a second
//     silence                       nothing more comes until the client is gone
//     wait 90                       it does nothing for so many seconds
//     raw 250 o                     it sends these bytes, without a line end
//     drip 1 250-x                  it says this line for ever, one each so many seconds
//     flood 250-x                   it says this line ten thousand times
//     deaf                          it stops reading
//     close                         it ends the connection
//     reset                         the connection breaks
//     stall                         it reads and says nothing, for ever
//
// After its last line it closes. What did not go as written is in errors().
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/loop/task.h"
#include "regress/support/memory_stream.h"
#include "regress/support/simulated_time.h"

namespace postern::test {

class NextHop {
  public:
    NextHop(SimulatedTime& time, std::string_view script);

    // Plays one connection; the other end is returned.
    std::unique_ptr<Stream> connect();

    // "line 3: expected ..., got ...", and lines that were never reached.
    std::string errors() const;
    bool finished() const { return finished_; }
    unsigned connections() const { return connections_; }

  private:
    struct Step {
        size_t line;
        std::string verb;
        std::string text;
    };
    Task<void> play(std::unique_ptr<MemoryStream> stream);
    Task<bool> expect(MemoryStream& stream, const Step& step);
    Task<bool> expect_octets(MemoryStream& stream, const Step& step);
    Task<bool> expect_lines(MemoryStream& stream, const Step& step);
    void complain(const Step& step, std::string what);

    SimulatedTime& time_;
    std::vector<Step> steps_;
    size_t at_ = 0;
    std::string errors_;
    bool finished_ = false;
    unsigned connections_ = 0;
    TaskGroup tasks_;
};

// Runs `task` to its end, letting as much time pass as it takes. False: it would never end.
bool run_to_end(SimulatedTime& time, Task<void> task);

} // namespace postern::test
