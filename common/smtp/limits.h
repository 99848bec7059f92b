// The sizes and waiting times of RFC 5321 4.5.3, in one place for the server and the client side.
// They are defaults: what an operator may change starts from these.
#pragma once

#include <chrono>
#include <cstddef>

namespace postern::limits {

// Sizes, in octets (RFC 5321 4.5.3.1).
inline constexpr std::size_t local_part = 64;     // 4.5.3.1.1
inline constexpr std::size_t domain = 255;        // 4.5.3.1.2
inline constexpr std::size_t domain_label = 63;   // RFC 1035 2.3.4
inline constexpr std::size_t path = 256;          // 4.5.3.1.3, with the angle brackets
inline constexpr std::size_t command_line = 512;  // 4.5.3.1.4, with CRLF
inline constexpr std::size_t reply_line = 512;    // 4.5.3.1.5, with CRLF
inline constexpr std::size_t text_line = 1000;    // 4.5.3.1.6, with CRLF, without a stuffed dot
inline constexpr std::size_t message = 64 * 1024; // 4.5.3.1.7: the least that must be accepted
inline constexpr std::size_t recipients = 100;    // 4.5.3.1.8: the least that must be accepted

// What extensions add to the command line of MAIL (4.5.3.1.4): SIZE 26 (RFC 1870 3), BODY 17
// (RFC 6152 2), RET and ENVID 107 (RFC 3461 4), SMTPUTF8 10 (RFC 6531 3.1), AUTH 500 (RFC 4954 3),
// REQUIRETLS 11 (RFC 8689 2), BY 17 (RFC 2852 3), MT-PRIORITY 15 (RFC 6710 3), HOLDFOR or HOLDUNTIL
// 34 (RFC 4865 3); and to that of RCPT: NOTIFY and ORCPT 500 (RFC 3461 4).
inline constexpr std::size_t mail_command_line =
    command_line + 26 + 17 + 107 + 10 + 500 + 11 + 17 + 15 + 34;
inline constexpr std::size_t rcpt_command_line = command_line + 500;
// No command is longer than this: the bound for a reader that does not know the verb yet.
inline constexpr std::size_t any_command_line =
    mail_command_line > rcpt_command_line ? mail_command_line : rcpt_command_line;

// A client's answer to a challenge of AUTH, with CRLF (RFC 4954 4).
inline constexpr std::size_t auth_response_line = 12288;

// Parameters of one MAIL or RCPT.
inline constexpr std::size_t esmtp_parameters = 16;

// Lines of content up to this length (with CRLF) are taken although 4.5.3.1.6 says 1000: senders
// that never wrap their HTML are common. The bound of a line, not of a message.
inline constexpr std::size_t tolerated_text_line = 1024 * 1024;

// What is read of a reply from a next hop, which may lie: a line, all lines, their number.
inline constexpr std::size_t received_reply_line = 2048;
inline constexpr std::size_t received_reply = 16 * 1024;
inline constexpr std::size_t received_reply_lines = 256;

// Times a client waits (RFC 5321 4.5.3.2).
inline constexpr std::chrono::seconds client_greeting{300};         // 4.5.3.2.1
inline constexpr std::chrono::seconds client_hello{300};            // not named there: as MAIL
inline constexpr std::chrono::seconds client_mail{300};             // 4.5.3.2.2
inline constexpr std::chrono::seconds client_rcpt{300};             // 4.5.3.2.3
inline constexpr std::chrono::seconds client_data_initiation{120};  // 4.5.3.2.4
inline constexpr std::chrono::seconds client_data_block{180};       // 4.5.3.2.5, each write
inline constexpr std::chrono::seconds client_data_termination{600}; // 4.5.3.2.6
inline constexpr std::chrono::seconds client_quit{5};               // nothing depends on its reply
// Times a server waits: for the next command, and for more of the content.
inline constexpr std::chrono::seconds server_command{300}; // 4.5.3.2.7
inline constexpr std::chrono::seconds server_data{300};    // 4.5.3.2.7

} // namespace postern::limits
