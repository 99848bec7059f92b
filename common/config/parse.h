// Reads smtpd.conf(5). Either everything in it is good, or there is no configuration and a list of
// what is wrong, in the order of reading, so that an operator can mend all of it at once.
//
// Syntax is hand-written recursive descent: lexer.h cuts the text into tokens, token_stream.h keeps
// track of what was expected, and a file per directive reads it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/config/configuration.h"
#include "common/config/diagnostic.h"

namespace postern {

struct ParsedConfiguration {
    std::optional<Configuration> configuration; // none if there are errors
    std::vector<Diagnostic> errors;
    std::vector<Diagnostic> warnings; // good syntax, but hardly what was meant
};

// Gives the text of an included file or of a table's file; the path is absolute or relative to the
// working directory.
using FileReader = std::function<Result<std::string>(const std::string& path)>;

// The whole of a regular file of at most `configuration_file_limit` bytes; anything else (a FIFO
// could make us wait for ever) is an error, and so is one that anybody may write to.
inline constexpr size_t configuration_file_limit = 32u << 20;
Result<std::string> read_configuration_file(const std::string& path);

// Reads `path` and what it includes.
ParsedConfiguration parse_configuration_file(const std::string& path);

// The same for text that is at hand; `name` stands for it in messages, and includes are relative to
// it. Knows of the file system only what `read_file` gives.
ParsedConfiguration parse_configuration(const std::string& name, std::string text,
                                        const FileReader& read_file);

} // namespace postern
