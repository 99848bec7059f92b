#include "smtpd/tables/socketmap_protocol.h"

#include "common/smtp/text.h"

namespace postern::tables {

namespace {

constexpr size_t most_digits = 6;

} // namespace

std::string encode_netstring(std::string_view content) {
    return std::to_string(content.size()) + ":" + std::string(content) + ",";
}

Result<std::optional<std::string>> decode_netstring(std::string_view bytes) {
    const Error malformed{"the answer is no netstring"};
    size_t length = 0;
    size_t at = 0;
    for (; at < bytes.size() && is_ascii_digit(bytes[at]); ++at) {
        if (at >= most_digits || (at == 1 && bytes[0] == '0'))
            return malformed;
        length = length * 10 + static_cast<size_t>(bytes[at] - '0');
    }
    if (at == bytes.size())
        return std::optional<std::string>();
    if (at == 0 || bytes[at] != ':')
        return malformed;
    if (length > netstring_limit)
        return Error{"the answer is too long"};
    bytes.remove_prefix(at + 1);
    if (bytes.size() <= length)
        return std::optional<std::string>();
    if (bytes[length] != ',' || bytes.size() > length + 1)
        return malformed;
    return std::optional<std::string>(bytes.substr(0, length));
}

Result<SocketmapReply> parse_socketmap_reply(std::string_view content) {
    const size_t space = content.find(' ');
    const std::string_view status = content.substr(0, space);
    const std::string_view rest =
        space == content.npos ? std::string_view() : content.substr(space + 1);
    SocketmapReply reply;
    if (status == "OK") {
        reply.found = true;
        reply.value = rest;
        return reply;
    }
    if (status == "NOTFOUND")
        return reply;
    if (status == "TEMP" || status == "TIMEOUT" || status == "PERM")
        return Error{"the server says " + sanitize(content, 200)};
    return Error{"the server says what is no reply: " + sanitize(content, 200)};
}

} // namespace postern::tables
