// What a client asks for with the parameters of MAIL and RCPT (RFC 5321 4.1.1.11), besides the
// transport itself. It is kept with the message and said again to a next hop that understands it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace postern {

// BODY= (RFC 6152, RFC 3030 3).
enum class Body : std::uint8_t { seven_bit, eight_bit_mime, binary_mime };
constexpr Body last_enumerator(Body) { return Body::binary_mime; }

// RET= (RFC 3461 4.3): what a report of failure returns of the message.
enum class Returned : std::uint8_t { unspecified, header, all };
constexpr Returned last_enumerator(Returned) { return Returned::all; }

// BY= (RFC 2852 4): the message is worth something only for so long.
struct DeliverBy {
    std::int64_t seconds = 0; // from when the message was received; may be over already
    bool give_up = false;     // mode R: it goes back then; mode N: the sender is told
    bool trace = false;       // of relaying too
    static constexpr auto fields(auto& m) { return std::tie(m.seconds, m.give_up, m.trace); }
    friend bool operator==(const DeliverBy&, const DeliverBy&) = default;
};

struct MailParameters {
    Body body = Body::seven_bit;
    bool smtp_utf8 = false;   // RFC 6531: addresses and header may be UTF-8
    bool require_tls = false; // RFC 8689
    Returned returned = Returned::unspecified;
    std::int8_t priority = 0; // MT-PRIORITY= (RFC 6710), -9 to 9
    std::string envelope_id;  // ENVID= (RFC 3461 4.4), as xtext; empty: none
    std::optional<DeliverBy> deliver_by;

    static constexpr auto fields(auto& m) {
        return std::tie(m.body, m.smtp_utf8, m.require_tls, m.returned, m.priority, m.envelope_id,
                        m.deliver_by);
    }
    friend bool operator==(const MailParameters&, const MailParameters&) = default;
};

// NOTIFY= (RFC 3461 4.1) as a set of bits.
using Notify = std::uint8_t;
namespace notify {
inline constexpr Notify unspecified = 0; // of failures and, if the server likes, delays
inline constexpr Notify never = 1;       // alone
inline constexpr Notify success = 2;
inline constexpr Notify failure = 4;
inline constexpr Notify delay = 8;
} // namespace notify

struct RecipientParameters {
    Notify notify = notify::unspecified;
    std::string original_recipient; // ORCPT= (RFC 3461 4.2), "rfc822;" and xtext; empty: none

    bool empty() const { return notify == notify::unspecified && original_recipient.empty(); }
    // Whether a report of failure, of delay, of success is wanted (RFC 3461 4.1, 5.2).
    bool wants_failure() const { return notify == 0 || (notify & notify::failure) != 0; }
    bool wants_delay() const { return notify == 0 || (notify & notify::delay) != 0; }
    bool wants_success() const { return (notify & notify::success) != 0; }

    static constexpr auto fields(auto& m) { return std::tie(m.notify, m.original_recipient); }
    friend bool operator==(const RecipientParameters&, const RecipientParameters&) = default;
};

// The words for them; the parameter's value, without its keyword.
std::string_view to_string(Body body);
std::string to_string(const DeliverBy& by);  // "120;R", "-5;NT"
std::string notify_to_string(Notify notify); // "NEVER", "SUCCESS,DELAY"; not `unspecified`

// What they may be. Nothing: it is not of this form.
std::optional<Body> parse_body(std::string_view value);            // any case, as all of these
std::optional<Returned> parse_returned(std::string_view value);    // "FULL", "HDRS"
std::optional<Notify> parse_notify(std::string_view value);        // RFC 3461 4.1
std::optional<DeliverBy> parse_deliver_by(std::string_view value); // RFC 2852 4
std::optional<std::int8_t> parse_priority(std::string_view value); // RFC 6710 4.1: -9 to 9

// xtext (RFC 3461 4): "+" and two upper-case hexadecimal digits stand for an octet. Nothing: it is
// none.
std::optional<std::string> decode_xtext(std::string_view text);

// ENVID= (RFC 3461 4.4): xtext of printable characters, at most 100 as sent.
bool is_envelope_id(std::string_view value);
// ORCPT= (RFC 3461 4.2): an address type and what it says, in xtext, or as utf8_address.h has it if
// the type is utf-8, there in UTF-8 too where `utf8`; at most 500 as sent.
bool is_original_recipient(std::string_view value, bool utf8);

// Every value is one that could have been parsed, whoever filled them in. UTF-8 may occur where it
// could under SMTPUTF8.
bool is_valid(const MailParameters& parameters);
bool is_valid(const RecipientParameters& parameters);

// HOLDUNTIL= (RFC 4865 4): a date and time of RFC 3339, as seconds since the epoch.
std::optional<std::int64_t> parse_timestamp(std::string_view value);
// The same in UTC, of the years 1970 to 9999: "2026-11-25T20:37:15Z".
std::string format_timestamp(std::int64_t when);

} // namespace postern
