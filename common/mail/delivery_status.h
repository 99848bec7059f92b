// Delivery status notifications (RFC 3464 in the multipart/report of RFC 6522): the message that
// tells a sender what became of a message. Pure: time and identity are given, text comes out. All
// that a next hop or the original message contributed is made harmless: the result is in CRLF form,
// no line is longer than 998 octets, and no contribution can end a part or begin a field. Besides
// addresses and what is returned it has some 300 octets a recipient, and of replies 512 KiB or, if
// there are very many, 160 octets each.
//
// To a sender in ASCII it is 7-bit, so that no host on the way has to offer anything: who has no
// reverse-path hears of no failure. What is in UTF-8 is written in ASCII (RFC 6533 3) or in
// quoted-printable. A sender in UTF-8 can be reached by SMTPUTF8 only, and gets the report in the
// form of RFC 6533 4, as it is.
#pragma once

#include "common/smtp/enhanced_status.h"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern {

enum class DeliveryAction { failed, delayed, delivered, relayed, expanded }; // RFC 3464 2.3.3

struct DeliveryStatusRecipient {
    using TimePoint = std::chrono::system_clock::time_point;

    std::string final_recipient; // mailbox in wire form, without angle brackets
    // "rfc822;" or another type and the address, decoded (RFC 3461 4.2); may be empty.
    std::string original_recipient;
    DeliveryAction action = DeliveryAction::failed;
    // 4.x.x or 5.x.x for failed (RFC 3463 2: a transient condition that lasted is given up with its
    // 4.x.x), 4.x.x for delayed, 2.x.x for the others: another class is made to fit, none becomes
    // x.0.0.
    EnhancedStatusCode status;
    std::string remote_mta;     // host that gave the reply; empty: we found out ourselves
    std::string diagnostic;     // its reply in one line ("550 5.1.1 ..."), or our own reason
    bool is_smtp_reply = false; // which of the two: a reply becomes Diagnostic-Code: smtp
    std::optional<TimePoint> last_attempt;
    std::optional<TimePoint> will_retry_until; // only shown if delayed
};

struct DeliveryStatusReport {
    using TimePoint = std::chrono::system_clock::time_point;

    std::string reporting_mta; // our host name
    std::string to;            // the original reverse-path in wire form, without angle brackets
    // Makes Message-ID and boundary unique: letters and digits, e.g. the queue's id of this report.
    std::string unique;
    std::string original_id; // the queue's id of the original, for the operator's log search
    std::string original_envelope_id; // ENVID of the sender (RFC 3461 4.4), decoded; may be empty
    TimePoint now;
    TimePoint arrival; // of the original
    std::chrono::minutes utc_offset{0};
    std::string_view original_content; // or as much as there is of it
    bool original_smtp_utf8 = false;   // its header may be in UTF-8, and its sender knows of that
    // It is all of it, and all of it is to be returned (RFC 3461 4.3); else only its header is.
    bool return_content = false;
    std::vector<DeliveryStatusRecipient> recipients; // at least one
};

// Of the original's header at most this many octets are returned, whole lines.
inline constexpr std::size_t returned_header_limit = 32 * 1024;

// Larger messages than this, in octets, are not to be returned whole.
inline constexpr std::size_t returned_content_limit = 64 * 1024;

// The complete message: header, CRLF, body. It is to be sent with the null reverse-path to
// `report.to` (RFC 5321 4.5.5), which must not be null itself; with SMTPUTF8 if that is not ASCII.
// A message with lines of more than 998 octets, with NUL, with CR and LF apart, or with a header
// that is neither ASCII nor UTF-8 is not returned whole: no media type is for it.
std::string write_delivery_status(const DeliveryStatusReport& report);

} // namespace postern
