// ~/.forward: whom a user wants to have his mail instead, or besides.
//
// It is read as the user, each time, and believed only if nobody else can have written it: a
// regular file that belongs to him or to root, and that neither his group nor others may write to,
// in a home directory of his own (or root's) that others may not write to. What is wrong with it is
// an error, which the mail waits for: it is neither lost nor delivered to where he does not want
// it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/ipc/target.h"

namespace postern {

inline constexpr size_t forward_size_limit = 32 * 1024; // octets of the file

struct ForwardOwner {
    std::string user;
    std::string home;      // "", "/", "/nonexistent": he has none, and so no .forward
    std::string recipient; // in wire form: names without a domain get its domain
    std::string extension; // what is behind the '+' of the recipient; empty: nothing
};

// What the text says (aliases(5), a line at a time; a line that begins with '#' is a comment). His
// own name or address is his mailbox. At most 100 targets. `error:` and `:include:` are refused.
// Nothing at all is no target.
Result<std::vector<ipc::Target>> parse_forward(std::string_view text, const ForwardOwner& owner);

// That of ~/.forward+EXTENSION if there is one, else of ~/.forward. An extension is looked for if
// it is of letters, digits, '_', '=', '.' and '-', 64 at most, and does not begin with '.'. Nothing:
// there is no such file, or it says nothing.
Result<std::optional<std::vector<ipc::Target>>> read_forward(const ForwardOwner& owner);

} // namespace postern
