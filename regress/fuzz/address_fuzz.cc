// Paths, mailboxes, domains and address literals.
#include "common/smtp/address.h"

#include "common/base/utf8.h"
#include "common/smtp/internationalized.h"
#include "common/smtp/limits.h"
#include "common/smtp/utf8_address.h"
#include "regress/fuzz/expect.h"

using namespace postern;
using fuzz::expect;

namespace {

void check_mailbox(std::string_view text, Internationalized mode) {
    AddressError error = AddressError::none;
    const auto mailbox = parse_mailbox(text, &error, mode);
    if (!mailbox) {
        expect(error != AddressError::none, "a refusal has a reason");
        expect(!to_string(error).empty(), "that can be said");
        return;
    }
    const std::string wire = mailbox->to_string();
    const auto again = parse_mailbox(wire, nullptr, mode);
    expect(again && *again == *mailbox, "the wire form is read back");
    expect(again->to_string() == wire, "and is written the same");
    expect(mailbox->to_path() == "<" + wire + ">", "a path is that in brackets");
    expect(wire.size() <= text.size() + 2 || mailbox->is_literal() || !is_ascii(text),
           "the wire form has the least quoting");
    expect(mailbox->is_literal() || is_domain(mailbox->domain()), "its domain is one");
    expect(is_utf8(wire) && is_ascii(mailbox->domain()), "what is not ASCII is a local part");
    expect(parse_utf8_addr(to_utf8_addr_xtext(wire)) == wire &&
               parse_utf8_addr(to_utf8_addr_unitext(wire)) == wire,
           "in ORCPT it is the same address");
    if (mode == Internationalized::refused || is_ascii(text)) {
        expect(mailbox->is_ascii(), "ASCII stays so");
        expect(parse_mailbox(text, nullptr, Internationalized::accepted) == mailbox &&
                   parse_mailbox(text) == mailbox,
               "and is the same with SMTPUTF8 and without");
    }
    const std::string compared = comparable_name(mailbox->local_part());
    expect(comparable_name(compared) == compared, "what is compared is compared as it is");
}

void check_paths(std::string_view text, Internationalized mode) {
    for (const auto take : {take_reverse_path, take_forward_path}) {
        std::string_view rest = text;
        const auto path = take(rest, nullptr, mode);
        expect(path ? rest.size() < text.size() && text.ends_with(rest) : rest == text,
               "what is left is the rest, or all of it");
        if (path && !path->domain().empty())
            expect(parse_reverse_path(path->to_path(), nullptr, mode) == path,
                   "a path is read back");
    }
}

void check_a_labels(std::string_view text) {
    const auto name = to_a_labels(text);
    if (!name)
        return expect(!is_ascii(text), "ASCII is no domain beyond it");
    expect(is_ascii(*name), "A-labels are ASCII");
    expect(to_a_labels(*name) == name, "and stay as they are");
    expect(!is_ascii(text) || *name == text, "and so does ASCII");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text = fuzz::text_of(data, size);
    for (const auto mode : {Internationalized::refused, Internationalized::accepted}) {
        check_mailbox(text, mode);
        check_paths(text, mode);
    }
    check_a_labels(text);
    if (const auto mailbox = parse_utf8_addr(text))
        expect(is_utf8(*mailbox) && parse_utf8_addr(to_utf8_addr_xtext(*mailbox)) == mailbox,
               "what was ORCPT can be one again");
    if (const auto literal = parse_address_literal(text)) {
        expect(parse_address_literal(*literal) == literal, "a literal is in canonical form");
        const std::string_view address = address_of_literal(*literal);
        expect(address.empty() || address_literal(address) == *literal,
               "and can be made from its address");
    }
    if (is_domain(text))
        expect(is_domain(text, Underscore::accepted) && text.size() <= limits::domain,
               "a domain has its limits");
    return 0;
}
