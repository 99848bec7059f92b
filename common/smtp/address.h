// Paths and mailboxes of the envelope: the whole of RFC 5321 4.1.2 and 4.1.3, with the limits of
// 4.5.3.1. Pure functions; bad input gives an AddressError, never a partly filled result.
//
// A source route ("<@a,@b:user@c>") is accepted and ignored (Appendix C). The underscore is not
// part of a domain in an address (4.1.2 wants 501 for it), but is common in the names that hosts
// give in HELO, where it is let pass.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace postern {

enum class AddressError : std::uint8_t {
    none,
    empty,               // nothing where a path was expected
    no_angle_bracket,    // a path begins with '<'
    unterminated,        // no '>' or no closing quote
    bad_source_route,    // "<@...": not At-domain *("," At-domain) ":"
    bad_local_part,      // neither dot-string nor quoted-string
    local_part_too_long, // more than 64 octets as sent, quotes included (4.5.3.1.1)
    no_domain,           // no '@' where it is needed
    bad_domain,          // not LDH labels, or a label of more than 63
    domain_too_long,     // more than 255 octets (4.5.3.1.2)
    bad_address_literal, // "[...]" is neither IPv4, IPv6: nor general
    path_too_long,       // more than 256 octets with brackets and route (4.5.3.1.3)
    non_ascii,           // needs SMTPUTF8 (RFC 6531)
    null_not_allowed,    // "<>" as forward-path
    trailing_text,       // something behind the end
};

// One sentence without a full stop, for a reply or a log line.
std::string_view to_string(AddressError error);

// An address in canonical form, so that equal mailboxes compare equal: the local part without
// quoting (its case kept), the domain in lower case. The null reverse-path is the mailbox with
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
std::optional<Mailbox> parse_mailbox(std::string_view text, AddressError* error = nullptr);

// Reverse-path: a path or "<>". Forward-path: a path or "<postmaster>" (4.1.1.3). Nothing else may
// be in `text`.
std::optional<Mailbox> parse_reverse_path(std::string_view text, AddressError* error = nullptr);
std::optional<Mailbox> parse_forward_path(std::string_view text, AddressError* error = nullptr);

// The same at the front of `text`: what is behind the '>' is left in `text`. On failure `text`
// stays as it was.
std::optional<Mailbox> take_reverse_path(std::string_view& text, AddressError* error = nullptr);
std::optional<Mailbox> take_forward_path(std::string_view& text, AddressError* error = nullptr);

enum class Underscore : std::uint8_t { refused, accepted };

// Domain of RFC 5321 4.1.2: labels of letters, digits and inner hyphens, 1 to 63 octets each, at
// most 255 in all, no trailing dot. Says nothing about its existence.
bool is_domain(std::string_view text, Underscore underscore = Underscore::refused);

// "[192.0.2.1]", "[IPv6:2001:db8::1]" or "[Tag:content]" (4.1.3), the canonical form of it: no
// leading zeros in IPv4 (which some systems read as octal), IPv6 as in RFC 5952.
std::optional<std::string> parse_address_literal(std::string_view text);

// The literal of a numeric address as the system prints it: 192.0.2.1 -> [192.0.2.1],
// 2001:db8::1 -> [IPv6:2001:db8::1].
std::string address_literal(std::string_view address);

// The numeric address within a canonical literal, for connecting to it: 192.0.2.1 or 2001:db8::1.
// Empty if `domain` is no literal, or one of neither family.
std::string_view address_of_literal(std::string_view domain);

} // namespace postern
