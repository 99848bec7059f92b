// The third part of the notification: the original message, or its header (RFC 6522 3).
#include "common/mail/delivery_status_parts.h"

#include "common/mail/header.h"

#include <algorithm>

namespace postern::delivery_status {

namespace {

// Whole lines of the original header, as many as the limit allows.
std::string_view returned_header(std::string_view content) {
    std::string_view header = header_section(content);
    if (header.size() <= returned_header_limit)
        return header;
    header = header.substr(0, returned_header_limit);
    const std::size_t end = header.rfind("\r\n");
    return end == std::string_view::npos ? header : header.substr(0, end + 2);
}

// Whether the text may stand in a 7bit part (RFC 2045 2.7): CRLF lines of at most 998 octets of
// ASCII without NUL; a header without other control octets too.
bool is_seven_bit(std::string_view text, bool controls) {
    std::size_t line = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto octet = static_cast<unsigned char>(text[i]);
        if (octet == '\r' && i + 1 < text.size() && text[i + 1] == '\n') {
            line = 0;
            ++i;
        } else if (octet >= 0x80 || octet == '\r' || octet == '\n' || octet == 0 ||
                   (!controls && (octet == 0x7f || (octet < 0x20 && octet != '\t'))) ||
                   ++line > 998) {
            return false;
        }
    }
    return true;
}

// RFC 2045 6.7.
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
        if (column + (plain ? 1 : 3) > columns - 1) {
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

std::string description(const DeliveryStatusReport& report, std::string_view what) {
    const bool failed = has_action(report, DeliveryAction::failed);
    return "Content-Description: " + std::string(failed ? "Undelivered message" : "Message") +
           std::string(what) + "\r\n";
}

std::string message_part(const DeliveryStatusReport& report) {
    return description(report, "") + "Content-Type: message/rfc822\r\n\r\n" +
           std::string(report.original_content);
}

// RFC 6522 4: quoted-printable is allowed for a header that is not 7-bit.
std::string header_part(const DeliveryStatusReport& report) {
    const std::string_view header = returned_header(report.original_content);
    std::string out = description(report, " header") + "Content-Type: text/rfc822-headers\r\n";
    if (is_seven_bit(header, false)) {
        out += "\r\n";
        out += header;
    } else {
        out += "Content-Transfer-Encoding: quoted-printable\r\n\r\n";
        append_quoted_printable(out, header);
    }
    return out;
}

} // namespace

std::string returned_part(const DeliveryStatusReport& report) {
    std::string out = report.return_content && is_seven_bit(report.original_content, true)
                          ? message_part(report)
                          : header_part(report);
    if (!out.ends_with("\r\n"))
        out += "\r\n";
    return out;
}

} // namespace postern::delivery_status
