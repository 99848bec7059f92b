#include "common/config/lexer.h"

#include <algorithm>
#include <array>

#include "common/base/utf8.h"
#include "common/smtp/text.h"

namespace postern::config {

namespace {

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }
bool is_name_character(char c) { return is_ascii_letter(c) || is_ascii_digit(c) || c == '_'; }
bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

bool is_punctuation(char c) {
    return std::string_view("{}<>!=,").find(c) != std::string_view::npos;
}

// Unquoted: letters, digits, and what addresses, paths and URLs are made of.
bool is_word_character(char c) {
    return is_ascii_letter(c) || is_ascii_digit(c) ||
           std::string_view("_:./@[]+-*~%$&;?^|`").find(c) != std::string_view::npos;
}

Token error(std::string message, Position at) { return {TokenKind::error, std::move(message), at}; }

// The keywords of OpenSMTPD 7.8, whether we know them or not: a file that quotes them where
// OpenSMTPD wants it to means the same to both.
constexpr std::array reserved = std::to_array<std::string_view>({"action",
                                                                 "admd",
                                                                 "alias",
                                                                 "any",
                                                                 "auth",
                                                                 "auth-optional",
                                                                 "backup",
                                                                 "bounce",
                                                                 "bypass",
                                                                 "ca",
                                                                 "cert",
                                                                 "chain",
                                                                 "chroot",
                                                                 "ciphers",
                                                                 "commit",
                                                                 "compression",
                                                                 "connect",
                                                                 "data",
                                                                 "data-line",
                                                                 "dhe",
                                                                 "disconnect",
                                                                 "domain",
                                                                 "ehlo",
                                                                 "encryption",
                                                                 "expand-only",
                                                                 "fcrdns",
                                                                 "filter",
                                                                 "for",
                                                                 "forward-only",
                                                                 "from",
                                                                 "group",
                                                                 "helo",
                                                                 "helo-src",
                                                                 "host",
                                                                 "hostname",
                                                                 "hostnames",
                                                                 "include",
                                                                 "inet4",
                                                                 "inet6",
                                                                 "junk",
                                                                 "key",
                                                                 "limit",
                                                                 "listen",
                                                                 "lmtp",
                                                                 "local",
                                                                 "mail-from",
                                                                 "maildir",
                                                                 "mask-src",
                                                                 "masquerade",
                                                                 "match",
                                                                 "max-deferred",
                                                                 "max-message-size",
                                                                 "mbox",
                                                                 "mda",
                                                                 "mta",
                                                                 "mx",
                                                                 "no-dsn",
                                                                 "no-verify",
                                                                 "noop",
                                                                 "on",
                                                                 "phase",
                                                                 "pki",
                                                                 "port",
                                                                 "proc",
                                                                 "proc-exec",
                                                                 "protocols",
                                                                 "proxy-v2",
                                                                 "queue",
                                                                 "quit",
                                                                 "rcpt-to",
                                                                 "rdns",
                                                                 "received-auth",
                                                                 "recipient",
                                                                 "regex",
                                                                 "reject",
                                                                 "relay",
                                                                 "report",
                                                                 "rewrite",
                                                                 "rset",
                                                                 "scheduler",
                                                                 "senders",
                                                                 "smtp",
                                                                 "smtp-in",
                                                                 "smtp-out",
                                                                 "smtps",
                                                                 "socket",
                                                                 "src",
                                                                 "srs",
                                                                 "sub-addr-delim",
                                                                 "table",
                                                                 "tag",
                                                                 "tagged",
                                                                 "tls",
                                                                 "tls-require",
                                                                 "ttl",
                                                                 "user",
                                                                 "userbase",
                                                                 "verify",
                                                                 "virtual",
                                                                 "warn-interval",
                                                                 "wrapper"});
static_assert(std::is_sorted(reserved.begin(), reserved.end()));

} // namespace

bool is_reserved(std::string_view word) {
    return std::binary_search(reserved.begin(), reserved.end(), word);
}

Lexer::Lexer(std::string file_name, std::string text) : total_size_(text.size()) {
    file_names_.push_back(std::move(file_name));
    sources_.push_back({std::move(text), 0, {}, false, false});
}

bool Lexer::push_file(std::string file_name, std::string text, std::string& why) {
    size_t depth = 0;
    for (const Source& source : sources_) {
        if (source.is_macro)
            continue;
        ++depth;
        if (file_names_[source.position.file] == file_name)
            why = "\"" + sanitize(file_name) + "\" includes itself";
    }
    total_size_ += text.size();
    if (why.empty() && depth >= include_depth_limit)
        why = "files are included more than " + std::to_string(include_depth_limit) + " deep";
    if (why.empty() && ++included_ > include_count_limit)
        why = "more than " + std::to_string(include_count_limit) + " files are included";
    if (why.empty() && total_size_ > total_size_limit)
        why = "all files together are larger than " + std::to_string(total_size_limit) + " bytes";
    if (!why.empty())
        return false;
    Position start;
    start.file = static_cast<uint32_t>(file_names_.size());
    file_names_.push_back(std::move(file_name));
    sources_.push_back({std::move(text), 0, start, false, false});
    return true;
}

const std::string& Lexer::current_file() const {
    return file_names_[sources_.back().position.file];
}

uint32_t Lexer::register_file(std::string file_name) {
    file_names_.push_back(std::move(file_name));
    return static_cast<uint32_t>(file_names_.size() - 1);
}

// The next character whatever it is; nothing at the end of the present file.
std::optional<char> Lexer::peek_raw() {
    while (sources_.back().is_macro && sources_.back().offset == sources_.back().text.size())
        sources_.pop_back();
    Source& source = sources_.back();
    if (source.offset == source.text.size())
        return std::nullopt;
    return source.text[source.offset];
}

// The same outside of quotes: a backslash at the end of a line joins it with the next.
std::optional<char> Lexer::peek() {
    std::optional<char> c = peek_raw();
    while (c == '\\' && skip_continuation(sources_.back()))
        c = peek_raw();
    return c;
}

bool Lexer::skip_continuation(Source& source) {
    const std::string_view rest = std::string_view(source.text).substr(source.offset);
    const size_t length = rest.starts_with("\\\n") ? 2 : rest.starts_with("\\\r\n") ? 3 : 0;
    if (length == 0)
        return false;
    source.offset += length;
    ++source.position.line;
    source.position.column = 1;
    return true;
}

// All octets of the character, for a message.
std::string_view Lexer::character_here() const {
    const std::string_view rest =
        std::string_view(sources_.back().text).substr(sources_.back().offset);
    return rest.substr(0, std::max<size_t>(first_character(rest).length, 1));
}

void Lexer::skip() {
    Source& source = sources_.back();
    const char c = source.text[source.offset++];
    if (source.is_macro)
        return;
    if (c == '\n') {
        ++source.position.line;
        source.position.column = 1;
    } else {
        ++source.position.column;
    }
}

void Lexer::skip_blanks_and_comments() {
    std::optional<char> c = peek();
    while (c && is_blank(*c)) {
        skip();
        c = peek();
    }
    if (c != '#')
        return;
    while (c && *c != '\n') {
        skip();
        c = peek();
    }
}

Token Lexer::next() {
    Token token = read();
    token.position.sequence = ++sequence_;
    return token;
}

Token Lexer::read() {
    while (true) {
        skip_blanks_and_comments();
        const std::optional<char> c = peek();
        const Position at = here();
        if (!c) {
            Source& source = sources_.back();
            if (!source.line_end_sent) { // the last line may lack its line feed
                source.line_end_sent = true;
                return {TokenKind::end_of_line, "", at};
            }
            if (sources_.size() == 1)
                return {TokenKind::end_of_file, "", at};
            sources_.pop_back();
            continue;
        }
        if (*c == '$') {
            if (std::optional<Token> failed = expand_macro(at))
                return *failed;
            continue;
        }
        if (*c == '"' || *c == '\'')
            return take_string(*c, at);
        if (is_word_character(*c))
            return take_word(at);
        const std::string_view character = character_here();
        skip();
        if (*c == '\n')
            return {TokenKind::end_of_line, "", at};
        if (*c == '=' && peek() == '>') {
            skip();
            return {TokenKind::punctuation, "=>", at};
        }
        if (is_punctuation(*c))
            return {TokenKind::punctuation, std::string(1, *c), at};
        if (*c == '\\')
            return error("a backslash may only stand at the end of a line or between quotes", at);
        return error("found \"" + legible(character) + "\" outside of quotes", at);
    }
}

Token Lexer::take_word(Position at) {
    Token token{TokenKind::word, "", at};
    std::optional<char> c = peek();
    for (; c && is_word_character(*c); c = peek()) {
        token.text += *c;
        skip();
    }
    if (token.text.size() > token_limit)
        return error("this word is longer than " + std::to_string(token_limit) + " bytes", at);
    return token;
}

// Between quotes a backslash stands for itself, but for \" (or \'), "\ ", "\tab" and a continued
// line, as in OpenSMTPD.
Token Lexer::take_string(char quote, Position at) {
    Token token{TokenKind::string, "", at};
    skip();
    for (std::optional<char> c = peek_raw(); c != quote; c = peek_raw()) {
        if (!c || *c == '\n')
            return error("this string is not closed before the end of the line", at);
        if (*c == '\\') {
            if (skip_continuation(sources_.back()))
                continue;
            skip();
            const std::optional<char> escaped = peek_raw();
            if (escaped != quote && escaped != ' ' && escaped != '\t') {
                token.text += '\\';
                continue;
            }
            c = escaped;
        } else if (is_control(*c) && *c != '\t') {
            const Position where = here();
            skip();
            return error("found \"" + sanitize(std::string_view(&*c, 1)) + "\" in a string", where);
        }
        token.text += *c;
        skip();
    }
    skip();
    if (token.text.size() > token_limit)
        return error("this string is longer than " + std::to_string(token_limit) + " bytes", at);
    return token;
}

// Lays the macro's value over the text, so that it is read as if it were written there. A value's
// own '$' is not expanded, hence nothing can loop.
std::optional<Token> Lexer::expand_macro(Position at) {
    const bool nested = sources_.back().is_macro;
    skip();
    std::string name;
    std::optional<char> c = peek();
    for (; c && is_name_character(*c) && name.size() <= token_limit; c = peek()) {
        name += *c;
        skip();
    }
    if (name.empty())
        return error("found \"$\", expected it to be followed by a macro name", at);
    if (nested)
        return error("$" + name + " is not expanded within the value of a macro", at);
    const auto macro = macros_.find(name);
    if (macro == macros_.end())
        return error("macro \"" + name + "\" is not defined", at);
    expanded_ += macro->second.size();
    if (expanded_ > expansion_limit)
        return error("macros expand to more than " + std::to_string(expansion_limit) + " bytes",
                     at);
    sources_.push_back({macro->second, 0, at, true, false});
    return std::nullopt;
}

} // namespace postern::config
