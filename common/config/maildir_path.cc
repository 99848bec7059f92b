#include "common/config/maildir_path.h"

#include <algorithm>
#include <charconv>
#include <climits>
#include <optional>
#include <vector>

#include "common/smtp/address.h"
#include "common/smtp/text.h"

namespace postern {

namespace {

constexpr std::string_view default_path = "~/Maildir";
constexpr size_t path_limit = 4095; // PATH_MAX, without its end
constexpr size_t component_limit = 255;
constexpr char replacement = ':';
constexpr char subaddress_delimiter = '+';

enum class Part { whole, user, domain };
enum class Subject { sender, recipient, destination, mbox_from, user_name, user_directory };

struct Specifier {
    Subject subject = Subject::recipient;
    Part part = Part::whole;
    long first = 0;
    long last = LONG_MAX; // included; negative: from the end
    bool lowercase = false;
    bool uppercase = false;
    bool strip = false;
    bool raw = false;
};

// Text, or a specifier.
struct Piece {
    std::string literal;
    std::optional<Specifier> specifier;
};

struct Name {
    std::string_view name;
    Subject subject;
    Part part;
};
constexpr Name names[] = {
    {"sender", Subject::sender, Part::whole},
    {"sender.user", Subject::sender, Part::user},
    {"sender.domain", Subject::sender, Part::domain},
    {"rcpt", Subject::recipient, Part::whole},
    {"rcpt.user", Subject::recipient, Part::user},
    {"rcpt.domain", Subject::recipient, Part::domain},
    {"dest", Subject::destination, Part::whole},
    {"dest.user", Subject::destination, Part::user},
    {"dest.domain", Subject::destination, Part::domain},
    {"user.username", Subject::user_name, Part::whole},
    {"user.directory", Subject::user_directory, Part::whole},
    {"mbox.from", Subject::mbox_from, Part::whole},
};

std::string quoted(std::string_view text) { return "\"" + sanitize(text, 100) + "\""; }

bool parse_offset(std::string_view text, long& offset) {
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), offset);
    return error == std::errc() && end == text.data() + text.size();
}

// "2", "0:3", "8:", "-3:", "0:-4".
bool parse_range(std::string_view text, Specifier& specifier) {
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

bool parse_modifier(std::string_view text, Specifier& specifier) {
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
Result<Specifier> parse_specifier(std::string_view text) {
    const std::string whole = quoted(text);
    const std::string_view name = text.substr(0, text.find_first_of("[:"));
    auto known = std::find_if(std::begin(names), std::end(names),
                              [&](const Name& entry) { return entry.name == name; });
    if (known == std::end(names))
        return Error{"unknown format specifier " + whole};
    Specifier specifier;
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

Result<std::vector<Piece>> parse_path(std::string_view path) {
    std::vector<Piece> pieces;
    if (path.empty())
        path = default_path;
    if (path.find('\0') != std::string_view::npos)
        return Error{"a path cannot have a NUL in it"};
    if (path.starts_with('~')) {
        if (path.size() > 1 && path[1] != '/')
            return Error{"expected '/' after '~'"};
        pieces.push_back({"", Specifier{.subject = Subject::user_directory}});
        path.remove_prefix(1);
    } else if (!path.starts_with('/') && !path.starts_with("%{user.directory}")) {
        pieces.push_back({"", Specifier{.subject = Subject::user_directory}});
        pieces.push_back({"/", std::nullopt});
    }
    while (!path.empty()) {
        const size_t start = path.find("%{");
        if (start != 0)
            pieces.push_back({std::string(path.substr(0, start)), std::nullopt});
        if (start == std::string_view::npos)
            break;
        const size_t end = path.find('}', start);
        if (end == std::string_view::npos)
            return Error{"a format specifier is not closed with '}'"};
        Result<Specifier> specifier = parse_specifier(path.substr(start + 2, end - start - 2));
        if (!specifier)
            return specifier.error();
        pieces.push_back({"", *specifier});
        path.remove_prefix(end + 1);
    }
    return pieces;
}

std::string part_of(const std::string& address, Part part) {
    if (part == Part::whole)
        return address;
    std::optional<Mailbox> mailbox =
        parse_reverse_path("<" + address + ">", nullptr, Internationalized::accepted);
    if (!mailbox) // `postmaster` alone, which has no domain
        return part == Part::user ? address : "";
    return part == Part::user ? mailbox->local_part() : mailbox->domain();
}

std::string value_of(const Specifier& specifier, const MaildirValues& values) {
    switch (specifier.subject) {
    case Subject::sender:
        return part_of(values.reverse_path, specifier.part);
    case Subject::recipient:
        return part_of(values.recipient, specifier.part);
    case Subject::destination:
        return part_of(values.destination.empty() ? values.recipient : values.destination,
                       specifier.part);
    case Subject::mbox_from:
        return values.reverse_path.empty() ? "MAILER-DAEMON" : values.reverse_path;
    case Subject::user_name:
        return values.user;
    case Subject::user_directory:
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

Result<std::string> cut(const std::string& value, const Specifier& specifier) {
    if (specifier.first == 0 && specifier.last == LONG_MAX)
        return value;
    const long size = static_cast<long>(value.size());
    // Clamped first, so that the sums below cannot overflow.
    long first = std::clamp(specifier.first, -size - 1, size);
    long last = std::clamp(specifier.last, -size - 1, size - 1);
    first += first < 0 ? size : 0;
    last += last < 0 ? size - 1 : 0;
    if (first < 0 || first >= size || last < first)
        return Error{"a value is too short for the part of it that the path asks for"};
    return value.substr(static_cast<size_t>(first), static_cast<size_t>(last - first + 1));
}

Result<std::string> modified_value(const Specifier& specifier, const MaildirValues& values) {
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

std::string_view last_component(std::string_view path) { return path.substr(path.rfind('/') + 1); }

// Appends what a stranger may have written.
void append_foreign(std::string& out, std::string_view value, bool raw) {
    static constexpr std::string_view special = "!#$%&'*?`{|}~\"\\<>()[];";
    for (char c : value) {
        const auto octet = static_cast<unsigned char>(c);
        const bool dangerous = octet < 0x20 || octet == 0x7f || c == '/';
        const bool dots = c == '.' && last_component(out).find_first_not_of('.') == out.npos;
        const bool unwanted = c == ' ' || special.find(c) != std::string_view::npos;
        out += dangerous || dots || (unwanted && !raw) ? replacement : c;
    }
}

// Whether a value was to give this component a name and did not.
Result<void> check_component(std::string_view component, bool has_values) {
    if (component.empty() && has_values)
        return Error{"a component of the path is empty, because its values are"};
    if (component.size() > component_limit)
        return Error{"a component of the path is longer than " + std::to_string(component_limit)};
    return {};
}

Result<void> check_expanded(const std::string& out, const std::vector<bool>& component_has_values) {
    size_t start = 0;
    for (bool has_values : component_has_values) {
        const size_t end = std::min(out.find('/', start), out.size());
        if (Result<void> good =
                check_component(std::string_view(out).substr(start, end - start), has_values);
            !good)
            return good;
        start = end + 1;
    }
    if (out.size() > path_limit)
        return Error{"the path is longer than " + std::to_string(path_limit)};
    return {};
}

} // namespace

Result<std::string> expand_maildir_path(std::string_view path, const MaildirValues& values) {
    Result<std::vector<Piece>> pieces = parse_path(path);
    if (!pieces)
        return pieces.error();
    std::string out;
    std::vector<bool> component_has_values{false};
    for (const Piece& piece : *pieces) {
        std::string text = piece.literal;
        bool trusted = true;
        if (piece.specifier) {
            Result<std::string> value = modified_value(*piece.specifier, values);
            if (!value)
                return value;
            text = std::move(*value);
            trusted = piece.specifier->subject == Subject::user_directory;
        }
        if (!trusted) {
            component_has_values.back() = true;
            append_foreign(out, text, piece.specifier->raw);
            continue;
        }
        out += text;
        for (char c : text)
            if (c == '/')
                component_has_values.push_back(false);
    }
    if (!out.starts_with('/'))
        return Error{"the home directory of the user is no absolute path"};
    if (Result<void> good = check_expanded(out, component_has_values); !good)
        return good.error();
    return out;
}

Result<void> check_maildir_path(std::string_view path) {
    if (Result<std::vector<Piece>> pieces = parse_path(path); !pieces)
        return pieces.error();
    return {};
}

} // namespace postern
