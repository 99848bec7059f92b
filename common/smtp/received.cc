// Writing trace fields.
#include "common/smtp/received.h"

#include "common/smtp/limits.h"
#include "common/smtp/text.h"

namespace postern {

namespace {

// A host name or literal, or what somebody claims to be one. What has a meaning in a structured
// field (parentheses, backslash, quotes, semicolon) or in a header (CR, LF) cannot get through.
void append_name(std::string& out, std::string_view name, std::string_view also = {}) {
    for (char c : name.substr(0, limits::domain)) {
        const bool harmless = is_ascii_letter(c) || is_ascii_digit(c) || c == '.' || c == '-' ||
                              c == '_' || c == ':' || c == '[' || c == ']' || also.find(c) != also.npos;
        out += harmless ? c : '?';
    }
}

// A mailbox in wire form is printable ASCII; should it ever not be, it must not break the line.
void append_path(std::string& out, const Mailbox& mailbox) {
    std::string path = mailbox.to_path();
    for (char& c : path)
        if (c < 0x20 || c >= 0x7f)
            c = '?';
    out += path;
}

} // namespace

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
        append_name(out, field.authenticated, "@+");
        out += ')';
    }
    if (field.recipient != nullptr) {
        out += "\r\n\tfor ";
        append_path(out, *field.recipient);
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

void append_return_path(std::string& out, const Mailbox& reverse_path) {
    out += "Return-Path: ";
    append_path(out, reverse_path);
    out += "\r\n";
}

} // namespace postern
