// Composing the notification. The three parts are written first, so that a boundary can be chosen
// that occurs in none of them.
#include "common/mail/delivery_status.h"

#include "common/base/utf8.h"
#include "common/mail/date.h"
#include "common/mail/delivery_status_parts.h"
#include "common/mail/quoted_printable.h"
#include "common/smtp/text.h"
#include "common/smtp/utf8_address.h"

#include <algorithm>

namespace postern {

namespace delivery_status {

namespace {

constexpr std::size_t longest_word = 900; // RFC 5322 2.1.1: no line above 998
// There is no folding within an address. The longest path has 954 octets in utf-8-addr-xtext.
constexpr std::size_t longest_address = 960;

// For text. Not for addresses: the spaces of a quoted local part count.
void append_folded_field(std::string& out, std::string_view name, std::string_view value) {
    out += name;
    out += ": ";
    append_wrapped(out, value, name.size() + 2, " ");
}

const char* action_name(DeliveryAction action) {
    switch (action) {
    case DeliveryAction::failed:
        return "failed";
    case DeliveryAction::delayed:
        return "delayed";
    case DeliveryAction::delivered:
        return "delivered";
    case DeliveryAction::relayed:
        return "relayed";
    case DeliveryAction::expanded:
        return "expanded";
    }
    return "failed";
}

bool is_what_a_reader_sees(std::string_view mailbox) {
    std::string shown;
    for (std::string_view rest = mailbox; !rest.empty();)
        take_displayable(rest, shown);
    return shown == mailbox;
}

// An address of type utf-8 (RFC 6533 3): in a global report as it is, if that is what a reader
// sees. Of a path it fits; of an ORCPT it may be longer than `longest_address`.
std::string utf8_address(std::string_view mailbox, bool global) {
    if (global && is_what_a_reader_sees(mailbox))
        return typed_address(mailbox, true);
    return "utf-8; " + to_utf8_addr_xtext(mailbox);
}

std::string final_address(std::string_view mailbox, bool global) {
    return is_ascii(mailbox) ? printable(typed_address(mailbox, false), longest_address)
                             : utf8_address(mailbox, global);
}

// "rfc822;a@b.example" → "rfc822; a@b.example". What is not ASCII is of type utf-8, whatever was
// said.
std::string original_address(std::string_view text, bool global) {
    const std::size_t semicolon = std::min(text.find(';'), text.size());
    const std::string_view type = text.substr(0, semicolon);
    const std::string_view address = text.substr(std::min(semicolon + 1, text.size()));
    if (!is_ascii(address) || equal_ignoring_case(type, "utf-8"))
        return utf8_address(parse_utf8_addr(address).value_or(std::string(address)), global);
    const std::string text_of = std::string(type) + "; " + std::string(address);
    return printable(text_of, text_of.size());
}

void append_recipient(std::string& out, const DeliveryStatusRecipient& recipient,
                      const DeliveryStatusReport& report) {
    const bool global = is_global(report);
    const std::chrono::minutes utc_offset = report.utc_offset;
    out += "\r\n";
    // It need not be there, and half an address is none.
    if (const std::string original = original_address(recipient.original_recipient, global);
        !recipient.original_recipient.empty() && original.size() <= longest_address)
        append_field(out, "Original-Recipient", original);
    append_field(out, "Final-Recipient", final_address(recipient.final_recipient, global));
    append_field(out, "Action", action_name(recipient.action));
    append_field(out, "Status", to_string(status_of(recipient)));
    if (!recipient.remote_mta.empty())
        append_field(out, "Remote-MTA", "dns; " + host_name(recipient.remote_mta));
    if (!recipient.diagnostic.empty())
        append_folded_field(out, "Diagnostic-Code",
                            (recipient.is_smtp_reply ? "smtp; " : "X-Postern; ") +
                                diagnostic_of(recipient, report));
    if (recipient.last_attempt)
        append_field(out, "Last-Attempt-Date", format_date(*recipient.last_attempt, utc_offset));
    if (recipient.action == DeliveryAction::delayed && recipient.will_retry_until)
        append_field(out, "Will-Retry-Until", format_date(*recipient.will_retry_until, utc_offset));
}

} // namespace

std::string printable(std::string_view text, std::size_t limit) {
    std::string out(text.substr(0, limit));
    for (char& c : out)
        if (c < 0x20 || c >= 0x7f)
            c = '?';
    return out;
}

std::string displayable(std::string_view mailbox) {
    std::string out;
    mailbox = cut_utf8(mailbox, limits::path);
    while (!mailbox.empty())
        take_displayable(mailbox, out);
    return out;
}

bool is_global(const DeliveryStatusReport& report) { return !is_ascii(report.to); }

void append_body(std::string& out, std::string_view body, const DeliveryStatusReport& report) {
    const bool ascii = is_ascii(body);
    if (!ascii)
        append_field(out, "Content-Transfer-Encoding",
                     is_global(report) ? "8bit" : "quoted-printable");
    out += "\r\n";
    if (ascii || is_global(report))
        out += body;
    else
        append_quoted_printable(out, body);
}

std::string host_name(std::string_view name) {
    std::string out = printable(name, limits::domain);
    for (char& c : out)
        if (!is_ascii_letter(c) && !is_ascii_digit(c) &&
            std::string_view(".-_:[]").find(c) == std::string_view::npos)
            c = '?';
    return out.empty() ? "localhost" : out;
}

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

std::string diagnostic_of(const DeliveryStatusRecipient& recipient,
                          const DeliveryStatusReport& report) {
    const std::string& text = recipient.diagnostic;
    const std::size_t limit =
        std::clamp(diagnostics_room / std::max<std::size_t>(report.recipients.size(), 1),
                   shortest_diagnostic, longest_diagnostic);
    if (text.size() <= limit)
        return printable(text, limit);
    std::size_t end = limit - 3;
    // An octet that was escaped is shown whole, or not at all.
    if (const std::size_t escape = text.rfind('\\', end); escape != text.npos && escape + 4 > end)
        end = escape;
    return printable(text, end) + "...";
}

bool has_action(const DeliveryStatusReport& report, DeliveryAction action) {
    return std::any_of(report.recipients.begin(), report.recipients.end(),
                       [action](const auto& one) { return one.action == action; });
}

EnhancedStatusCode status_of(const DeliveryStatusRecipient& recipient) {
    const int status_class = recipient.status.status_class;
    switch (recipient.action) {
    case DeliveryAction::failed:
        return status_class == 4 || status_class == 5 ? recipient.status : recipient.status.as(5);
    case DeliveryAction::delayed:
        return recipient.status.as(4);
    case DeliveryAction::delivered:
    case DeliveryAction::relayed:
    case DeliveryAction::expanded:
        return recipient.status.as(2);
    }
    return recipient.status;
}

std::string status_part(const DeliveryStatusReport& report) {
    std::string fields;
    if (!report.original_envelope_id.empty())
        append_field(fields, "Original-Envelope-Id", printable(report.original_envelope_id));
    append_field(fields, "Reporting-MTA", "dns; " + host_name(report.reporting_mta));
    if (!report.original_id.empty())
        append_field(fields, "X-Postern-Queue-ID", printable(report.original_id));
    append_field(fields, "Arrival-Date", format_date(report.arrival, report.utc_offset));
    for (const DeliveryStatusRecipient& recipient : report.recipients)
        append_recipient(fields, recipient, report);
    std::string out = "Content-Description: Delivery report\r\n";
    append_field(out, "Content-Type",
                 is_global(report) ? "message/global-delivery-status" : "message/delivery-status");
    append_body(out, fields, report);
    return out;
}

} // namespace delivery_status

namespace {

using namespace delivery_status;

std::string unique_token(const DeliveryStatusReport& report) {
    std::string token;
    for (char c : report.unique)
        if ((is_ascii_letter(c) || is_ascii_digit(c)) && token.size() < 40)
            token += c;
    return token.empty() ? "0" : token;
}

const char* subject(const DeliveryStatusReport& report) {
    if (has_action(report, DeliveryAction::failed))
        return "Undelivered mail returned to sender";
    if (has_action(report, DeliveryAction::delayed))
        return "Delayed mail (still being tried)";
    return has_action(report, DeliveryAction::delivered) ? "Your mail was delivered"
                                                         : "Your mail was passed on";
}

// `eight_bit`: one of its parts is (RFC 2045 6.4).
std::string report_header(const DeliveryStatusReport& report, std::string_view boundary,
                          bool eight_bit) {
    const std::string host = host_name(report.reporting_mta);
    std::string out;
    append_field(out, "Date", format_date(report.now, report.utc_offset));
    append_field(out, "From", "Mail Delivery System <MAILER-DAEMON@" + host + '>');
    append_field(out, "To", '<' + displayable(report.to) + '>');
    append_field(out, "Subject", subject(report));
    append_field(out, "Message-ID", '<' + unique_token(report) + ".report@" + host + '>');
    append_field(out, "Auto-Submitted", "auto-replied"); // RFC 3834 3.1.7
    append_field(out, "MIME-Version", "1.0");
    if (eight_bit)
        append_field(out, "Content-Transfer-Encoding", "8bit");
    out += "Content-Type: multipart/report; report-type=";
    out += is_global(report) ? "global-delivery-status" : "delivery-status"; // RFC 6522 3
    out += ";\r\n boundary=\"";
    out += boundary;
    out += "\"\r\n\r\nThis is a MIME-encapsulated message.\r\n";
    return out;
}

} // namespace

std::string write_delivery_status(const DeliveryStatusReport& report) {
    const std::string parts[] = {notification_part(report), status_part(report),
                                 returned_part(report)};
    std::string boundary;
    for (int attempt = 0;; ++attempt) {
        boundary = unique_token(report) + '/' + std::to_string(attempt);
        const bool occurs = std::any_of(std::begin(parts), std::end(parts), [&](const auto& part) {
            return part.find("--" + boundary) != std::string::npos;
        });
        if (!occurs)
            break;
    }
    const bool eight_bit = !std::all_of(std::begin(parts), std::end(parts), is_ascii);
    std::string out = report_header(report, boundary, eight_bit);
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
