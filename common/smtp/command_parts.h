// What the files that read command lines share: command.cc and command_parameters.cc.
#pragma once

#include <string>
#include <string_view>

#include "common/smtp/command.h"

namespace postern::command_parts {

inline CommandError refuse(int code, EnhancedStatusCode status, std::string text) {
    return CommandError{Reply(code, status, std::move(text)), AddressError::none};
}

inline CommandError bad_arguments(std::string text) {
    return refuse(501, status::invalid_arguments, std::move(text));
}

inline CommandError bad_value(std::string_view keyword) {
    return bad_arguments("Bad value of parameter " + std::string(keyword));
}

inline bool is_plain(std::string_view text) {
    for (char c : text)
        if (c < 0x20 || c >= 0x7f)
            return false;
    return true;
}

inline void skip_spaces(std::string_view& text) {
    while (!text.empty() && text.front() == ' ')
        text.remove_prefix(1);
}

inline std::string_view take_word(std::string_view& text) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(word.size());
    skip_spaces(text);
    return word;
}

// RFC 1870 3: 1*20DIGIT. What 64 bits cannot hold is above every limit anyway.
std::optional<std::uint64_t> parse_size(std::string_view digits);

// What is behind the path of MAIL or RCPT: nothing, or a space and parameters.
std::optional<CommandError> take_parameters(std::string_view tail, MailCommand& mail,
                                            const Extensions& offered);
std::optional<CommandError> take_parameters(std::string_view tail, RcptCommand& rcpt,
                                            const Extensions& offered);

// The arguments of XCLIENT (xclient.cc).
Command parse_xclient(std::string_view argument, std::string_view verb, const Extensions& offered);

} // namespace postern::command_parts
