// The parts of a delivery status notification, for delivery_status.cc to put together. Pure, as
// that is.
#pragma once

#include "common/mail/delivery_status.h"
#include "common/smtp/limits.h"

#include <cstddef>
#include <string>
#include <string_view>

namespace postern::delivery_status {

constexpr std::size_t columns = 76;
// Of each recipient's diagnostic; all of them have to do with `diagnostics_room`, as far as that
// goes: a report that says the same of thousands goes to somebody who perhaps never wrote to them.
constexpr std::size_t longest_diagnostic = 2000;
constexpr std::size_t shortest_diagnostic = 80;
constexpr std::size_t diagnostics_room = 256 * 1024;
// Made harmless, and no longer than all of them allow.
std::string diagnostic_of(const DeliveryStatusRecipient& recipient,
                          const DeliveryStatusReport& report);

// What others contributed, made harmless. Not sanitize(): a backslash means something in a quoted
// local part, and the text of replies is sanitized already.
std::string printable(std::string_view text, std::size_t limit = limits::path);
// The same for a mailbox, which may be in UTF-8.
std::string displayable(std::string_view mailbox);
std::string host_name(std::string_view name);

// Whether the report goes to a sender in UTF-8.
bool is_global(const DeliveryStatusReport& report);
// Ends the MIME header of a part, and appends its body, which has lines of up to 998 octets: as it
// is if it is ASCII or the report is_global(), else in quoted-printable.
void append_body(std::string& out, std::string_view body, const DeliveryStatusReport& report);

// Appends the words of `text` with single spaces or line breaks between them; `indent` begins every
// line but the first.
void append_wrapped(std::string& out, std::string_view text, std::size_t column,
                    std::string_view indent);
void append_field(std::string& out, std::string_view name, std::string_view value);

bool has_action(const DeliveryStatusReport& report, DeliveryAction action);
EnhancedStatusCode status_of(const DeliveryStatusRecipient& recipient);

// Each with its MIME header.
std::string notification_part(const DeliveryStatusReport& report); // for people
std::string status_part(const DeliveryStatusReport& report);       // RFC 3464 2.2 and 2.3
std::string returned_part(const DeliveryStatusReport& report);

} // namespace postern::delivery_status
