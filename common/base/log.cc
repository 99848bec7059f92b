#include "common/base/log.h"

#include <ctime>
#include <syslog.h>
#include <unistd.h>

namespace postern::log {

namespace {

constexpr size_t value_limit = 1024; // bytes of one value; more is cut

// What every process has one of, and what would be a parameter of nearly every function.
struct State {
    std::string name = "postern";
    std::string prefix; // "name[pid]: "
    bool to_syslog = false;
    bool verbose = false;
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

} // namespace

void open(std::string_view name, bool to_syslog) {
    state.name = name;
    state.prefix = state.name + "[" + std::to_string(getpid()) + "]: ";
    state.to_syslog = to_syslog;
    if (to_syslog)
        openlog(state.name.c_str(), LOG_PID | LOG_NDELAY, LOG_MAIL);
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
    std::string line = format(level, event, fields);
    if (state.to_syslog) {
        syslog(syslog_priority(level), "%s", line.c_str());
        return;
    }
    std::string whole;
    append_time(whole);
    whole += state.prefix + line + "\n";
    // One call, so that the lines of several processes do not mix. A full disk loses the line.
    [[maybe_unused]] ssize_t written = ::write(STDERR_FILENO, whole.data(), whole.size());
}

} // namespace postern::log
