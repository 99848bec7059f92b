// The trace fields that SMTP adds to a message (RFC 5321 4.4). What the client said or the DNS
// claims goes into them reduced to harmless characters, so that nobody can forge a line or leave a
// comment. Only in a message with SMTPUTF8 is there anything but US-ASCII in them, and that is
// UTF-8 then (RFC 6531 3.7.3, RFC 6532 3.2). Never fails.
#pragma once

#include "common/smtp/address.h"

#include <string>
#include <string_view>

namespace postern {

// What a session was when it took a message.
struct ProtocolFacts {
    bool lmtp = false;
    bool extended = false; // EHLO; what is below needs it, and implies it
    bool tls = false;
    bool authenticated = false;
    bool smtp_utf8 = false; // of the transaction: MAIL had SMTPUTF8
};

// What follows "with" in Received: SMTP, ESMTP, ESMTPSA, LMTPS... (RFC 3848), UTF8SMTP,
// UTF8LMTPS... (RFC 6531 4.3).
std::string_view protocol_keyword(const ProtocolFacts& facts);

struct ReceivedField {
    std::string_view helo;         // as the client said; empty if it did not
    std::string_view reverse_name; // of its address, if confirmed; else empty
    std::string_view address;      // of the client, numeric, without brackets; empty: no TCP
    std::string_view by;           // our host name
    std::string_view protocol;     // protocol_keyword()
    std::string_view id;           // of the message in the queue
    // The only recipient; null if there are several (RFC 5321 7.2: they must not see each other).
    const Mailbox* recipient = nullptr;
    bool smtp_utf8 = false; // as in ProtocolFacts; if not, octets beyond US-ASCII become '?'
    // Of an encrypted session (RFC 8314 4.3); empty: it was not.
    std::string_view tls_cipher;   // IANA name
    std::string_view tls_protocol; // "TLSv1.3"
    std::string_view authenticated; // the user, if it is to be told; else empty
    std::string_view date;         // as format_date() in common/mail/date.h has it
};

// Appends "Received: from ... (... [...])\r\n\tby ... with ... id ...\r\n\tfor
// <...>;\r\n\tdate\r\n".
void append_received(std::string& out, const ReceivedField& field);

} // namespace postern
