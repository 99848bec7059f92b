// Paths and mailboxes of the envelope: RFC 5321 4.1.2 with the limits of 4.5.3.1. Pure functions;
// bad input gives an AddressError, never a partly filled result.
//
// A source route ("<@a,@b:user@c>") is accepted and ignored (Appendix C).
//
// With Internationalized::accepted, addresses may have UTF-8 in them (RFC 6531 3.3): in local parts
// anything but controls, in domains U-labels, which become A-labels at once (internationalized.h).
// So a domain is always ASCII, and only the local part decides whether an address needs SMTPUTF8.
// Domains in ASCII are taken as they are, A-labels among them. The limits count octets, and are
// those of the address as it was sent and as to_path() writes it.
#pragma once

#include "common/smtp/address_literal.h"
#include "common/smtp/domain_name.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace postern {

enum class AddressError : std::uint8_t {
    none,
    empty,                    // nothing where a path was expected
    no_angle_bracket,         // a path begins with '<'
    unterminated,             // no '>' or no closing quote
    bad_source_route,         // "<@...": not At-domain *("," At-domain) ":"
    bad_local_part,           // neither dot-string nor quoted-string
    local_part_too_long,      // more than 64 octets as sent, quotes included (4.5.3.1.1)
    no_domain,                // no '@' where it is needed
    bad_domain,               // not LDH labels, or a label of more than 63
    domain_too_long,          // more than 255 octets (4.5.3.1.2)
    bad_address_literal,      // "[...]" is neither IPv4, IPv6: nor general
    path_too_long,            // more than 256 octets with brackets and route (4.5.3.1.3)
    non_ascii,                // needs SMTPUTF8 (RFC 6531)
    bad_utf8,                 // with SMTPUTF8: not UTF-8 (RFC 3629)
    bad_international_domain, // with SMTPUTF8: a label that is no U-label (RFC 5890 2.3.2.1)
    null_not_allowed,         // "<>" as forward-path
    trailing_text,            // something behind the end
};

enum class Internationalized : std::uint8_t { refused, accepted };

// One sentence without a full stop, for a reply or a log line.
std::string_view to_string(AddressError error);

// An address in canonical form, so that equal mailboxes compare equal: the local part without
// quoting (its case kept, and its UTF-8 as it came: RFC 6532 3.1 asks the sender for NFC), the
// domain in lower case and A-labels. The null reverse-path is the mailbox with
// neither; `<postmaster>` has no domain.
class Mailbox {
  public:
    Mailbox() = default;
    // Takes parts that are valid already, e.g. from a configuration; the domain is lower-cased.
    // Not for unchecked input: that goes through parse_mailbox().
    Mailbox(std::string local_part, std::string domain);

    const std::string& local_part() const { return local_part_; }
    const std::string& domain() const { return domain_; }
    bool is_null() const { return local_part_.empty() && domain_.empty(); }
    bool is_literal() const { return !domain_.empty() && domain_.front() == '['; }
    // Whether every SMTP server can take it; others take it in a message with SMTPUTF8 only.
    bool is_ascii() const;
    // RFC 5321 4.5.1: "postmaster" in any case, of whatever domain.
    bool is_postmaster() const;

    // The wire form with the least quoting (RFC 5321 4.1.2), without angle brackets:
    // user@a.example, "a b"@a.example, [IPv6:..] literals; empty for the null reverse-path.
    // parse_mailbox() reads it back, except that of the null path and of `postmaster`, which paths
    // alone can be.
    std::string to_string() const;
    void append_to(std::string& out) const;
    // The same in angle brackets, "<>" for the null reverse-path.
    std::string to_path() const;

    friend bool operator==(const Mailbox&, const Mailbox&) = default;

  private:
    friend class AddressParser;
    std::string local_part_;
    std::string domain_;
};

// A mailbox without angle brackets, and nothing else in `text`. `error`, if given, says what is
// wrong with it.
std::optional<Mailbox>
parse_mailbox(std::string_view text, AddressError* error = nullptr,
              Internationalized internationalized = Internationalized::refused);

// Reverse-path: a path or "<>". Forward-path: a path or "<postmaster>" (4.1.1.3). Nothing else may
// be in `text`.
std::optional<Mailbox>
parse_reverse_path(std::string_view text, AddressError* error = nullptr,
                   Internationalized internationalized = Internationalized::refused);
std::optional<Mailbox>
parse_forward_path(std::string_view text, AddressError* error = nullptr,
                   Internationalized internationalized = Internationalized::refused);

// The same at the front of `text`: what is behind the '>' is left in `text`. On failure `text`
// stays as it was.
std::optional<Mailbox>
take_reverse_path(std::string_view& text, AddressError* error = nullptr,
                  Internationalized internationalized = Internationalized::refused);
std::optional<Mailbox>
take_forward_path(std::string_view& text, AddressError* error = nullptr,
                  Internationalized internationalized = Internationalized::refused);

} // namespace postern
