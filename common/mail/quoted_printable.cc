#include "common/mail/quoted_printable.h"

namespace postern {

namespace {

constexpr std::size_t columns = 75; // and '=' at the end of a line that goes on

} // namespace

void append_quoted_printable(std::string& out, std::string_view text) {
    static constexpr char hex[] = "0123456789ABCDEF";
    std::size_t column = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text.substr(i, 2) == "\r\n") {
            out += "\r\n";
            column = 0;
            ++i;
            continue;
        }
        const char c = text[i];
        const auto octet = static_cast<unsigned char>(c);
        const bool ends_line = i + 1 == text.size() || text.substr(i + 1, 2) == "\r\n";
        const bool plain =
            (octet > 0x20 && octet < 0x7f && c != '=') || ((c == ' ' || c == '\t') && !ends_line);
        if (column + (plain ? 1 : 3) > columns) {
            out += "=\r\n";
            column = 0;
        }
        if (plain) {
            out += c;
            ++column;
        } else {
            out += '=';
            out += hex[octet >> 4];
            out += hex[octet & 15];
            column += 3;
        }
    }
}

} // namespace postern
