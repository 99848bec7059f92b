#include "common/config/parse.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>

#include "common/base/file_descriptor.h"
#include "common/config/grammar.h"
#include "common/smtp/text.h"

namespace postern {

namespace config {

namespace {

bool is_macro_name(const Token& token) {
    return token.kind == TokenKind::word && !is_reserved(token.text) &&
           std::all_of(token.text.begin(), token.text.end(),
                       [](char c) { return is_ascii_letter(c) || is_ascii_digit(c) || c == '_'; });
}

// A relative path is relative to the file that names it.
std::string beside(const std::string& file, const std::string& path) {
    const size_t slash = file.rfind('/');
    if (path.starts_with('/') || slash == std::string::npos)
        return path;
    return file.substr(0, slash + 1) + path;
}

void parse_include(Grammar& g) {
    const Token name = g.in.value("a path");
    g.in.expect_end_of_line();
    if (g.in.failed())
        return;
    std::string path = beside(g.lexer.current_file(), name.text);
    auto text = g.read_file(path);
    if (!text.ok())
        return g.in.fail(name.position, "cannot include: " + sanitize(text.error().message));
    std::string why;
    if (!g.lexer.push_file(std::move(path), *std::move(text), why))
        g.in.fail(name.position, "cannot include: " + why);
}

void parse_macro(Grammar& g, const Token& name) {
    if (!is_macro_name(name))
        return g.in.fail(name, "the name of a macro: letters, digits and \"_\", not a keyword");
    const Token value = g.in.value("the value of the macro");
    g.in.expect_end_of_line();
    if (!g.in.failed())
        g.lexer.set_macro(name.text, value.text);
}

struct Directive {
    std::string_view keyword;
    void (*parse)(Grammar&);
};

constexpr Directive directives[] = {
    {"action", parse_action},
    {"bounce", parse_bounce},
    {"ca", parse_authority},
    {"hostname",
     [](Grammar& g) {
         g.configuration.hostname = read_value(g.in, "a host name", parse_host_name);
     }},
    {"include", parse_include},
    {"listen", parse_listen},
    {"listener", [](Grammar& g) { parse_processes(g, g.configuration.listeners); }},
    {"match", parse_match},
    {"mda", parse_wrapper},
    {"mta", parse_mta},
    {"pki", parse_pki},
    {"queue", parse_queue},
    {"relay", [](Grammar& g) { parse_processes(g, g.configuration.relays); }},
    {"resolver", parse_resolver},
    {"smtp", parse_smtp},
    {"socket",
     [](Grammar& g) {
         g.configuration.socket =
             read_name(g.in, "an absolute path of at most 107 bytes", is_socket_path);
     }},
    {"spool", [](Grammar& g) { g.configuration.spool = read_path(g.in); }},
    {"srs", parse_srs},
    {"table", parse_table},
    {"user", parse_user},
};

void parse_line(Grammar& g) {
    g.in.refuse({"admd", "filter", "proc", "scheduler"});
    if (g.in.failed())
        return;
    if (g.in.current().kind == TokenKind::error)
        return g.in.fail();
    const Token first = g.in.take();
    if (g.in.at_punctuation("=")) {
        g.in.take();
        return parse_macro(g, first);
    }
    std::string expected = "a directive: ";
    for (const Directive& directive : directives) {
        if (first.kind == TokenKind::word && first.text == directive.keyword) {
            directive.parse(g);
            if (!g.in.failed())
                g.in.expect_end_of_line();
            return;
        }
        expected += std::string(directive.keyword) + ", ";
    }
    g.in.fail(first, expected + "or \"name = value\"");
}

} // namespace

uint32_t read_number(TokenStream& in, uint32_t least, uint32_t most) {
    const std::string what =
        "a number from " + std::to_string(least) + " to " + std::to_string(most);
    return read_value(in, what, [&](std::string_view text) -> std::optional<uint32_t> {
        const auto number = parse_number(text);
        if (!number || *number < least || *number > most)
            return std::nullopt;
        return static_cast<uint32_t>(*number);
    });
}

std::chrono::seconds read_duration(TokenStream& in) {
    return read_value(in, "a time such as 30s, 5m, 4h or 1d12h", parse_duration);
}

uint16_t read_port(TokenStream& in) {
    return read_value(in, "a port: 1 to 65535, smtp, submission, submissions or smtps", parse_port,
                      true);
}

std::string read_path(TokenStream& in) {
    return read_name(in, "an absolute path", is_absolute_path);
}

std::string read_name(TokenStream& in, std::string_view what, bool (*good)(std::string_view)) {
    return read_value(in, what, [&](std::string_view text) {
        return good(text) ? std::optional<std::string>(text) : std::nullopt;
    });
}

} // namespace config

Result<std::string> read_configuration_file(const std::string& path) {
    const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    struct stat status;
    if (!file || ::fstat(file.get(), &status) != 0)
        return system_error(path);
    if (!S_ISREG(status.st_mode))
        return Error{path + ": not a regular file"};
    if (status.st_mode & S_IWOTH)
        return Error{path + ": anybody may write to it"};
    std::string text;
    while (text.size() <= configuration_file_limit) {
        const size_t before = text.size();
        text.resize(before + 64 * 1024);
        const ssize_t count = ::read(file.get(), text.data() + before, text.size() - before);
        text.resize(before + static_cast<size_t>(std::max<ssize_t>(count, 0)));
        if (count == 0)
            return text;
        if (count < 0 && errno != EINTR)
            return system_error(path);
    }
    return Error{path + ": larger than " + std::to_string(configuration_file_limit) + " bytes"};
}

ParsedConfiguration parse_configuration(const std::string& name, std::string text,
                                        const FileReader& read_file) {
    config::Grammar grammar(name, std::move(text), read_file);
    while (!grammar.in.at_end()) {
        if (grammar.in.more())
            config::parse_line(grammar);
        grammar.in.next_line();
    }
    ParsedConfiguration parsed;
    parsed.warnings = config::check(grammar);
    parsed.errors = grammar.in.take_errors();
    if (parsed.errors.empty() && !grammar.has_match)
        parsed.errors.push_back({name, 0, 0, "no match rule: every message would be refused"});
    if (parsed.errors.empty())
        parsed.configuration = std::move(grammar.configuration);
    return parsed;
}

ParsedConfiguration parse_configuration_file(const std::string& path) {
    auto text = read_configuration_file(path);
    if (!text.ok()) {
        // The message of system_error() begins with the path, as ours does.
        std::string message = sanitize(text.error().message);
        const std::string prefix = sanitize(path) + ": ";
        if (message.starts_with(prefix))
            message.erase(0, prefix.size());
        return {std::nullopt, {{path, 0, 0, std::move(message)}}, {}};
    }
    return parse_configuration(path, *std::move(text), read_configuration_file);
}

} // namespace postern
