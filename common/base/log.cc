#include "common/base/log.h"

#include <algorithm>
#include <climits>
#include <ctime>
#include <optional>
#include <syslog.h>
#include <unistd.h>

#include "common/base/syslog_socket.h"
#include "common/base/utf8.h"

namespace postern::log {

namespace {

constexpr size_t value_limit = 1024; // bytes of one value; more is cut

// What every process has one of, and what would be a parameter of nearly every function.
struct State {
    std::string sender = "postern"; // "name[pid]"
    Output output = Output::standard_error;
    bool verbose = false;
    std::optional<SyslogSocket> syslog;
    uint64_t lost = 0; // lines of ours that the supervisor or the syslog daemon did not take
} state;

// What is written in one piece, so that the lines of several processes do not mix, on a pipe
// either.
constexpr size_t piece_limit = PIPE_BUF;

// Lines as they are to be written.
struct Held {
    bool on = false;
    std::string bytes;
    size_t lines = 0;
    ~Held() { flush(); } // the process may exit in the middle of a turn
};
thread_local Held held;

bool needs_quotes(std::string_view text) {
    if (text.empty())
        return true;
    for (unsigned char c : text)
        if (c <= ' ' || c == '"' || c == '\\' || c >= 127)
            return true;
    return false;
}

void append_value(std::string& line, std::string_view text) {
    const bool cut = text.size() > value_limit;
    text = cut_utf8(text, value_limit);
    if (!needs_quotes(text)) {
        line += text;
    } else {
        line += '"';
        while (!text.empty()) {
            if (text.front() == '"' || text.front() == '\\')
                line += '\\';
            take_escaped(text, line);
        }
        line += '"';
    }
    if (cut)
        line += "...";
}

const char* level_prefix(Level level) {
    switch (level) {
    case Level::error:
        return "error: ";
    case Level::warning:
        return "warning: ";
    case Level::info:
        return "";
    case Level::debug:
        return "debug: ";
    }
    return "";
}

int syslog_priority(Level level) {
    switch (level) {
    case Level::error:
        return LOG_ERR;
    case Level::warning:
        return LOG_WARNING;
    case Level::info:
        return LOG_INFO;
    case Level::debug:
        return LOG_DEBUG;
    }
    return LOG_INFO;
}

// "2026-11-23T17:46:02Z "
void append_time(std::string& line) {
    std::time_t now = std::time(nullptr);
    std::tm parts;
    gmtime_r(&now, &parts);
    char text[32];
    line.append(text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ ", &parts));
}

// "<3>error: ...": a digit of syslog(3), as systemd's sd-daemon(3) has it.
void append_for_supervisor(const Line& line, std::string& bytes) {
    bytes += "<" + std::to_string(syslog_priority(line.level)) + ">" + line.text + "\n";
}

bool write_piece(std::string_view bytes) {
    return ::write(STDERR_FILENO, bytes.data(), bytes.size()) >= 0;
}

std::string printable(std::string_view text) {
    static constexpr std::string_view cut = "...";
    const bool too_long = text.size() > line_limit;
    if (too_long)
        text = cut_utf8(text, line_limit - cut.size());
    std::string line;
    line.reserve(text.size() + cut.size());
    while (!text.empty())
        take_displayable(text, line);
    if (too_long)
        line += cut;
    return line;
}

bool send_line(const Line& line) {
    if (state.output == Output::syslog)
        return state.syslog->send(syslog_priority(line.level), state.sender, line.text);
    std::string piece;
    append_for_supervisor(line, piece);
    return write_piece(piece);
}

// What was lost is told of as soon as somebody takes that.
void report_lost() {
    if (state.lost == 0)
        return;
    if (send_line({Level::warning,
                   format(Level::warning, "log lines were lost", {{"lines", state.lost}})}))
        state.lost = 0;
}

void append_held(const Line& line) {
    std::string piece;
    if (state.output == Output::supervisor) {
        append_for_supervisor(line, piece);
    } else {
        append_time(piece);
        piece += state.sender + ": " + line.text + "\n";
    }
    if (held.bytes.size() + piece.size() > piece_limit || held.lines == packet_lines)
        flush();
    held.bytes += piece;
    ++held.lines;
}

} // namespace

void open(std::string_view name, Output output, const std::string& syslog_path) {
    flush();
    state.sender = std::string(name) + "[" + std::to_string(getpid()) + "]";
    state.output = output;
    state.lost = 0;
    if (output == Output::syslog)
        state.syslog.emplace(syslog_path);
    else
        state.syslog.reset();
}

void set_verbose(bool verbose) { state.verbose = verbose; }
bool verbose() { return state.verbose; }

std::string format(Level level, std::string_view event, std::initializer_list<Field> fields) {
    std::string line = level_prefix(level);
    line += event;
    for (const Field& field : fields) {
        line += ' ';
        line += field.key;
        line += '=';
        append_value(line, field.value.text());
    }
    return line;
}

void write(Level level, std::string_view event, std::initializer_list<Field> fields) {
    const Line line{level, format(level, event, fields)};
    if (state.output == Output::syslog) {
        report_lost();
        if (!send_line(line))
            ++state.lost;
        return;
    }
    append_held(line);
    if (!held.on || level == Level::error || level == Level::warning)
        flush();
}

void hold(bool on) {
    held.on = on;
    if (!on)
        flush();
}

void flush() {
    if (held.lines == 0)
        return;
    if (state.output == Output::supervisor)
        report_lost();
    // A full disk loses the lines.
    if (!write_piece(held.bytes) && state.output == Output::supervisor)
        state.lost += held.lines;
    held.bytes.clear();
    held.lines = 0;
}

namespace {

// Takes the level off, where there is one.
std::optional<Level> take_level(std::string_view& text) {
    if (text.size() < 3 || text[0] != '<' || text[2] != '>')
        return std::nullopt;
    for (Level level : {Level::error, Level::warning, Level::info, Level::debug})
        if (text[1] == '0' + syslog_priority(level)) {
            text.remove_prefix(3);
            return level;
        }
    return std::nullopt;
}

} // namespace

Packet read_packet(std::string_view packet) {
    Level level = Level::error;
    Packet read;
    while (!packet.empty()) {
        std::string_view text = packet.substr(0, packet.find('\n'));
        packet.remove_prefix(std::min(text.size() + 1, packet.size()));
        level = take_level(text).value_or(level);
        if (text.empty())
            continue;
        if (read.lines.size() < packet_lines)
            read.lines.push_back({level, printable(text)});
        else
            ++read.lost;
    }
    return read;
}

bool pass_on(const std::string& sender, const Line& line) {
    if (!state.syslog)
        return false;
    report_lost();
    return state.syslog->offer(syslog_priority(line.level), sender, line.text);
}

} // namespace postern::log
