// Paths, mailboxes, domains and address literals.
#include "common/smtp/address.h"

#include "common/smtp/limits.h"
#include "regress/fuzz/expect.h"

using namespace postern;
using fuzz::expect;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text = fuzz::text_of(data, size);
    AddressError error = AddressError::none;
    if (const auto mailbox = parse_mailbox(text, &error)) {
        const std::string wire = mailbox->to_string();
        const auto again = parse_mailbox(wire);
        expect(again && *again == *mailbox, "the wire form is read back");
        expect(again->to_string() == wire, "and is written the same");
        expect(mailbox->to_path() == "<" + wire + ">", "a path is that in brackets");
        expect(wire.size() <= text.size() + 2 || mailbox->is_literal(),
               "the wire form has the least quoting");
        expect(mailbox->is_literal() || is_domain(mailbox->domain()), "its domain is one");
    } else {
        expect(error != AddressError::none, "a refusal has a reason");
        expect(!to_string(error).empty(), "that can be said");
    }
    for (const auto take : {take_reverse_path, take_forward_path}) {
        std::string_view rest = text;
        const auto path = take(rest, nullptr);
        expect(path ? rest.size() < text.size() && text.ends_with(rest) : rest == text,
               "what is left is the rest, or all of it");
        if (path && !path->domain().empty())
            expect(parse_reverse_path(path->to_path()) == path, "a path is read back");
    }
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
