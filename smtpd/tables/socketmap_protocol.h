// The socketmap protocol, as of Sendmail and Postfix (socketmap_table(5)): "name key" in a
// netstring, and the answer in another. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace postern::tables {

inline constexpr size_t netstring_limit = 100'000; // bytes of content, as in Postfix

std::string encode_netstring(std::string_view content);

// The content of a netstring at the front of `bytes`, which is all that has come in so far;
// nothing: there is more to come. An error: it is none, or longer than netstring_limit, or
// something stands behind it.
Result<std::optional<std::string>> decode_netstring(std::string_view bytes);

struct SocketmapReply {
    bool found = false;
    std::string value;
};
// An error: the server cannot tell (TEMP, TIMEOUT, PERM), or it is no reply.
Result<SocketmapReply> parse_socketmap_reply(std::string_view content);

} // namespace postern::tables
