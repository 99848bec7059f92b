#include "common/config/maildir_path.h"

#include <algorithm>
#include <vector>

namespace postern {

namespace {

constexpr std::string_view default_path = "~/Maildir";
constexpr size_t path_limit = 4095; // PATH_MAX, without its end
constexpr size_t component_limit = 255;
constexpr char replacement = ':';

Result<std::vector<FormatPiece>> parse_path(std::string_view path) {
    std::vector<FormatPiece> pieces;
    if (path.empty())
        path = default_path;
    if (path.find('\0') != std::string_view::npos)
        return Error{"a path cannot have a NUL in it"};
    if (path.starts_with('~')) {
        if (path.size() > 1 && path[1] != '/')
            return Error{"expected '/' after '~'"};
        pieces.push_back({"", FormatSpecifier{.subject = ValueSubject::user_directory}});
        path.remove_prefix(1);
    } else if (!path.starts_with('/') && !path.starts_with("%{user.directory}")) {
        pieces.push_back({"", FormatSpecifier{.subject = ValueSubject::user_directory}});
        pieces.push_back({"/", std::nullopt});
    }
    Result<std::vector<FormatPiece>> rest = parse_format(path);
    if (!rest)
        return rest;
    pieces.insert(pieces.end(), rest->begin(), rest->end());
    return pieces;
}

std::string_view last_component(std::string_view path) { return path.substr(path.rfind('/') + 1); }

// Appends what a stranger may have written.
void append_foreign(std::string& out, std::string_view value, bool raw) {
    for (char c : value) {
        const bool dangerous = is_control_character(c) || c == '/';
        const bool dots = c == '.' && last_component(out).find_first_not_of('.') == out.npos;
        out += dangerous || dots || (is_special_to_a_shell(c) && !raw) ? replacement : c;
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

Result<std::string> expand_maildir_path(std::string_view path, const DeliveryValues& values) {
    Result<std::vector<FormatPiece>> pieces = parse_path(path);
    if (!pieces)
        return pieces.error();
    std::string out;
    std::vector<bool> component_has_values{false};
    for (const FormatPiece& piece : *pieces) {
        std::string text = piece.literal;
        bool trusted = true;
        if (piece.specifier) {
            Result<std::string> value = value_of_specifier(*piece.specifier, values);
            if (!value)
                return value;
            text = std::move(*value);
            trusted = piece.specifier->subject == ValueSubject::user_directory;
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
    if (Result<std::vector<FormatPiece>> pieces = parse_path(path); !pieces)
        return pieces.error();
    return {};
}

} // namespace postern
