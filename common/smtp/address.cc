// The address grammar of RFC 5321 4.1.2 and RFC 6531 3.3 as a hand-written descent over one
// string_view. See address.h for what it promises.
#include "common/smtp/address.h"

#include "common/base/utf8.h"
#include "common/smtp/internationalized.h"
#include "common/smtp/limits.h"
#include "common/smtp/text.h"

#include <array>

namespace postern {

namespace {

// atext of RFC 5322 3.2.3.
constexpr std::array<bool, 256> make_atext() {
    std::array<bool, 256> table{};
    for (char c : std::string_view("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                   "!#$%&'*+-/=?^_`{|}~"))
        table[static_cast<unsigned char>(c)] = true;
    return table;
}
constexpr std::array<bool, 256> atext = make_atext();

bool is_atext(char c) { return atext[static_cast<unsigned char>(c)]; }
bool is_non_ascii(char c) { return static_cast<unsigned char>(c) >= 0x80; }
bool is_printable(char c) { return c >= 0x20 && c < 0x7f; }
bool is_let_dig(char c) { return is_ascii_letter(c) || is_ascii_digit(c); }

// Dot-string: atoms with single dots between them. What is not ASCII has been looked at before.
bool is_dot_string(std::string_view text) {
    if (text.empty() || text.front() == '.' || text.back() == '.')
        return false;
    char previous = 0;
    for (char c : text) {
        if (c == '.' ? previous == '.' : !is_atext(c) && !is_non_ascii(c))
            return false;
        previous = c;
    }
    return true;
}

} // namespace

// One pass over `rest`. Every function either consumes what it read, or sets `error` and returns
// false.
class AddressParser {
  public:
    AddressParser(std::string_view text, Internationalized internationalized)
        : rest(text), internationalized_(internationalized == Internationalized::accepted) {}

    // Path = "<" [ A-d-l ":" ] Mailbox ">", or "<>" or "<postmaster>" where allowed.
    bool path(bool reverse) {
        const std::size_t length = rest.size();
        if (rest.empty())
            return fail(AddressError::empty);
        if (!take('<'))
            return fail_at_rest(AddressError::empty, AddressError::no_angle_bracket);
        if (take('>'))
            return reverse || fail(AddressError::null_not_allowed);
        if (!rest.empty() && rest.front() == '@' && !source_route())
            return false;
        if (!local_part())
            return false;
        const bool postmaster = !reverse && result.is_postmaster();
        if (take('@') ? !domain() : !postmaster)
            return fail(rest.empty() ? AddressError::unterminated : AddressError::no_domain);
        if (!take('>'))
            return fail_at_rest(AddressError::unterminated, AddressError::bad_domain);
        if (length - rest.size() > limits::path ||
            (domain_converted_ && result.to_path().size() > limits::path))
            return fail(AddressError::path_too_long);
        return true;
    }

    bool mailbox() {
        if (rest.empty())
            return fail(AddressError::empty);
        if (!local_part())
            return false;
        if (!take('@'))
            return fail(AddressError::no_domain);
        return domain();
    }

    std::string_view rest;
    Mailbox result;
    AddressError error = AddressError::none;

  private:
    // The first failure is the one that is reported.
    bool fail(AddressError why) {
        if (error == AddressError::none)
            error = why;
        return false;
    }
    bool fail_at_rest(AddressError at_end, AddressError otherwise) {
        if (rest.empty())
            return fail(at_end);
        return fail(refuses_as_non_ascii(rest.front()) ? AddressError::non_ascii : otherwise);
    }
    bool refuses_as_non_ascii(char c) const { return !internationalized_ && is_non_ascii(c); }
    bool refuses_as_non_ascii(std::string_view text) const {
        return !internationalized_ && !is_ascii(text);
    }
    bool take(char c) {
        if (rest.empty() || rest.front() != c)
            return false;
        rest.remove_prefix(1);
        return true;
    }
    std::string_view take_first(std::size_t length) {
        const std::string_view taken = rest.substr(0, length);
        rest.remove_prefix(taken.size());
        return taken;
    }

    // A-d-l ":": read for its syntax, then forgotten (RFC 5321 Appendix C).
    bool source_route() {
        do {
            if (!take('@'))
                return fail(AddressError::bad_source_route);
            const std::string_view hop = take_first(rest.find_first_of(",:@>"));
            if (refuses_as_non_ascii(hop))
                return fail(AddressError::non_ascii);
            if (!is_domain(to_a_labels(hop).value_or("")))
                return fail(AddressError::bad_source_route);
        } while (take(','));
        return take(':') || fail(AddressError::bad_source_route);
    }

    bool local_part() {
        const std::size_t before = rest.size();
        if (!(take('"') ? quoted_string() : dot_string()))
            return false;
        if (before - rest.size() > limits::local_part)
            return fail(AddressError::local_part_too_long);
        return true;
    }

    // UTF8-non-ascii of RFC 6531 3.3 at the front of `text`: its octets, or 0 after a failure. C1
    // controls are no part of a name (RFC 5198 2).
    std::size_t non_ascii(std::string_view text) {
        if (!internationalized_)
            fail(AddressError::non_ascii);
        const Utf8Character character = first_character(text);
        if (character.length == 0)
            fail(AddressError::bad_utf8);
        else if (is_control(character.code))
            fail(AddressError::bad_local_part);
        return error == AddressError::none ? character.length : 0;
    }

    bool dot_string() {
        std::size_t length = 0;
        while (length < rest.size() &&
               (is_atext(rest[length]) || rest[length] == '.' || is_non_ascii(rest[length]))) {
            const std::size_t octets =
                is_non_ascii(rest[length]) ? non_ascii(rest.substr(length)) : 1;
            if (octets == 0)
                return false;
            length += octets;
        }
        if (length < rest.size() && rest[length] != '@' && rest[length] != '>')
            return fail(AddressError::bad_local_part);
        const std::string_view text = take_first(length);
        if (!is_dot_string(text))
            return fail(rest.empty() && text.empty() ? AddressError::unterminated
                                                     : AddressError::bad_local_part);
        result.local_part_ = text;
        return true;
    }

    // Behind the opening quote.
    bool quoted_string() {
        while (!rest.empty() && rest.front() != '"') {
            const bool escaped = take('\\');
            if (escaped && rest.empty())
                break;
            std::size_t octets = 1;
            if (refuses_as_non_ascii(rest.front()) || (!escaped && is_non_ascii(rest.front())))
                octets = non_ascii(rest);
            else if (!is_printable(rest.front()))
                return fail(AddressError::bad_local_part);
            if (octets == 0)
                return false;
            result.local_part_ += take_first(octets);
        }
        if (!take('"'))
            return fail(AddressError::unterminated);
        if (!rest.empty() && rest.front() != '@' && rest.front() != '>')
            return fail_at_rest(AddressError::unterminated, AddressError::bad_local_part);
        return true;
    }

    bool domain() {
        if (!rest.empty() && rest.front() == '[')
            return literal();
        std::size_t length = 0;
        while (length < rest.size() && (is_let_dig(rest[length]) || rest[length] == '-' ||
                                        rest[length] == '.' || is_non_ascii(rest[length])))
            ++length;
        const std::string_view text = take_first(length);
        if (refuses_as_non_ascii(text))
            return fail(AddressError::non_ascii);
        if (text.size() > limits::domain)
            return fail(AddressError::domain_too_long);
        std::optional<std::string> name(text);
        domain_converted_ = !is_ascii(text);
        if (domain_converted_) {
            if (!is_utf8(text))
                return fail(AddressError::bad_utf8);
            name = to_a_labels(text);
        }
        if (!name)
            return fail(AddressError::bad_international_domain);
        if (name->size() > limits::domain)
            return fail(AddressError::domain_too_long);
        if (!is_domain(*name))
            return fail(AddressError::bad_domain);
        result.domain_ = ascii_lower(*name);
        return true;
    }

    bool literal() {
        const std::size_t end = rest.find(']');
        if (end == std::string_view::npos)
            return fail(AddressError::unterminated);
        const std::string_view text = take_first(end + 1);
        if (refuses_as_non_ascii(text))
            return fail(AddressError::non_ascii);
        if (text.size() > limits::domain)
            return fail(AddressError::domain_too_long);
        auto canonical = parse_address_literal(text);
        if (!canonical)
            return fail(AddressError::bad_address_literal);
        result.domain_ = std::move(*canonical);
        return true;
    }

    const bool internationalized_;
    bool domain_converted_ = false;
};

namespace {

std::optional<Mailbox> take_path(std::string_view& text, bool reverse, AddressError* error,
                                 Internationalized internationalized) {
    AddressParser parser(text, internationalized);
    const bool good = parser.path(reverse);
    if (error != nullptr)
        *error = parser.error;
    if (!good)
        return std::nullopt;
    text = parser.rest;
    return std::move(parser.result);
}

std::optional<Mailbox> whole_path(std::string_view text, bool reverse, AddressError* error,
                                  Internationalized internationalized) {
    auto mailbox = take_path(text, reverse, error, internationalized);
    if (mailbox && !text.empty()) {
        if (error != nullptr)
            *error = AddressError::trailing_text;
        return std::nullopt;
    }
    return mailbox;
}

} // namespace

std::string_view to_string(AddressError error) {
    switch (error) {
    case AddressError::none:
        return "no error";
    case AddressError::empty:
        return "address missing";
    case AddressError::no_angle_bracket:
        return "address must be in angle brackets";
    case AddressError::unterminated:
        return "address ends too early";
    case AddressError::bad_source_route:
        return "bad source route";
    case AddressError::bad_local_part:
        return "bad local part";
    case AddressError::local_part_too_long:
        return "local part too long";
    case AddressError::no_domain:
        return "domain missing";
    case AddressError::bad_domain:
        return "bad domain";
    case AddressError::domain_too_long:
        return "domain too long";
    case AddressError::bad_address_literal:
        return "bad address literal";
    case AddressError::path_too_long:
        return "path too long";
    case AddressError::non_ascii:
        return "non-ASCII address not supported";
    case AddressError::bad_utf8:
        return "address is not valid UTF-8";
    case AddressError::bad_international_domain:
        return "bad internationalized domain name";
    case AddressError::null_not_allowed:
        return "null address not allowed";
    case AddressError::trailing_text:
        return "unexpected text after address";
    }
    return "bad address";
}

Mailbox::Mailbox(std::string local_part, std::string domain)
    : local_part_(std::move(local_part)), domain_(std::move(domain)) {
    if (!is_literal())
        for (char& c : domain_)
            c = ascii_lower(c);
}

bool Mailbox::is_ascii() const {
    return postern::is_ascii(local_part_) && postern::is_ascii(domain_);
}

bool Mailbox::is_postmaster() const { return equal_ignoring_case(local_part_, "postmaster"); }

void Mailbox::append_to(std::string& out) const {
    if (is_null())
        return;
    if (is_dot_string(local_part_)) {
        out += local_part_;
    } else {
        out += '"';
        for (char c : local_part_) {
            if (c == '"' || c == '\\')
                out += '\\';
            out += c;
        }
        out += '"';
    }
    if (!domain_.empty()) {
        out += '@';
        out += domain_;
    }
}

std::string Mailbox::to_string() const {
    std::string out;
    append_to(out);
    return out;
}

std::string Mailbox::to_path() const {
    std::string out = "<";
    append_to(out);
    out += '>';
    return out;
}

std::optional<Mailbox> parse_mailbox(std::string_view text, AddressError* error,
                                     Internationalized internationalized) {
    AddressParser parser(text, internationalized);
    bool good = parser.mailbox();
    if (good && !parser.rest.empty()) {
        good = false;
        parser.error = AddressError::trailing_text;
    }
    if (error != nullptr)
        *error = parser.error;
    if (!good)
        return std::nullopt;
    return std::move(parser.result);
}

std::optional<Mailbox> parse_reverse_path(std::string_view text, AddressError* error,
                                          Internationalized internationalized) {
    return whole_path(text, true, error, internationalized);
}

std::optional<Mailbox> parse_forward_path(std::string_view text, AddressError* error,
                                          Internationalized internationalized) {
    return whole_path(text, false, error, internationalized);
}

std::optional<Mailbox> take_reverse_path(std::string_view& text, AddressError* error,
                                         Internationalized internationalized) {
    return take_path(text, true, error, internationalized);
}

std::optional<Mailbox> take_forward_path(std::string_view& text, AddressError* error,
                                         Internationalized internationalized) {
    return take_path(text, false, error, internationalized);
}

} // namespace postern
