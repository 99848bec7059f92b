#include "common/config/token_stream.h"

#include <algorithm>

#include "common/smtp/text.h"

namespace postern::config {

namespace {

constexpr size_t shown_limit = 60; // bytes of a found token in a message

std::string describe(const Token& token) {
    switch (token.kind) {
    case TokenKind::end_of_line:
        return "end of line";
    case TokenKind::end_of_file:
        return "end of file";
    default:
        return quoted(token.text);
    }
}

// A line that begins so is a new directive even if a brace is still open.
bool begins_directive(const Token& token) {
    static constexpr std::string_view keywords[] = {"action", "include", "listen", "match",
                                                    "queue",  "smtp",    "table"};
    return token.kind == TokenKind::word &&
           std::find(std::begin(keywords), std::end(keywords), token.text) != std::end(keywords);
}

} // namespace

std::string quoted(std::string_view text) { return '"' + legible(text, shown_limit) + '"'; }

TokenStream::TokenStream(Lexer& lexer) : lexer_(lexer) { advance(); }

void TokenStream::advance() {
    read_ = current_.position;
    current_ = lexer_.next();
    expected_.clear();
    value_expected_ = false;
    if (current_.kind != TokenKind::punctuation)
        return;
    if (current_.text == "{")
        ++depth_;
    else if (current_.text == "}" && depth_ > 0)
        --depth_;
}

bool TokenStream::at_line_end() const {
    return current_.kind == TokenKind::end_of_line || current_.kind == TokenKind::end_of_file;
}

bool TokenStream::at_punctuation(std::string_view text) const {
    return !failed_ && current_.kind == TokenKind::punctuation && current_.text == text;
}

void TokenStream::expecting(std::string_view what) {
    if (std::find(expected_.begin(), expected_.end(), what) == expected_.end())
        expected_.emplace_back(what);
}

bool TokenStream::accept(std::string_view keyword) {
    if (failed_)
        return false;
    if (current_.kind == TokenKind::word && current_.text == keyword) {
        advance();
        return true;
    }
    expecting(keyword);
    return false;
}

bool TokenStream::accept_punctuation(std::string_view text) {
    if (at_punctuation(text)) {
        advance();
        return true;
    }
    expecting(quoted(text));
    return false;
}

void TokenStream::expect(std::string_view keyword) {
    if (!accept(keyword))
        fail();
}

void TokenStream::expect_punctuation(std::string_view text) {
    if (!accept_punctuation(text))
        fail();
}

void TokenStream::expect_end_of_line() {
    if (at_line_end())
        return;
    if (expected_.empty())
        expecting("end of line");
    fail();
}

void TokenStream::skip_end_of_lines() {
    while (!failed_ && current_.kind == TokenKind::end_of_line)
        advance();
}

bool TokenStream::at_value(std::string_view what) {
    if (failed_)
        return false;
    if (current_.kind == TokenKind::string ||
        (current_.kind == TokenKind::word && !is_reserved(current_.text)))
        return true;
    expecting(what);
    value_expected_ = true;
    return false;
}

Token TokenStream::value(std::string_view what) {
    if (!at_value(what)) {
        fail();
        return {};
    }
    Token token = current_;
    if (token.text.empty()) {
        fail(token, what);
        return {};
    }
    advance();
    return token;
}

Token TokenStream::word(std::string_view what) {
    if (failed_ || current_.kind != TokenKind::word)
        return value(what);
    return take();
}

Token TokenStream::take() {
    Token token = current_;
    advance();
    return token;
}

void TokenStream::refuse(std::initializer_list<std::string_view> keywords) {
    if (current_.kind == TokenKind::word &&
        std::find(keywords.begin(), keywords.end(), current_.text) != keywords.end())
        fail(current_.position, quoted(current_.text) + " is a known smtpd.conf keyword, but this "
                                                        "version does not support it here");
}

void TokenStream::fail() {
    if (current_.kind == TokenKind::error)
        return fail(current_.position, current_.text);
    std::string list;
    for (const std::string& what : expected_)
        list += (list.empty() ? "" : ", ") + what;
    if (expected_.size() > 1)
        list = "one of: " + list;
    if (value_expected_ && current_.kind == TokenKind::word)
        list += " (a keyword must be quoted to be a value)";
    fail(current_, list);
}

void TokenStream::fail(const Token& found, std::string_view expected) {
    fail(found.position, "found " + describe(found) + ", expected " + std::string(expected));
}

void TokenStream::fail(const Position& at, std::string message) {
    if (failed_)
        return;
    report(at, std::move(message));
    failed_ = true;
}

void TokenStream::report(const Position& at, std::string message) {
    if (errors_.size() > error_limit)
        return;
    Diagnostic error{lexer_.file_name(at), at.line, at.column, std::move(message)};
    if (errors_.size() == error_limit)
        error.message = "too many errors, the rest is not shown";
    errors_.emplace_back(at.sequence, std::move(error));
}

void TokenStream::next_line() {
    bool line_began = false;
    while (!at_end() && !(line_began && begins_directive(current_))) {
        const bool ends = current_.kind == TokenKind::end_of_line;
        const bool inside = depth_ > 0;
        advance();
        line_began = ends;
        if (ends && !inside)
            break;
    }
    failed_ = false;
    depth_ = at_punctuation("{") ? 1 : 0; // the token ahead is counted already
}

std::vector<Diagnostic> TokenStream::take_errors() {
    std::stable_sort(errors_.begin(), errors_.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    std::vector<Diagnostic> result;
    for (auto& [sequence, error] : errors_)
        result.push_back(std::move(error));
    return result;
}

std::string TokenStream::where(const Position& at) const {
    return sanitize(lexer_.file_name(at)) + ":" + std::to_string(at.line);
}

bool Options::accept(std::string_view keyword) {
    if (!in_.accept(keyword))
        return false;
    if (std::find(seen_.begin(), seen_.end(), keyword) != seen_.end()) {
        in_.fail(in_.position(), quoted(keyword) + " is given twice");
        return false;
    }
    seen_.emplace_back(keyword);
    return true;
}

void Options::allow_again(std::string_view keyword) { std::erase(seen_, keyword); }

} // namespace postern::config
