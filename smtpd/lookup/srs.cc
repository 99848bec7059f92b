#include "smtpd/lookup/srs.h"

#include <algorithm>

#include "common/mail/domain.h"
#include "common/sasl/scram_keys.h"
#include "common/smtp/address.h"
#include "common/smtp/domain_name.h"
#include "common/smtp/limits.h"
#include "common/smtp/text.h"

namespace postern {

namespace {

constexpr std::string_view base32 = "abcdefghijklmnopqrstuvwxyz234567";
constexpr size_t hash_length = 8; // 40 bits; a wrong guess costs a RCPT
constexpr uint32_t days = 1024;   // after which the two letters of a day begin again
constexpr int64_t seconds_per_day = 86400;

uint32_t day_of(int64_t now) { return static_cast<uint32_t>(now / seconds_per_day) % days; }

std::string day_text(uint32_t day) { return {base32[day / 32], base32[day % 32]}; }

std::optional<uint32_t> parse_day(std::string_view text) {
    if (text.size() != 2)
        return std::nullopt;
    const size_t high = base32.find(ascii_lower(text[0])), low = base32.find(ascii_lower(text[1]));
    if (high == base32.npos || low == base32.npos)
        return std::nullopt;
    return static_cast<uint32_t>(high * 32 + low);
}

struct Parts {
    std::string_view local_part, domain;
};

// "=hash=day=domain=local part", as the second forwarder has it from the first.
bool is_opaque(std::string_view text) {
    if (text.empty() || (text.front() != '=' && text.front() != '-' && text.front() != '+'))
        return false;
    text.remove_prefix(1);
    for (int i = 0; i < 3; ++i) {
        const size_t end = text.find('=');
        if (end == text.npos || end == 0)
            return false;
        text.remove_prefix(end + 1);
    }
    return !text.empty();
}

// At the last '@'. A local part that is quoted is left alone: it has a '@' or '=' that means
// itself.
std::optional<Parts> split(std::string_view path) {
    const size_t at = path.rfind('@');
    if (at == path.npos || at == 0 || path.front() == '"')
        return std::nullopt;
    return Parts{path.substr(0, at), path.substr(at + 1)};
}

bool has_tag(std::string_view local_part, std::string_view tag) {
    return local_part.size() > tag.size() + 1 &&
           equal_ignoring_case(local_part.substr(0, tag.size()), tag) &&
           (local_part[tag.size()] == '=' || local_part[tag.size()] == '-' ||
            local_part[tag.size()] == '+');
}

// Up to the next '=', which is taken off too; nothing where there is none.
std::optional<std::string_view> take(std::string_view& text) {
    const size_t end = text.find('=');
    if (end == text.npos)
        return std::nullopt;
    const std::string_view part = text.substr(0, end);
    text.remove_prefix(end + 1);
    return part;
}

// What a second forwarder's address has behind its hash, "domain=hash=day=…"; nothing if it is
// none, or the domain is our `own`, whose addresses have a day that this form would hide.
std::string behind_second(std::string_view text, std::string_view own) {
    if (!take(text))
        return {};
    const std::string rest(text);
    const auto domain = take(text);
    return domain && is_domain(*domain) && !same_domain(*domain, own) && is_opaque(text)
               ? rest
               : std::string();
}

Result<std::string> checked(std::string address) {
    if (!parse_reverse_path("<" + address + ">", nullptr, Internationalized::accepted))
        return Error{"a rewritten address that stands for none"};
    return address;
}

} // namespace

SenderRewriting::SenderRewriting(Keys keys, std::string domain, uint32_t lifetime)
    : keys_(std::move(keys)), domain_(normalize_domain(domain)),
      lifetime_(std::min<uint32_t>(lifetime, 500)),
      enabled_(!keys_.present.empty() && is_domain(domain_)) {}

std::string SenderRewriting::hash(std::string_view key, std::string_view text) const {
    const std::string digest = scram::hmac(key, ascii_lower(text));
    std::string out;
    if (digest.size() < 5)
        return out;
    uint64_t bits = 0;
    for (size_t i = 0; i < 5; ++i)
        bits = bits << 8 | static_cast<unsigned char>(digest[i]);
    for (size_t i = 0; i < hash_length; ++i)
        out += base32[bits >> (5 * (hash_length - 1 - i)) & 31];
    return out;
}

bool SenderRewriting::is_hash_of(std::string_view given, std::string_view text) const {
    const std::string lowered = ascii_lower(given);
    const auto made_by = [&](const std::string& key) {
        const std::string wanted = hash(key, text);
        return !wanted.empty() && scram::same_octets(lowered, wanted);
    };
    return made_by(keys_.present) ||
           std::any_of(keys_.former.begin(), keys_.former.end(),
                       [&](const std::string& key) { return !key.empty() && made_by(key); });
}

std::string SenderRewriting::forward(const std::string& reverse_path, int64_t now) const {
    const auto parts = split(reverse_path);
    if (!enabled() || !parts || same_domain(parts->domain, domain_) || !is_domain(parts->domain))
        return reverse_path;
    const std::string_view text =
        parts->local_part.size() > 5 ? parts->local_part.substr(5) : std::string_view();
    std::string rest;
    if (has_tag(parts->local_part, "SRS0") && is_opaque(parts->local_part.substr(4)))
        // Somebody else's: he knows what it stands for.
        rest = std::string(parts->domain) + "=" + std::string(parts->local_part.substr(4));
    else if (has_tag(parts->local_part, "SRS1"))
        rest = behind_second(text, domain_); // past whoever was between
    const char* tag = rest.empty() ? "SRS0=" : "SRS1=";
    if (rest.empty())
        rest = day_text(day_of(now)) + "=" + std::string(parts->domain) + "=" +
               std::string(parts->local_part);
    const std::string proof = hash(keys_.present, tag + rest);
    const std::string local_part = tag + proof + "=" + rest;
    if (proof.empty() || local_part.size() > limits::local_part)
        return reverse_path;
    const Result<std::string> rewritten = checked(local_part + "@" + domain_);
    return rewritten ? *rewritten : reverse_path;
}

bool SenderRewriting::is_ours(std::string_view recipient) const {
    const auto parts = split(recipient);
    return enabled() && parts && same_domain(parts->domain, domain_) &&
           (has_tag(parts->local_part, "SRS0") || has_tag(parts->local_part, "SRS1"));
}

Result<std::string> SenderRewriting::reverse(std::string_view recipient,
                                             std::optional<int64_t> now) const {
    const auto parts = split(recipient);
    if (!parts || !is_ours(recipient))
        return Error{"no rewritten address"};
    const bool first = has_tag(parts->local_part, "SRS0");
    std::string_view text = parts->local_part.substr(5);
    const auto given = take(text);
    if (!given || !is_hash_of(*given, (first ? "SRS0=" : "SRS1=") + std::string(text)))
        return Error{"a rewritten address that is not of our making"};
    if (!first) {
        const auto domain = take(text);
        if (!domain || same_domain(*domain, domain_) || !is_opaque(text))
            return Error{"a malformed rewritten address"};
        return checked("SRS0" + std::string(text) + "@" + std::string(*domain));
    }
    const auto day = take(text);
    const auto domain = take(text);
    const std::optional<uint32_t> made = day ? parse_day(*day) : std::nullopt;
    if (!made || !domain || domain->empty() || text.empty())
        return Error{"a malformed rewritten address"};
    // Another host's clock may be a little ahead, and its day the next one.
    if (now && (day_of(*now) + 1 + days - *made) % days > lifetime_ + 1)
        return Error{"a rewritten address whose time is over"};
    return checked(std::string(text) + "@" + std::string(*domain));
}

} // namespace postern
