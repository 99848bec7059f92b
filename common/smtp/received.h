// The trace fields that SMTP adds to a message (RFC 5321 4.4). What the client said or the DNS
// claims goes into them reduced to harmless characters, so that nobody can forge a line or leave a
// comment. Never fails.
#pragma once

#include "common/smtp/address.h"

#include <string>
#include <string_view>

namespace postern {

struct ReceivedField {
    std::string_view helo;         // as the client said; empty if it did not
    std::string_view reverse_name; // of its address, if confirmed; else empty
    std::string_view address;      // of the client, numeric, without brackets; empty: no TCP
    std::string_view by;           // our host name
    std::string_view protocol;     // SMTP, ESMTP, ESMTPS... (RFC 3848)
    std::string_view id;           // of the message in the queue
    // The only recipient; null if there are several (RFC 5321 7.2: they must not see each other).
    const Mailbox* recipient = nullptr;
    // Of an encrypted session (RFC 8314 4.3); empty: it was not.
    std::string_view tls_cipher;   // IANA name
    std::string_view tls_protocol; // "TLSv1.3"
    std::string_view authenticated; // the user, if it is to be told; else empty
    std::string_view date;         // as format_date() in common/mail/date.h has it
};

// Appends "Received: from ... (... [...])\r\n\tby ... with ... id ...\r\n\tfor
// <...>;\r\n\tdate\r\n".
void append_received(std::string& out, const ReceivedField& field);

// Appends "Return-Path: <...>\r\n".
void append_return_path(std::string& out, const Mailbox& reverse_path);

} // namespace postern
