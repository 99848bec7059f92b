#include "smtpd/tables/redis_command.h"

#include <algorithm>

namespace postern::tables {

namespace {

constexpr std::string_view blanks = " \t";
constexpr std::string_view placeholder = "%s";

std::string with_key(std::string_view word, std::string_view key) {
    std::string text;
    for (;;) {
        const size_t at = word.find(placeholder);
        text += word.substr(0, at);
        if (at == word.npos)
            return text;
        text += key;
        word.remove_prefix(at + placeholder.size());
    }
}

} // namespace

std::vector<std::string> redis_words(std::string_view command, std::string_view key) {
    std::vector<std::string> words;
    for (size_t begin = command.find_first_not_of(blanks); begin != command.npos;
         begin = command.find_first_not_of(blanks, begin)) {
        const size_t end = std::min(command.find_first_of(blanks, begin), command.size());
        words.push_back(with_key(command.substr(begin, end - begin), key));
        begin = end;
    }
    return words;
}

} // namespace postern::tables
