#include "common/base/log.h"

#include <algorithm>
#include <ctime>
#include <syslog.h>
#include <unistd.h>

namespace postern::log {

namespace {

constexpr size_t value_limit = 1024; // bytes of one value; more is cut

// What every process has one of, and what would be a parameter of nearly every function.
struct State {
    std::string sender = "postern"; // "name[pid]"
    Output output = Output::standard_error;
    bool verbose = false;
    uint64_t lost = 0; // lines that the supervisor did not take
} state;

bool needs_quotes(std::string_view text) {
    if (text.empty())
        return true;
    for (unsigned char c : text)
        if (c <= ' ' || c == '"' || c == '\\' || c >= 127)
            return true;
    return false;
}

void append_value(std::string& line, std::string_view text) {
    static constexpr char hex[] = "0123456789abcdef";
    bool cut = text.size() > value_limit;
    text = text.substr(0, value_limit);
    if (!needs_quotes(text)) {
        line += text;
    } else {
        line += '"';
        for (unsigned char c : text) {
            if (c == '"' || c == '\\') {
                line += '\\';
                line += static_cast<char>(c);
            } else if (c < ' ' || c >= 127) {
                line += "\\x";
                line += hex[c >> 4];
                line += hex[c & 15];
            } else {
                line += static_cast<char>(c);
            }
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

// "<3>error: ...": a digit of syslog(3), as systemd's sd-daemon(3) has it. One call, so that the
// lines of several processes do not mix.
bool write_packet(const Line& line) {
    const std::string packet = "<" + std::to_string(syslog_priority(line.level)) + ">" + line.text;
    return ::write(STDERR_FILENO, packet.data(), packet.size()) >= 0;
}

// Nobody waits for the supervisor: what it does not take in time is lost, and it is told so.
void write_to_supervisor(const Line& line) {
    if (state.lost > 0) {
        Line loss{Level::warning,
                  format(Level::warning, "log lines were lost", {{"lines", state.lost}})};
        if (write_packet(loss))
            state.lost = 0;
    }
    if (!write_packet(line))
        ++state.lost;
}

} // namespace

void open(std::string_view name, Output output) {
    state.sender = std::string(name) + "[" + std::to_string(getpid()) + "]";
    state.output = output;
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
    Line line{level, format(level, event, fields)};
    if (state.output == Output::syslog)
        return pass_on(state.sender, line);
    if (state.output == Output::supervisor)
        return write_to_supervisor(line);
    std::string whole;
    append_time(whole);
    whole += state.sender + ": " + line.text + "\n";
    // One call, so that the lines of several processes do not mix. A full disk loses the line.
    [[maybe_unused]] ssize_t written = ::write(STDERR_FILENO, whole.data(), whole.size());
}

std::vector<Line> read_packet(std::string_view packet) {
    Level level = Level::error;
    if (packet.size() >= 3 && packet[0] == '<' && packet[2] == '>')
        for (Level known : {Level::error, Level::warning, Level::info, Level::debug})
            if (packet[1] == '0' + syslog_priority(known)) {
                level = known;
                packet.remove_prefix(3);
                break;
            }
    std::vector<Line> lines;
    while (!packet.empty()) {
        const size_t end = std::min(packet.find('\n'), packet.size());
        Line line{level, std::string(packet.substr(0, end))};
        packet.remove_prefix(std::min(end + 1, packet.size()));
        std::replace_if(
            line.text.begin(), line.text.end(), [](char c) { return c < ' ' || c == 0x7f; }, '?');
        if (!line.text.empty())
            lines.push_back(std::move(line));
    }
    return lines;
}

void pass_on(const std::string& sender, const Line& line) {
    openlog(sender.c_str(), 0, LOG_MAIL); // names the sender; a connection stays
    syslog(syslog_priority(line.level), "%s", line.text.c_str());
}

} // namespace postern::log
