// The first part of the notification: what happened, why, and what is to be done, in words.
#include "common/mail/delivery_status_parts.h"

#include "common/base/utf8.h"
#include "common/mail/date.h"

#include <algorithm>

namespace postern::delivery_status {

namespace {

struct Words {
    DeliveryAction action;
    const char* before; // the recipients
    const char* after;  // them
};

constexpr Words words[] = {
    {DeliveryAction::failed, "Your message could not be delivered to these recipients:\r\n\r\n",
     "No further attempt will be made for them. Check the addresses and the\r\n"
     "reasons given above before you send the message again.\r\n\r\n"},
    {DeliveryAction::delayed,
     "Your message could not be delivered yet to the recipients below. This is a\r\n"
     "warning only: you do not need to send the message again.\r\n\r\n",
     ""},
    {DeliveryAction::delivered, "Your message was delivered to these recipients:\r\n\r\n",
     "This is the confirmation that you asked for. Nothing is left to be done.\r\n\r\n"},
    {DeliveryAction::relayed,
     "Your message was passed on for the recipients below, to a mail system that may\r\n"
     "not confirm what it delivers, or not in time:\r\n\r\n",
     "You may hear no more of it, even if it is delivered. You do not need to send\r\n"
     "the message again.\r\n\r\n"},
    {DeliveryAction::expanded,
     "Your message was passed on to several others in place of these recipients:\r\n\r\n",
     "You will hear no more of it if it is delivered to them.\r\n\r\n"},
};

constexpr const char* after_expiry =
    "It was tried for as long as it was to be tried, and no further attempt will be\r\n"
    "made. You may send the message again, or reach them in another way.\r\n\r\n";

std::string reason_of(const DeliveryStatusRecipient& recipient,
                      const DeliveryStatusReport& report) {
    std::string reason;
    if (recipient.is_smtp_reply)
        reason = recipient.remote_mta.empty() ? "The next host answered: "
                                              : host_name(recipient.remote_mta) + " answered: ";
    reason +=
        recipient.diagnostic.empty() ? "no reason was given" : diagnostic_of(recipient, report);
    return reason;
}

// Those with this action; what neighbours have in common is said once.
void append_reasons(std::string& out, const DeliveryStatusReport& report, DeliveryAction action) {
    std::string said;
    const auto say = [&out](const std::string& reason) {
        out += "    ";
        append_wrapped(out, reason, 4, "    ");
        out += "\r\n";
    };
    for (const DeliveryStatusRecipient& recipient : report.recipients) {
        if (recipient.action != action)
            continue;
        std::string reason = reason_of(recipient, report);
        if (!said.empty() && said != reason)
            say(said);
        out += "  <" + displayable(recipient.final_recipient) + ">\r\n";
        said = std::move(reason);
    }
    say(said);
}

// When the last of the delayed recipients is given up.
std::optional<DeliveryStatusRecipient::TimePoint> retry_until(const DeliveryStatusReport& report) {
    std::optional<DeliveryStatusRecipient::TimePoint> last;
    for (const DeliveryStatusRecipient& recipient : report.recipients)
        if (recipient.action == DeliveryAction::delayed && recipient.will_retry_until)
            last =
                std::max(last.value_or(*recipient.will_retry_until), *recipient.will_retry_until);
    return last;
}

bool all_expired(const DeliveryStatusReport& report) {
    return std::all_of(report.recipients.begin(), report.recipients.end(), [](const auto& one) {
        return one.action != DeliveryAction::failed ||
               one.status.as(5) == status::delivery_time_expired;
    });
}

// One block of recipients that share an action, with what the reader should know and do.
void append_recipients(std::string& out, const DeliveryStatusReport& report, const Words& said) {
    if (!has_action(report, said.action))
        return;
    out += said.before;
    append_reasons(out, report, said.action);
    const bool expired = said.action == DeliveryAction::failed && all_expired(report);
    out += expired ? after_expiry : said.after;
    if (const auto until = retry_until(report); said.action == DeliveryAction::delayed && until) {
        out += "Delivery will be tried again until\r\n    ";
        append_date(out, *until, report.utc_offset);
        out += "\r\nYou will be told if it fails for good.\r\n\r\n";
    }
}

} // namespace

std::string notification_part(const DeliveryStatusReport& report) {
    std::string text = "This is the mail system at\r\n    ";
    text += host_name(report.reporting_mta);
    text += "\r\n\r\n";
    for (const Words& said : words)
        append_recipients(text, report, said);
    text += "If you need help, send this report to\r\n    <postmaster@";
    text += host_name(report.reporting_mta);
    text += ">\r\n";
    if (!report.original_id.empty())
        append_wrapped(
            text, "The message was known there as " + printable(report.original_id) + ".", 0, "");
    std::string out = "Content-Description: Notification\r\n";
    append_field(out, "Content-Type",
                 is_ascii(text) ? "text/plain; charset=us-ascii" : "text/plain; charset=utf-8");
    append_body(out, text, report);
    return out;
}

} // namespace postern::delivery_status
