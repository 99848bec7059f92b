#include "common/mail/alias.h"

#include <algorithm>

#include "common/smtp/address.h"
#include "common/smtp/enhanced_status.h"
#include "common/smtp/internationalized.h"
#include "common/smtp/text.h"

namespace postern {

namespace {

constexpr std::string_view blanks = " \t\r\n";
constexpr size_t refusal_limit = 400; // octets
constexpr size_t shown_limit = 60;
constexpr size_t command_limit = 4096; // the same of a command or a path

std::string_view without_blanks(std::string_view text) { return trim(text, blanks); }

Error unusable(std::string_view value, const char* why) {
    return Error{"\"" + sanitize(value, shown_limit) + "\" " + why};
}

// Where the value ends: at the first comma that is not in quotes.
Result<size_t> end_of_value(std::string_view text) {
    bool quoted = false;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && i + 1 < text.size() && (quoted || text[i + 1] == '"'))
            ++i;
        else if (text[i] == '"')
            quoted = !quoted;
        else if (text[i] == ',' && !quoted)
            return i;
    }
    if (quoted)
        return unusable(text, "has a quote that is not closed");
    return text.size();
}

// The whole value in quotes: what is between them.
std::string unquote(std::string_view text) {
    if (text.size() < 2 || text.front() != '"' || text.back() != '"')
        return std::string(text);
    std::string plain;
    for (size_t i = 1; i + 1 < text.size(); ++i) {
        if (text[i] == '"') // it ends before: "a b"@domain has others behind it
            return std::string(text);
        if (text[i] == '\\' && i + 2 < text.size())
            ++i;
        plain += text[i];
    }
    return plain;
}

Result<AliasValue> refusal(std::string_view text, std::string_view whole) {
    text = without_blanks(text);
    const auto digit = [](char c) { return c >= '0' && c <= '9'; };
    if (text.size() < 3 || !std::all_of(text.begin(), text.begin() + 3, digit) ||
        (text[0] != '4' && text[0] != '5') || (text.size() > 3 && text[3] != ' '))
        return unusable(whole, "has no code of class 4 or 5 behind \"error:\"");
    std::string_view words = without_blanks(text.substr(3));
    auto code = take_enhanced_status(words).value_or(status::not_authorized);
    words = without_blanks(words);
    if (words.empty())
        return unusable(whole, "has no text behind the code");
    std::string reply(text.substr(0, 3));
    reply += " " + to_string(code.as(text[0] - '0')) + " ";
    reply += words;
    if (reply.size() > refusal_limit ||
        !std::all_of(reply.begin(), reply.end(), [](char c) { return c >= 0x20 && c < 0x7f; }))
        return unusable(whole, "is no line of US-ASCII text of 400 octets at most");
    return AliasValue{AliasKind::refusal, std::move(reply)};
}

bool has_controls(std::string_view text) {
    return std::any_of(text.begin(), text.end(),
                       [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

Result<AliasValue> to_program(AliasKind kind, std::string text, std::string_view whole) {
    if (without_blanks(text).empty() || text.size() > command_limit || has_controls(text))
        return unusable(whole, "is no command or path of 4096 octets at most");
    return AliasValue{kind, std::move(text)};
}

Result<AliasValue> to_name(AliasKind kind, const std::string& text, std::string_view whole) {
    const auto mailbox = parse_mailbox(Mailbox(text, "").to_string() + "@name.invalid", nullptr,
                                       Internationalized::accepted);
    if (!mailbox)
        return unusable(whole, "is no user name, address, path or command");
    return AliasValue{kind, comparable_name(mailbox->local_part())};
}

Result<AliasValue> parse_value(std::string_view whole) {
    if (whole.starts_with('|'))
        return to_program(AliasKind::command, unquote(without_blanks(whole.substr(1))), whole);
    const std::string text = unquote(whole);
    if (text.starts_with('|'))
        return to_program(AliasKind::command, text.substr(1), whole);
    if (text.starts_with('/'))
        return to_program(AliasKind::file, text, whole);
    if (text.starts_with("file:/"))
        return to_program(AliasKind::file, text.substr(5), whole);
    if (text.starts_with(":include:")) {
        const std::string path = unquote(without_blanks(std::string_view(text).substr(9)));
        if (!path.starts_with('/'))
            return unusable(whole, "has no absolute path behind \":include:\"");
        return to_program(AliasKind::include, path, whole);
    }
    if (whole.starts_with('\\'))
        return to_name(AliasKind::mailbox, unquote(whole.substr(1)), whole);
    if (const auto address = parse_mailbox(whole, nullptr, Internationalized::accepted))
        return AliasValue{AliasKind::address, address->to_string()};
    if (const auto address = parse_mailbox(text, nullptr, Internationalized::accepted))
        return AliasValue{AliasKind::address, address->to_string()};
    if (text.find('@') != std::string::npos && text == whole)
        return unusable(whole, "is no address");
    return to_name(AliasKind::name, text, whole);
}

} // namespace

Result<std::vector<AliasValue>> parse_alias_values(std::string_view text) {
    std::vector<AliasValue> values;
    text = without_blanks(text);
    const std::string whole = unquote(text);
    if (whole.starts_with("error:")) {
        Result<AliasValue> value = refusal(std::string_view(whole).substr(6), text);
        if (!value)
            return value.error();
        values.push_back(*std::move(value));
        return values;
    }
    while (!text.empty()) {
        const Result<size_t> end = end_of_value(text);
        if (!end)
            return end.error();
        const std::string_view one = without_blanks(text.substr(0, *end));
        text = without_blanks(text.substr(std::min(text.size(), *end + 1)));
        if (one.empty()) // a comma too many
            continue;
        Result<AliasValue> value = parse_value(one);
        if (!value)
            return value.error();
        values.push_back(*std::move(value));
    }
    if (values.empty())
        return Error{"there is no value"};
    return values;
}

Result<std::vector<AliasValue>> parse_alias_include(std::string_view text) {
    std::vector<AliasValue> all;
    for (size_t number = 1; !text.empty(); ++number) {
        const std::string_view line = without_blanks(take_line(text));
        if (line.empty() || line.starts_with('#'))
            continue;
        const std::string at = "line " + std::to_string(number) + ": ";
        Result<std::vector<AliasValue>> values = parse_alias_values(line);
        if (!values)
            return Error{at + values.error().message};
        for (AliasValue& value : *values) {
            if (value.kind != AliasKind::name && value.kind != AliasKind::address)
                return Error{at + unusable(line, "may not be in an included file: only names and "
                                                 "addresses may")
                                      .message};
            all.push_back(std::move(value));
        }
    }
    return all;
}

} // namespace postern
