// Writing trace fields.
#include "common/smtp/received.h"

#include "common/base/utf8.h"
#include "common/smtp/limits.h"
#include "common/smtp/text.h"

#include <algorithm>

namespace postern {

namespace {

// What is `harmless` in ASCII; with SMTPUTF8, of the rest what UTF-8 has beyond controls.
template <class Harmless>
void append_harmless(std::string& out, std::string_view text, bool smtp_utf8, Harmless harmless) {
    while (!text.empty()) {
        const Utf8Character character = first_character(text);
        const std::size_t length = smtp_utf8 ? std::max<std::size_t>(character.length, 1) : 1;
        if (character.length == 1
                ? harmless(text.front())
                : smtp_utf8 && character.length > 1 && !is_control(character.code))
            out += text.substr(0, length);
        else
            out.append(length, '?');
        text.remove_prefix(length);
    }
}

// A host name or literal, or what somebody claims to be one. What has a meaning in a structured
// field (parentheses, backslash, quotes, semicolon) or in a header (CR, LF) cannot get through.
void append_name(std::string& out, std::string_view name, std::string_view also = {},
                 bool smtp_utf8 = false) {
    append_harmless(out, cut_utf8(name, limits::domain), smtp_utf8, [also](char c) {
        return is_ascii_letter(c) || is_ascii_digit(c) || c == '.' || c == '-' || c == '_' ||
               c == ':' || c == '[' || c == ']' || also.find(c) != also.npos;
    });
}

// A mailbox in wire form has no controls; should it ever have one, it must not break the line.
void append_path(std::string& out, const Mailbox& mailbox, bool smtp_utf8) {
    append_harmless(out, mailbox.to_path(), smtp_utf8,
                    [](char c) { return c >= 0x20 && c < 0x7f; });
}

} // namespace

std::string_view protocol_keyword(const ProtocolFacts& facts) {
    static constexpr std::string_view names[2][2][2][2] = {
        {{{"ESMTP", "ESMTPA"}, {"ESMTPS", "ESMTPSA"}}, {{"LMTP", "LMTPA"}, {"LMTPS", "LMTPSA"}}},
        {{{"UTF8SMTP", "UTF8SMTPA"}, {"UTF8SMTPS", "UTF8SMTPSA"}},
         {{"UTF8LMTP", "UTF8LMTPA"}, {"UTF8LMTPS", "UTF8LMTPSA"}}}};
    if (!facts.lmtp && !facts.extended && !facts.tls && !facts.authenticated && !facts.smtp_utf8)
        return "SMTP";
    return names[facts.smtp_utf8][facts.lmtp][facts.tls][facts.authenticated];
}

void append_received(std::string& out, const ReceivedField& field) {
    out += "Received: ";
    const bool known = !field.helo.empty() || !field.address.empty();
    if (known) {
        out += "from ";
        append_name(out, field.helo.empty() ? "unknown" : field.helo);
        if (!field.address.empty()) {
            out += " (";
            if (!field.reverse_name.empty()) {
                append_name(out, field.reverse_name);
                out += ' ';
            }
            append_name(out, address_literal(field.address));
            out += ')';
        }
        out += "\r\n\t";
    }
    out += "by ";
    append_name(out, field.by);
    out += " with ";
    append_name(out, field.protocol);
    if (!field.id.empty()) {
        out += " id ";
        append_name(out, field.id);
    }
    if (!field.authenticated.empty()) {
        out += "\r\n\t(authenticated as ";
        append_name(out, field.authenticated, "@+", field.smtp_utf8);
        out += ')';
    }
    if (field.recipient != nullptr) {
        out += "\r\n\tfor ";
        append_path(out, *field.recipient, field.smtp_utf8);
    }
    if (!field.tls_cipher.empty()) {
        out += "\r\n\ttls ";
        append_name(out, field.tls_cipher);
        out += " (";
        append_name(out, field.tls_protocol);
        out += ')';
    }
    out += ";\r\n\t";
    for (char c : field.date)
        out += c >= 0x20 && c < 0x7f ? c : '?';
    out += "\r\n";
}

} // namespace postern
