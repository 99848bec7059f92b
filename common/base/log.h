// The log of a process: one line an event, `name[pid]: event key=value key="two words"`.
//
// Values come from anywhere, so they are escaped here and nowhere else: a line stays a line. It
// goes to standard error or to syslog(3): the supervisor's lines at once, and through it those of
// the others, which have locked themselves in and could not reach a syslog daemon that was started
// anew.
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

// Where the lines go. `supervisor`: to standard error, each in a packet of its own, for
// read_packet().
enum class Output { standard_error, syslog, supervisor };

// `name` such as "postern-queue"; call early.
void open(std::string_view name, Output output);
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

// The line without its end, as written after the name: for tests, and who shows it otherwise.
std::string format(Level level, std::string_view event, std::initializer_list<Field> fields);

struct Line {
    Level level;
    std::string text;
    bool operator==(const Line&) const = default;
};
// What a process with Output::supervisor wrote to its standard error at once: a line of ours, or
// what a library had to say, which counts as an error. Whatever it is, the lines are printable.
std::vector<Line> read_packet(std::string_view packet);
// Writes a line to syslog(3). `sender` such as "postern-queue[4711]".
void pass_on(const std::string& sender, const Line& line);

} // namespace postern::log
