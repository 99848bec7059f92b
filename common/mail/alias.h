// What stands behind the name of an alias, as in aliases(5). Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace postern {

enum class AliasKind : uint8_t {
    name,    // of a user, or of another alias
    mailbox, // "\user": he himself, whatever aliases or a .forward say
    address, // user@domain
    command, // "|command" for /bin/sh -c
    file,    // "/path" or "file:/path": appended to
    include, // ":include:/path": the values in that file
    refusal, // "error:550 text": a reply in place of delivery; the only value
};

struct AliasValue {
    AliasKind kind = AliasKind::name;
    // name: in lower case where it is US-ASCII, unquoted; address: in wire form; refusal: "550
    // 5.7.1 text", 400 octets at most; else as it was written, without the mark before it.
    std::string text;
    bool operator==(const AliasValue&) const = default;
};

// Values set apart by commas, each in quotes where it has commas, blanks or quotes of its own
// ("|command a, b" or |"command a, b"). An error says which one is none, and why.
Result<std::vector<AliasValue>> parse_alias_values(std::string_view text);

// The same of an included file: a line each, or with commas; '#' begins a comment line. Names and
// addresses only: a command or a file is an error, and so are includes and refusals.
Result<std::vector<AliasValue>> parse_alias_include(std::string_view text);

} // namespace postern
