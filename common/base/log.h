// The log of a process: one line an event, `name[pid]: event key=value key="two words"`.
//
// Values come from anywhere, so they are escaped here and nowhere else: a line stays a line. What
// is UTF-8 and safe to show (utf8.h) stays readable, every other octet beyond ASCII becomes \xNN. A
// line goes to standard error or to the syslog daemon: the supervisor's lines at once, and through
// it those of the others, which have locked themselves in and could not reach a daemon that was
// started anew. Nobody waits for a reader that hangs: what it does not take is lost, counted, and
// told of with the next line that it takes.
//
// A thread may hold its lines back for a moment, to write several at once. Warnings and errors are
// not held back, nor what comes before them.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace postern::log {

enum class Level { error, warning, info, debug };

class Value {
  public:
    Value(std::string_view text) : text_(text) {}
    Value(const std::string& text) : text_(text) {}
    Value(const char* text) : text_(text) {}
    template <class I>
    requires std::is_integral_v<I> Value(I number) : text_(std::to_string(number)) {}
    const std::string& text() const { return text_; }

  private:
    std::string text_;
};

struct Field {
    std::string_view key;
    Value value;
};

// Where the lines go. `supervisor`: to standard error, in packets, for read_packet().
enum class Output { standard_error, syslog, supervisor };

// `name` such as "postern-queue"; call early. `syslog_path`: the socket of the daemon.
void open(std::string_view name, Output output, const std::string& syslog_path = "/dev/log");
void set_verbose(bool verbose); // debug lines too
bool verbose();

void write(Level level, std::string_view event, std::initializer_list<Field> fields = {});
inline void error(std::string_view event, std::initializer_list<Field> fields = {}) {
    write(Level::error, event, fields);
}
inline void warning(std::string_view event, std::initializer_list<Field> fields = {}) {
    write(Level::warning, event, fields);
}
inline void info(std::string_view event, std::initializer_list<Field> fields = {}) {
    write(Level::info, event, fields);
}
inline void debug(std::string_view event, std::initializer_list<Field> fields = {}) {
    if (verbose())
        write(Level::debug, event, fields);
}

// From now on this thread's lines wait for flush(), or no longer. Those of a process that crashes
// are lost meanwhile. Lines that go to syslog never wait.
void hold(bool on);
void flush();

// The line without its end, as written after the name: for tests, and who shows it otherwise.
std::string format(Level level, std::string_view event, std::initializer_list<Field> fields);

struct Line {
    Level level;
    std::string text;
    bool operator==(const Line&) const = default;
};
// What a process with Output::supervisor wrote to its standard error at once: lines of ours, or
// what a library had to say, which counts as an error. Whatever it is, the lines are printable, and
// there is an end to them: a line that is too long is cut, and those that are too many are lost.
struct Packet {
    std::vector<Line> lines;
    uint64_t lost = 0; // lines
    bool operator==(const Packet&) const = default;
};
inline constexpr size_t packet_lines = 16;
inline constexpr size_t line_limit = 8 * 1024; // bytes; what is cut ends in "..."
Packet read_packet(std::string_view packet);
// Writes a line of somebody else to syslog. `sender` such as "postern-queue[4711]". False: the
// daemon does not take it now; it is the caller's still, and not counted as lost.
bool pass_on(const std::string& sender, const Line& line);

} // namespace postern::log
