// Addresses in delivery reports and in ORCPT when they are not all US-ASCII: the address type
// "utf-8" of RFC 6533 3. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace postern {

// utf-8-addr-xtext: ASCII that may stand in ORCPT and in the fields of a 7-bit report. Blank, '\\',
// '+', '=', and all that is not ASCII, become \x{HEX}. Octets that are no UTF-8 become U+FFFD.
std::string to_utf8_addr_xtext(std::string_view mailbox);

// utf-8-addr-unitext: the same but for what is not ASCII, which stays. For ORCPT where SMTPUTF8 is
// in effect.
std::string to_utf8_addr_unitext(std::string_view mailbox);

// The mailbox that either form stands for. Nothing if `text` is neither, or would have a control in
// it. With SMTPUTF8 not in effect only the first may come: the caller looks at is_ascii(text).
std::optional<std::string> parse_utf8_addr(std::string_view text);

// An address with its type, as Final-Recipient and Original-Recipient have it (RFC 3464 2.3.1 and
// 2.3.2): "rfc822; user@example.com" if it is ASCII; else "utf-8; " and the mailbox as it is where
// the report may have UTF-8 in it (message/global-delivery-status), in xtext where it may not.
std::string typed_address(std::string_view mailbox, bool smtp_utf8);

} // namespace postern
