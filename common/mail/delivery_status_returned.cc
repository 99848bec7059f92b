// The third part of the notification: the original message, or its header (RFC 6522 3).
#include "common/mail/delivery_status_parts.h"

#include "common/base/utf8.h"
#include "common/mail/header.h"
#include "common/mail/quoted_printable.h"

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

// Whether the text may stand in a 7bit or 8bit part (RFC 2045 2.7, 2.8): CRLF lines of at most 998
// octets without NUL; a header without other control octets too.
bool has_sound_lines(std::string_view text, bool controls) {
    std::size_t line = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto octet = static_cast<unsigned char>(text[i]);
        if (octet == '\r' && i + 1 < text.size() && text[i + 1] == '\n') {
            line = 0;
            ++i;
        } else if (octet == '\r' || octet == '\n' || octet == 0 ||
                   (!controls && (octet == 0x7f || (octet < 0x20 && octet != '\t'))) ||
                   ++line > 998) {
            return false;
        }
    }
    return true;
}

std::string description(const DeliveryStatusReport& report, std::string_view what) {
    const bool failed = has_action(report, DeliveryAction::failed);
    return "Content-Description: " + std::string(failed ? "Undelivered message" : "Message") +
           std::string(what) + "\r\n";
}

// message/rfc822 must not be encoded (RFC 2046 5.2.1), and a host on the way back that does not
// offer 8BITMIME would end a report with 8-bit content in it. message/global may be (RFC 6532 3.7),
// and is every message of which the header is in UTF-8, which ASCII is too.
std::string message_part(const DeliveryStatusReport& report) {
    std::string out = description(report, "");
    append_field(out, "Content-Type",
                 is_ascii(report.original_content) ? "message/rfc822" : "message/global");
    append_body(out, report.original_content, report);
    return out;
}

std::string header_part(const DeliveryStatusReport& report) {
    const std::string_view header = returned_header(report.original_content);
    std::string out = description(report, " header");
    const bool sound = has_sound_lines(header, false);
    if (sound && is_ascii(header)) {
        append_field(out, "Content-Type", "text/rfc822-headers");
        append_body(out, header, report);
    } else if (sound && report.original_smtp_utf8 && is_utf8(header)) { // RFC 6533 6.3
        append_field(out, "Content-Type", "message/global-headers");
        append_body(out, header, report);
    } else { // RFC 6522 4: quoted-printable is allowed for broken headers
        out += "Content-Type: text/rfc822-headers\r\n"
               "Content-Transfer-Encoding: quoted-printable\r\n\r\n";
        append_quoted_printable(out, header);
    }
    return out;
}

bool is_returnable(const DeliveryStatusReport& report) {
    const std::string_view content = report.original_content;
    return has_sound_lines(content, true) &&
           (is_ascii(content) || is_utf8(header_section(content)));
}

} // namespace

std::string returned_part(const DeliveryStatusReport& report) {
    std::string out =
        report.return_content && is_returnable(report) ? message_part(report) : header_part(report);
    if (!out.ends_with("\r\n"))
        out += "\r\n";
    return out;
}

} // namespace postern::delivery_status
