// Composing the notification. The three parts are written first, so that a boundary can be chosen
// that occurs in none of them.
#include "common/mail/delivery_status.h"

#include "common/mail/date.h"
#include "common/mail/header.h"
#include "common/smtp/limits.h"
#include "common/smtp/text.h"

#include <algorithm>

namespace postern {

namespace {

constexpr std::size_t columns = 76;
constexpr std::size_t longest_word = 900; // RFC 5322 2.1.1: no line above 998
constexpr std::size_t longest_diagnostic = 2000;

// Not sanitize(): a backslash means something in a quoted local part, and the text of replies is
// sanitized already.
std::string printable(std::string_view text, std::size_t limit = limits::path) {
    std::string out(text.substr(0, limit));
    for (char& c : out)
        if (c < 0x20 || c >= 0x7f)
            c = '?';
    return out;
}

std::string host_name(std::string_view name) {
    std::string out = printable(name, limits::domain);
    for (char& c : out)
        if (!is_ascii_letter(c) && !is_ascii_digit(c) &&
            std::string_view(".-_:[]").find(c) == std::string_view::npos)
            c = '?';
    return out.empty() ? "localhost" : out;
}

// Appends the words of `text` with single spaces or line breaks between them; `indent` begins every
// line but the first.
void append_wrapped(std::string& out, std::string_view text, std::size_t column,
                    std::string_view indent) {
    bool first = true;
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    while (!text.empty()) {
        const std::size_t length = std::min({text.find(' '), text.size(), longest_word});
        if (!first && column + 1 + length > columns) {
            out += "\r\n";
            out += indent;
            column = indent.size();
        } else if (!first) {
            out += ' ';
            ++column;
        }
        out += text.substr(0, length);
        column += length;
        text.remove_prefix(length);
        text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
        first = false;
    }
    out += "\r\n";
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
    out += name;
    out += ": ";
    out += value;
    out += "\r\n";
}

// For text. Not for addresses: the spaces of a quoted local part count.
void append_folded_field(std::string& out, std::string_view name, std::string_view value) {
    out += name;
    out += ": ";
    append_wrapped(out, value, name.size() + 2, " ");
}

bool any_failed(const DeliveryStatusReport& report) {
    return std::any_of(report.recipients.begin(), report.recipients.end(),
                       [](const auto& one) { return one.action == DeliveryAction::failed; });
}

EnhancedStatusCode status_of(const DeliveryStatusRecipient& recipient) {
    const int status_class = recipient.status.status_class;
    if (recipient.action == DeliveryAction::delayed)
        return recipient.status.as(4);
    return status_class == 4 || status_class == 5 ? recipient.status : recipient.status.as(5);
}

void append_reason(std::string& out, const DeliveryStatusRecipient& recipient) {
    out += "  <" + printable(recipient.final_recipient) + ">\r\n";
    std::string reason;
    if (recipient.is_smtp_reply)
        reason = recipient.remote_mta.empty() ? "The next host answered: "
                                              : host_name(recipient.remote_mta) + " answered: ";
    reason += recipient.diagnostic.empty() ? "no reason was given"
                                           : printable(recipient.diagnostic, longest_diagnostic);
    out += "    ";
    append_wrapped(out, reason, 4, "    ");
}

// One block of recipients that share an action, with what the reader should know and do.
void append_recipients(std::string& out, const DeliveryStatusReport& report,
                       DeliveryAction action) {
    std::optional<DeliveryStatusRecipient::TimePoint> retry_until;
    for (const DeliveryStatusRecipient& recipient : report.recipients) {
        if (recipient.action != action)
            continue;
        append_reason(out, recipient);
        out += "\r\n";
        if (recipient.will_retry_until &&
            (!retry_until || *recipient.will_retry_until > *retry_until))
            retry_until = recipient.will_retry_until;
    }
    if (action == DeliveryAction::failed) {
        out += "No further attempt will be made for them. Check the addresses and the\r\n"
               "reasons given above before you send the message again.\r\n\r\n";
    } else if (retry_until) {
        out += "Delivery will be tried again until\r\n    ";
        append_date(out, *retry_until, report.utc_offset);
        out += "\r\nYou will be told if it fails for good.\r\n\r\n";
    }
}

std::string notification_part(const DeliveryStatusReport& report) {
    std::string out = "Content-Description: Notification\r\n"
                      "Content-Type: text/plain; charset=us-ascii\r\n\r\n"
                      "This is the mail system at\r\n    ";
    out += host_name(report.reporting_mta);
    out += "\r\n\r\n";
    if (any_failed(report)) {
        out += "Your message could not be delivered to these recipients:\r\n\r\n";
        append_recipients(out, report, DeliveryAction::failed);
    }
    const bool any_delayed =
        std::any_of(report.recipients.begin(), report.recipients.end(),
                    [](const auto& one) { return one.action == DeliveryAction::delayed; });
    if (any_delayed) {
        out += "Your message could not be delivered yet to the recipients below. This is a\r\n"
               "warning only: you do not need to send the message again.\r\n\r\n";
        append_recipients(out, report, DeliveryAction::delayed);
    }
    out += "If you need help, send this report to\r\n    <postmaster@";
    out += host_name(report.reporting_mta);
    out += ">\r\n";
    if (!report.original_id.empty())
        append_wrapped(out, "The message was known there as " + printable(report.original_id) + ".",
                       0, "");
    return out;
}

// RFC 3464 2.2 and 2.3.
std::string status_part(const DeliveryStatusReport& report) {
    std::string out = "Content-Description: Delivery report\r\n"
                      "Content-Type: message/delivery-status\r\n\r\n";
    if (!report.original_envelope_id.empty())
        append_field(out, "Original-Envelope-Id", printable(report.original_envelope_id));
    append_field(out, "Reporting-MTA", "dns; " + host_name(report.reporting_mta));
    if (!report.original_id.empty())
        append_field(out, "X-Postern-Queue-ID", printable(report.original_id));
    append_field(out, "Arrival-Date", format_date(report.arrival, report.utc_offset));
    for (const DeliveryStatusRecipient& recipient : report.recipients) {
        const bool delayed = recipient.action == DeliveryAction::delayed;
        out += "\r\n";
        append_field(out, "Final-Recipient", "rfc822; " + printable(recipient.final_recipient));
        append_field(out, "Action", delayed ? "delayed" : "failed");
        append_field(out, "Status", to_string(status_of(recipient)));
        if (!recipient.remote_mta.empty())
            append_field(out, "Remote-MTA", "dns; " + host_name(recipient.remote_mta));
        if (!recipient.diagnostic.empty())
            append_folded_field(out, "Diagnostic-Code",
                                (recipient.is_smtp_reply ? "smtp; " : "X-Postern; ") +
                                    printable(recipient.diagnostic, longest_diagnostic));
        if (recipient.last_attempt)
            append_field(out, "Last-Attempt-Date",
                         format_date(*recipient.last_attempt, report.utc_offset));
        if (delayed && recipient.will_retry_until)
            append_field(out, "Will-Retry-Until",
                         format_date(*recipient.will_retry_until, report.utc_offset));
    }
    return out;
}

// Whole lines of the original header, as many as the limit allows.
std::string_view returned_header(std::string_view content) {
    std::string_view header = header_section(content);
    if (header.size() <= returned_header_limit)
        return header;
    header = header.substr(0, returned_header_limit);
    const std::size_t end = header.rfind("\r\n");
    return end == std::string_view::npos ? header : header.substr(0, end + 2);
}

// Whether the text may stand in a 7bit part: CRLF lines of at most 998 octets of ASCII.
bool is_seven_bit(std::string_view text) {
    std::size_t line = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto octet = static_cast<unsigned char>(text[i]);
        if (octet == '\r' && i + 1 < text.size() && text[i + 1] == '\n') {
            line = 0;
            ++i;
        } else if (octet >= 0x7f || (octet < 0x20 && octet != '\t') || ++line > 998) {
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

// RFC 6522 4: quoted-printable is allowed for a header that is not 7-bit.
std::string header_part(const DeliveryStatusReport& report) {
    const std::string_view header = returned_header(report.original_content);
    std::string out = "Content-Description: Undelivered message header\r\n"
                      "Content-Type: text/rfc822-headers\r\n";
    if (is_seven_bit(header)) {
        out += "\r\n";
        out += header;
    } else {
        out += "Content-Transfer-Encoding: quoted-printable\r\n\r\n";
        append_quoted_printable(out, header);
    }
    if (!out.ends_with("\r\n"))
        out += "\r\n";
    return out;
}

std::string unique_token(const DeliveryStatusReport& report) {
    std::string token;
    for (char c : report.unique)
        if ((is_ascii_letter(c) || is_ascii_digit(c)) && token.size() < 40)
            token += c;
    return token.empty() ? "0" : token;
}

std::string report_header(const DeliveryStatusReport& report, std::string_view boundary) {
    const std::string host = host_name(report.reporting_mta);
    std::string out;
    append_field(out, "Date", format_date(report.now, report.utc_offset));
    append_field(out, "From", "Mail Delivery System <MAILER-DAEMON@" + host + '>');
    append_field(out, "To", '<' + printable(report.to) + '>');
    append_field(out, "Subject",
                 any_failed(report) ? "Undelivered mail returned to sender"
                                    : "Delayed mail (still being tried)");
    append_field(out, "Message-ID", '<' + unique_token(report) + ".report@" + host + '>');
    append_field(out, "Auto-Submitted", "auto-replied"); // RFC 3834 3.1.7
    append_field(out, "MIME-Version", "1.0");
    out += "Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"";
    out += boundary;
    out += "\"\r\n\r\nThis is a MIME-encapsulated message.\r\n";
    return out;
}

} // namespace

std::string write_delivery_status(const DeliveryStatusReport& report) {
    const std::string parts[] = {notification_part(report), status_part(report),
                                 header_part(report)};
    std::string boundary;
    for (int attempt = 0;; ++attempt) {
        boundary = unique_token(report) + '/' + std::to_string(attempt);
        const bool occurs = std::any_of(std::begin(parts), std::end(parts), [&](const auto& part) {
            return part.find("--" + boundary) != std::string::npos;
        });
        if (!occurs)
            break;
    }
    std::string out = report_header(report, boundary);
    for (const std::string& part : parts) {
        out += "\r\n--";
        out += boundary;
        out += "\r\n";
        out += part;
    }
    out += "\r\n--";
    out += boundary;
    out += "--\r\n";
    return out;
}

} // namespace postern
