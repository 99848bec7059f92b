#include "smtpd/policy/sts_record.h"

#include <algorithm>

#include "common/smtp/text.h"
#include "smtpd/policy/tag_list.h"

namespace postern::policy {

namespace {

constexpr size_t id_limit = 32;

bool is_id(std::string_view text) {
    return text.size() <= id_limit && std::all_of(text.begin(), text.end(), [](char c) {
               return is_ascii_letter(c) || is_ascii_digit(c);
           });
}

} // namespace

std::string sts_record_name(std::string_view domain) { return "_mta-sts." + std::string(domain); }

std::optional<std::string> sts_record_id(const ipc::ResolveAnswer& answer) {
    const auto tags = only_record(answer, "v=STSv1");
    if (!tags)
        return std::nullopt;
    std::optional<std::string> id;
    for (const Tag& tag : *tags) {
        if (tag.name != "id")
            continue;
        if (id || !is_id(tag.value))
            return std::nullopt;
        id = tag.value;
    }
    return id;
}

} // namespace postern::policy
