#include "smtpd/policy/sts_policy.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "common/smtp/domain_name.h"
#include "common/smtp/text.h"

namespace postern::policy {

namespace {

std::optional<ipc::StsMode> parse_mode(std::string_view text) {
    if (text == "enforce")
        return ipc::StsMode::enforce;
    if (text == "testing")
        return ipc::StsMode::testing;
    if (text == "none")
        return ipc::StsMode::none;
    return std::nullopt;
}

// 1*10(DIGIT)
std::optional<uint32_t> parse_max_age(std::string_view text) {
    uint64_t seconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (error != std::errc() || end != text.data() + text.size() || text.size() > 10)
        return std::nullopt;
    return static_cast<uint32_t>(std::min<uint64_t>(seconds, max_age_limit));
}

bool is_pattern(std::string_view text) {
    return is_domain(text.starts_with("*.") ? text.substr(2) : text, Underscore::accepted);
}

// What has been read of a policy so far.
struct Draft {
    bool has_version = false;
    std::optional<ipc::StsMode> mode;
    std::optional<uint32_t> max_age;
    std::vector<std::string> mx;

    // False: the value is none that the field may have.
    bool take(std::string_view field, std::string_view value) {
        if (field == "version" && !has_version)
            return has_version = value == "STSv1";
        if (field == "mode" && !mode)
            return (mode = parse_mode(value)).has_value();
        if (field == "max_age" && !max_age)
            return (max_age = parse_max_age(value)).has_value();
        if (field == "mx") {
            mx.push_back(ascii_lower(value));
            return is_pattern(value) && mx.size() <= ipc::sts_patterns_limit;
        }
        return true;
    }
};

// Takes a line, which ends in LF or CRLF, or at the end.
std::string_view take_line(std::string_view& text) {
    std::string_view line = postern::take_line(text);
    if (line.ends_with('\r'))
        line.remove_suffix(1);
    return trim(line);
}

} // namespace

std::string policy_host(std::string_view domain) { return "mta-sts." + std::string(domain); }

Result<ipc::StsPolicy> parse_sts_policy(std::string_view text) {
    if (text.size() > policy_text_limit)
        return Error{"the policy is too long"};
    Draft draft;
    for (int number = 1; !text.empty(); ++number) {
        const std::string_view line = take_line(text);
        if (line.empty())
            continue;
        const size_t colon = line.find(':');
        if (colon == line.npos ||
            !draft.take(trim(line.substr(0, colon)), trim(line.substr(colon + 1))))
            return Error{"line " + std::to_string(number) + ": " + sanitize(line, 100)};
    }
    if (!draft.has_version || !draft.mode || !draft.max_age)
        return Error{"version, mode or max_age is missing"};
    if (draft.mx.empty() && *draft.mode != ipc::StsMode::none)
        return Error{"no mx is named"};
    ipc::StsPolicy policy;
    policy.mode = *draft.mode;
    policy.max_age = *draft.max_age;
    policy.mx = std::move(draft.mx);
    return policy;
}

} // namespace postern::policy
