#include "smtpd/lookup/dovecot_protocol.h"

#include <vector>

#include "common/base/base64.h"
#include "common/base/decimal.h"

namespace postern::dovecot {

namespace {

using Fields = std::vector<std::string_view>;

Fields split(std::string_view line) {
    Fields fields;
    while (true) {
        const size_t tab = line.find('\t');
        fields.push_back(line.substr(0, tab));
        if (tab == line.npos)
            return fields;
        line.remove_prefix(tab + 1);
    }
}

// What cannot stand in a line is written as 0x01 and a letter.
std::string unescape(std::string_view text) {
    static constexpr std::pair<char, char> codes[] = {{'0', '\0'}, {'1', '\1'}, {'t', '\t'},
                                                      {'r', '\r'}, {'n', '\n'}, {'l', '\n'}};
    std::string result;
    for (size_t i = 0; i < text.size(); ++i) {
        char c = text[i];
        if (c == '\1' && i + 1 < text.size()) {
            c = text[++i];
            for (const auto& [letter, meaning] : codes)
                if (text[i] == letter)
                    c = meaning;
        }
        result += c;
    }
    return result;
}

// Of the parameters behind the request's number.
std::string parameter(const Fields& fields, std::string_view name) {
    for (size_t i = 2; i < fields.size(); ++i)
        if (fields[i].starts_with(name) && fields[i].substr(name.size()).starts_with('='))
            return unescape(fields[i].substr(name.size() + 1));
    return {};
}

bool has_flag(const Fields& fields, std::string_view name) {
    for (size_t i = 2; i < fields.size(); ++i)
        if (fields[i] == name)
            return true;
    return false;
}

// "OK does not mean access granted": such a user may not log in, or not here.
bool is_for_others(const Fields& fields) {
    for (size_t i = 2; i < fields.size(); ++i)
        for (std::string_view word : {"nologin", "proxy"})
            if (fields[i] == word ||
                (fields[i].starts_with(word) && fields[i].substr(word.size()).starts_with('=')))
                return true;
    return false;
}

// What belongs to a request.
std::optional<Reply> parse_answer(const Fields& fields) {
    const auto request = fields.size() > 1 ? parse_decimal<uint32_t>(fields[1]) : std::nullopt;
    if (!request)
        return std::nullopt;
    if (fields[0] == "OK" && !is_for_others(fields))
        return Success{*request, parameter(fields, "user")};
    if (fields[0] == "OK")
        return Failure{*request, parameter(fields, "user"), false};
    if (fields[0] == "FAIL") {
        const bool temporary = has_flag(fields, "temp") || parameter(fields, "code") == "temp_fail";
        return Failure{*request, parameter(fields, "user"), temporary};
    }
    auto text = decode_base64(fields.size() > 2 ? fields[2] : std::string_view());
    if (!text)
        return std::nullopt;
    return Challenge{*request, *std::move(text)};
}

Secret with_base64(std::string line, std::string_view message) {
    std::string encoded = encode_base64(message);
    line.reserve(line.size() + encoded.size() + 1);
    line += encoded;
    line += '\n';
    wipe(encoded);
    return Secret::take(line);
}

} // namespace

std::optional<Reply> parse_reply(std::string_view line) {
    const Fields fields = split(line);
    const std::string_view verb = fields[0];
    if (verb == "OK" || verb == "FAIL" || verb == "CONT")
        return parse_answer(fields);
    if (verb == "DONE")
        return Done{};
    if (verb == "MECH")
        return fields.size() > 1 ? std::optional<Reply>(Mechanism{find_sasl_mechanism(fields[1])})
                                 : std::nullopt;
    if (verb == "VERSION") {
        const auto major = fields.size() > 1 ? parse_decimal<uint32_t>(fields[1]) : std::nullopt;
        return major ? std::optional<Reply>(Version{*major}) : std::nullopt;
    }
    return Other{};
}

std::string hello(uint32_t client_id) {
    return "VERSION\t1\t1\nCPID\t" + std::to_string(client_id) + "\n";
}

// nologin: nobody will ask about this user afterwards. secured: the client is under TLS.
Secret begin(uint32_t request, SaslMechanism mechanism, const IpAddress& client,
             std::string_view message) {
    return with_base64(
        "AUTH\t" + std::to_string(request) + "\t" + std::string(to_string(mechanism)) +
            "\tservice=smtp\tnologin\tsecured\trip=" + client.to_string() + "\tresp=",
        message);
}

Secret go_on(uint32_t request, std::string_view message) {
    return with_base64("CONT\t" + std::to_string(request) + "\t", message);
}

std::string cancel(uint32_t request) { return "CANCEL\t" + std::to_string(request) + "\n"; }

} // namespace postern::dovecot
