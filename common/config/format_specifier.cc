#include "common/config/format_specifier.h"

#include <algorithm>
#include <charconv>

#include "common/smtp/address.h"
#include "common/smtp/text.h"

namespace postern {

namespace {

constexpr char subaddress_delimiter = '+';

struct Name {
    std::string_view name;
    ValueSubject subject;
    ValuePart part;
};
constexpr Name names[] = {
    {"sender", ValueSubject::sender, ValuePart::whole},
    {"sender.user", ValueSubject::sender, ValuePart::user},
    {"sender.domain", ValueSubject::sender, ValuePart::domain},
    {"rcpt", ValueSubject::recipient, ValuePart::whole},
    {"rcpt.user", ValueSubject::recipient, ValuePart::user},
    {"rcpt.domain", ValueSubject::recipient, ValuePart::domain},
    {"dest", ValueSubject::destination, ValuePart::whole},
    {"dest.user", ValueSubject::destination, ValuePart::user},
    {"dest.domain", ValueSubject::destination, ValuePart::domain},
    {"user.username", ValueSubject::user_name, ValuePart::whole},
    {"user.directory", ValueSubject::user_directory, ValuePart::whole},
    {"mbox.from", ValueSubject::mbox_from, ValuePart::whole},
};

std::string quoted(std::string_view text) { return "\"" + sanitize(text, 100) + "\""; }

bool parse_offset(std::string_view text, long& offset) {
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), offset);
    return error == std::errc() && end == text.data() + text.size();
}

// "2", "0:3", "8:", "-3:", "0:-4".
bool parse_range(std::string_view text, FormatSpecifier& specifier) {
    const size_t colon = text.find(':');
    if (colon == std::string_view::npos) {
        if (!parse_offset(text, specifier.first))
            return false;
        specifier.last = specifier.first;
        return true;
    }
    const std::string_view first = text.substr(0, colon), last = text.substr(colon + 1);
    return (first.empty() || parse_offset(first, specifier.first)) &&
           (last.empty() || parse_offset(last, specifier.last));
}

bool parse_modifier(std::string_view text, FormatSpecifier& specifier) {
    if (text == "lowercase")
        return specifier.lowercase = true;
    if (text == "uppercase")
        return specifier.uppercase = true;
    if (text == "strip")
        return specifier.strip = true;
    if (text == "raw")
        return specifier.raw = true;
    return false;
}

// What stands between "%{" and "}".
Result<FormatSpecifier> parse_specifier(std::string_view text) {
    const std::string whole = quoted(text);
    const std::string_view name = text.substr(0, text.find_first_of("[:"));
    auto known = std::find_if(std::begin(names), std::end(names),
                              [&](const Name& entry) { return entry.name == name; });
    if (known == std::end(names))
        return Error{"unknown format specifier " + whole};
    FormatSpecifier specifier;
    specifier.subject = known->subject;
    specifier.part = known->part;
    text.remove_prefix(name.size());
    if (text.starts_with('[')) {
        const size_t end = text.find(']');
        if (end == std::string_view::npos || !parse_range(text.substr(1, end - 1), specifier))
            return Error{"format specifier " + whole + ": expected an offset or a range in []"};
        text.remove_prefix(end + 1);
    }
    if (text.empty())
        return specifier;
    if (!text.starts_with(':'))
        return Error{"format specifier " + whole + ": expected a modifier after ':'"};
    do {
        text.remove_prefix(1);
        const std::string_view modifier = text.substr(0, text.find('|'));
        if (!parse_modifier(modifier, specifier))
            return Error{"format specifier " + whole + ": " + quoted(modifier) +
                         " is none of lowercase, uppercase, strip, raw"};
        text.remove_prefix(modifier.size());
    } while (!text.empty());
    return specifier;
}

std::string value_of(const FormatSpecifier& specifier, const DeliveryValues& values) {
    switch (specifier.subject) {
    case ValueSubject::sender:
        return part_of_address(values.reverse_path, specifier.part);
    case ValueSubject::recipient:
        return part_of_address(values.recipient, specifier.part);
    case ValueSubject::destination:
        return part_of_address(values.destination.empty() ? values.recipient : values.destination,
                               specifier.part);
    case ValueSubject::mbox_from:
        return values.reverse_path.empty() ? "MAILER-DAEMON" : values.reverse_path;
    case ValueSubject::user_name:
        return values.user;
    case ValueSubject::user_directory:
        return values.directory;
    }
    return "";
}

// "user+tag@domain" without "+tag".
void strip_tag(std::string& value) {
    const size_t at = std::min(value.rfind('@'), value.size());
    const size_t tag = value.find(subaddress_delimiter);
    if (tag < at)
        value.erase(tag, at - tag);
}

Result<std::string> cut(const std::string& value, const FormatSpecifier& specifier) {
    if (specifier.first == 0 && specifier.last == LONG_MAX)
        return value;
    const long size = static_cast<long>(value.size());
    // Clamped first, so that the sums below cannot overflow.
    long first = std::clamp(specifier.first, -size - 1, size);
    long last = std::clamp(specifier.last, -size - 1, size - 1);
    first += first < 0 ? size : 0;
    last += last < 0 ? size - 1 : 0;
    if (first < 0 || first >= size || last < first)
        return Error{"a value is too short for the part of it that is asked for"};
    return value.substr(static_cast<size_t>(first), static_cast<size_t>(last - first + 1));
}

} // namespace

Result<std::string> value_of_specifier(const FormatSpecifier& specifier,
                                       const DeliveryValues& values) {
    std::string value = value_of(specifier, values);
    if (specifier.strip)
        strip_tag(value);
    Result<std::string> part = cut(value, specifier);
    if (!part)
        return part;
    for (char& c : *part) {
        if (specifier.lowercase)
            c = ascii_lower(c);
        if (specifier.uppercase)
            c = ascii_upper(c);
    }
    return part;
}

std::string part_of_address(const std::string& address, ValuePart part) {
    if (part == ValuePart::whole)
        return address;
    std::optional<Mailbox> mailbox =
        parse_reverse_path("<" + address + ">", nullptr, Internationalized::accepted);
    if (!mailbox) // `postmaster` alone, which has no domain
        return part == ValuePart::user ? address : "";
    return part == ValuePart::user ? mailbox->local_part() : mailbox->domain();
}

Result<std::vector<FormatPiece>> parse_format(std::string_view text) {
    std::vector<FormatPiece> pieces;
    while (!text.empty()) {
        const size_t start = text.find("%{");
        if (start != 0)
            pieces.push_back({std::string(text.substr(0, start)), std::nullopt});
        if (start == std::string_view::npos)
            break;
        const size_t end = text.find('}', start);
        if (end == std::string_view::npos)
            return Error{"a format specifier is not closed with '}'"};
        Result<FormatSpecifier> specifier =
            parse_specifier(text.substr(start + 2, end - start - 2));
        if (!specifier)
            return specifier.error();
        pieces.push_back({"", *specifier});
        text.remove_prefix(end + 1);
    }
    return pieces;
}

bool is_special_to_a_shell(char c) {
    static constexpr std::string_view special = " !#$%&'*?`{|}~\"\\<>()[];";
    return special.find(c) != std::string_view::npos;
}

bool is_control_character(char c) {
    const auto octet = static_cast<unsigned char>(c);
    return octet < 0x20 || octet == 0x7f;
}

} // namespace postern
