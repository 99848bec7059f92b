#include "common/config/command_words.h"

#include <algorithm>

namespace postern {

namespace {

constexpr char replacement = ':';

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n'; }

// Reads one command from left to right.
class Splitter {
  public:
    explicit Splitter(std::string_view text) : text_(text) {}

    Result<std::vector<std::string>> split() {
        while (!text_.empty()) {
            const char c = take();
            if (is_blank(c))
                end_word();
            else if (Result<void> good = read(c); !good)
                return good.error();
        }
        end_word();
        if (words_.empty() || words_.front().empty())
            return Error{"a command has to name a program"};
        return std::move(words_);
    }

  private:
    char take() {
        const char c = text_.front();
        text_.remove_prefix(1);
        return c;
    }
    void add(char c) {
        word_ += c;
        in_word_ = true;
    }
    void end_word() {
        if (in_word_)
            words_.push_back(std::move(word_));
        word_.clear();
        in_word_ = false;
    }
    static Error no_shell(char c) {
        return Error{std::string("'") + c +
                     "' means nothing here, because no shell reads the command: put it in single "
                     "quotes, or begin with /bin/sh -c"};
    }

    Result<void> read(char c) {
        if (c == '\'')
            return read_single_quotes();
        if (c == '"')
            return read_double_quotes();
        if (c == '\\') {
            if (text_.empty())
                return Error{"'\\' at the end of a command"};
            add(take());
            return {};
        }
        if (std::string_view("|;&<>$`").find(c) != std::string_view::npos)
            return no_shell(c);
        add(c);
        return {};
    }

    Result<void> read_single_quotes() {
        const size_t end = text_.find('\'');
        if (end == std::string_view::npos)
            return Error{"a quote (') of a command is not closed"};
        word_ += text_.substr(0, end);
        in_word_ = true;
        text_.remove_prefix(end + 1);
        return {};
    }

    Result<void> read_double_quotes() {
        in_word_ = true;
        while (!text_.empty()) {
            char c = take();
            if (c == '"')
                return {};
            if (c == '$' || c == '`')
                return no_shell(c);
            if (c == '\\' && !text_.empty() &&
                std::string_view("\"\\$`").find(text_.front()) != std::string_view::npos)
                c = take();
            word_ += c;
        }
        return Error{"a quote (\") of a command is not closed"};
    }

    std::string_view text_;
    std::string word_;
    bool in_word_ = false; // also of an empty word, in quotes
    std::vector<std::string> words_;
};

// Programs that read a word as a program.
bool is_shell(std::string_view word) {
    static constexpr std::string_view shells[] = {"sh",    "ash",  "bash", "busybox", "csh",
                                                  "dash",  "fish", "ksh",  "lksh",    "mksh",
                                                  "rbash", "tcsh", "yash", "zsh"};
    word.remove_prefix(std::min(word.rfind('/') + 1, word.size())); // none: npos + 1 is 0
    return std::find(std::begin(shells), std::end(shells), word) != std::end(shells);
}

// From which word on one may be read as a program, whatever stands in it: behind "-c", and where a
// shell is run, by a wrapper perhaps.
size_t code_from(const std::vector<std::string>& words) {
    for (size_t i = 0; i < words.size(); ++i)
        if (words[i] == "-c" || is_shell(words[i]))
            return i + 1;
    return words.size();
}

// Whether somebody who reads this text as a program would see more than one word in it.
bool looks_like_code(const std::vector<FormatPiece>& pieces) {
    return std::any_of(pieces.begin(), pieces.end(), [](const FormatPiece& piece) {
        return !piece.specifier &&
               piece.literal.find_first_of(" \t\n;|&$<>()`'\"") != std::string::npos;
    });
}

Result<std::vector<FormatPiece>> parse_word(const std::string& word, bool is_code) {
    if (word.find('\0') != std::string::npos)
        return Error{"a command cannot have a NUL in it"};
    Result<std::vector<FormatPiece>> pieces = parse_format(word);
    if (!pieces || (!is_code && !looks_like_code(*pieces)))
        return pieces;
    for (const FormatPiece& piece : *pieces)
        if (piece.specifier && piece.specifier->raw)
            return Error{
                "a raw value within a word that a shell may read: whoever sends mail could "
                "have it run what he likes"};
    return pieces;
}

void append_foreign(std::string& out, std::string_view value, bool raw) {
    for (char c : value) {
        const bool begins =
            out.empty() || is_blank(out.back()) || out.back() == '\'' || out.back() == '"';
        const bool option = c == '-' && begins;
        const bool unwanted = option || c == '/' || is_special_to_a_shell(c);
        out += is_control_character(c) || (unwanted && !raw) ? replacement : c;
    }
}

} // namespace

Result<std::vector<std::string>> split_command(std::string_view command) {
    return Splitter(command).split();
}

Result<void> check_command(const std::vector<std::string>& words) {
    const size_t code = code_from(words);
    for (size_t i = 0; i < words.size(); ++i)
        if (Result<std::vector<FormatPiece>> pieces = parse_word(words[i], i >= code); !pieces)
            return pieces.error();
    return {};
}

Result<std::vector<std::string>> wrap_command(const std::vector<std::string>& wrapper,
                                              const std::vector<std::string>& command) {
    std::vector<std::string> words;
    size_t places = 0;
    for (const std::string& word : wrapper) {
        if (word == mda_specifier) {
            words.insert(words.end(), command.begin(), command.end());
            ++places;
        } else if (word.find(mda_specifier) != std::string::npos) {
            return Error{"%{mda} has to be a word of its own"};
        } else {
            words.push_back(word);
        }
    }
    if (places != 1)
        return Error{"a wrapper has to have %{mda} in it, once"};
    return words;
}

Result<std::vector<std::string>> expand_command(const std::vector<std::string>& words,
                                                const DeliveryValues& values) {
    std::vector<std::string> expanded;
    const size_t code = code_from(words);
    for (size_t i = 0; i < words.size(); ++i) {
        Result<std::vector<FormatPiece>> pieces = parse_word(words[i], i >= code);
        if (!pieces)
            return pieces.error();
        std::string& out = expanded.emplace_back();
        for (const FormatPiece& piece : *pieces) {
            if (!piece.specifier) {
                out += piece.literal;
                continue;
            }
            Result<std::string> value = value_of_specifier(*piece.specifier, values);
            if (!value)
                return value.error();
            if (piece.specifier->subject == ValueSubject::user_directory)
                out += *value;
            else
                append_foreign(out, *value, piece.specifier->raw);
        }
    }
    return expanded;
}

} // namespace postern
