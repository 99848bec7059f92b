// What the grammar reads from: one token ahead, and one error a line.
//
// After a failure everything up to the next line is inert: accept() is false, value() empty, more()
// false. So a directive reads straight through and asks failed() before it takes what it has read.
// The alternatives that were tried at a token are remembered: they are what a message expects.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/config/diagnostic.h"
#include "common/config/lexer.h"

namespace postern::config {

inline constexpr size_t error_limit = 50; // reported in one run

// Text of the configuration within a message: in quotes, printable, cut off where it is long.
std::string quoted(std::string_view text);

class TokenStream {
  public:
    explicit TokenStream(Lexer& lexer);

    const Token& current() const { return current_; }
    // Of the token that was read last.
    const Position& position() const { return read_; }

    bool at_end() const { return current_.kind == TokenKind::end_of_file; }
    bool failed() const { return failed_; }
    // More to read on this line.
    bool more() const { return !failed_ && !at_line_end(); }
    bool at_punctuation(std::string_view text) const;

    // Reads an unquoted keyword, or punctuation, if it is there.
    bool accept(std::string_view keyword);
    bool accept_punctuation(std::string_view text);
    void expect(std::string_view keyword);
    void expect_punctuation(std::string_view text);
    void expect_end_of_line(); // and leaves it there
    void skip_end_of_lines();

    // Whether a value is there: a string, or a word that is not reserved.
    bool at_value(std::string_view what);
    // Reads it; fails where there is none, or an empty string. `what` goes into the message.
    Token value(std::string_view what);
    // The same, but a reserved word will do: the name of a process, a port.
    Token word(std::string_view what);
    // Any first token of a line.
    Token take();

    // Fails if one of OpenSMTPD's keywords is there that we do not know here.
    void refuse(std::initializer_list<std::string_view> keywords);
    // Fails with what was found, and what would have been accepted.
    void fail();
    void fail(const Token& found, std::string_view expected);
    void fail(const Position& at, std::string message);
    // An error that does not make the rest of the line unreadable.
    void report(const Position& at, std::string message);

    // To the next line; after a failure within braces, out of these first.
    void next_line();

    // All errors in the order of reading, at most error_limit.
    std::vector<Diagnostic> take_errors();
    std::string where(const Position& at) const; // "file:line"

  private:
    bool at_line_end() const;
    void advance();
    void expecting(std::string_view what);

    Lexer& lexer_;
    Token current_;
    Position read_;
    std::vector<std::string> expected_;
    bool value_expected_ = false;
    bool failed_ = false;
    size_t depth_ = 0; // of braces
    std::vector<std::pair<uint32_t, Diagnostic>> errors_;
};

// The options of one directive, in any order, each at most once.
class Options {
  public:
    explicit Options(TokenStream& in) : in_(in) {}
    bool accept(std::string_view keyword);
    // This one may come more than once.
    void allow_again(std::string_view keyword);

  private:
    TokenStream& in_;
    std::vector<std::string> seen_;
};

} // namespace postern::config
