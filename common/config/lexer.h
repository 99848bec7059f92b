// Cuts smtpd.conf text into tokens: words, quoted strings, punctuation and line ends. Knows macros,
// comments, continued lines and the stack of included files, but no grammar.
//
// Every token carries the place where it begins; one that comes out of a macro, the place where the
// macro is used. What is not a token becomes one of kind `error` whose text is the message; the
// lexer goes on behind it. Memory and time are bounded by the limits below.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::config {

inline constexpr size_t token_limit = 4096;            // bytes of one word or string
inline constexpr size_t include_depth_limit = 16;      // files open at the same time
inline constexpr size_t expansion_limit = 1024 * 1024; // bytes that all macros expand to
inline constexpr size_t include_count_limit = 1000;    // include directives that are followed
inline constexpr size_t total_size_limit = 32u << 20;  // bytes of all files together

struct Position {
    uint32_t file = 0; // an index for Lexer::file_name()
    uint32_t line = 1;
    uint32_t column = 1;
    uint32_t sequence = 0; // of the token, through all files: the order of reading
};

enum class TokenKind : uint8_t {
    word,        // unquoted: a keyword or a value
    string,      // quoted: always a value
    punctuation, // one of { } < > ! = , and =>
    end_of_line,
    end_of_file, // of the outermost file
    error,       // `text` is the message
};

struct Token {
    TokenKind kind = TokenKind::end_of_file;
    std::string text;
    Position position;
};

class Lexer {
  public:
    Lexer(std::string file_name, std::string text);

    Token next();

    // The rest of the present line is expected to be read: what comes next is the included text.
    // False if a limit is reached, or if the file is open already; then `why` says so.
    bool push_file(std::string file_name, std::string text, std::string& why);
    void set_macro(const std::string& name, std::string value) { macros_[name] = std::move(value); }

    const std::string& file_name(const Position& at) const { return file_names_[at.file]; }
    // The file that is being read.
    const std::string& current_file() const;
    // For positions in a file that is no configuration itself, such as a table.
    uint32_t register_file(std::string file_name);

  private:
    // A file, or the text of a macro laid over it.
    struct Source {
        std::string text;
        size_t offset = 0;
        Position position; // of the next character, or of the macro's use
        bool is_macro = false;
        bool line_end_sent = false;
    };

    Token read();
    std::optional<char> peek();
    std::optional<char> peek_raw();
    std::string_view character_here() const;
    void skip();
    Position here() const { return sources_.back().position; }
    bool skip_continuation(Source& source);
    void skip_blanks_and_comments();
    Token take_word(Position at);
    Token take_string(char quote, Position at);
    std::optional<Token> expand_macro(Position at);

    std::vector<std::string> file_names_;
    std::vector<Source> sources_;
    std::map<std::string, std::string> macros_;
    uint32_t sequence_ = 0;
    size_t expanded_ = 0;
    size_t included_ = 0;
    size_t total_size_ = 0;
};

// Whether an unquoted `word` is reserved by smtpd.conf(5), so that as a value it must be quoted.
bool is_reserved(std::string_view word);

} // namespace postern::config
