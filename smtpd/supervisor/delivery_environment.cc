#include "smtpd/supervisor/delivery_environment.h"

#include "common/config/format_specifier.h"
#include "common/smtp/parameters.h"

namespace postern {

namespace {

constexpr size_t value_limit = 1024;

std::string variable(const char* name, std::string_view value) {
    std::string entry = std::string(name) + "=";
    for (char c : value.substr(0, value_limit))
        entry += is_control_character(c) ? '?' : c;
    return entry;
}

std::string extension_of(const std::string& local_part) {
    const size_t tag = local_part.find(subaddress_delimiter);
    return tag == std::string::npos ? "" : local_part.substr(tag + 1);
}

// What ORCPT says behind "rfc822;".
std::string original_recipient(const ipc::Spawn& request) {
    const std::string& given = request.original_recipient;
    const std::optional<std::string> address =
        decode_xtext(std::string_view(given).substr(given.find(';') + 1));
    return address && !address->empty() ? *address : request.recipient;
}

} // namespace

std::vector<std::string> delivery_environment(const LocalUser& user, const ipc::Spawn& request) {
    const std::string local_part = part_of_address(request.recipient, ValuePart::user);
    return {
        "PATH=/usr/local/bin:/usr/bin:/bin",
        "SHELL=/bin/sh",
        variable("HOME", user.home),
        variable("USER", user.name),
        variable("LOGNAME", user.name),
        variable("SENDER", request.reverse_path),
        variable("RECIPIENT", request.recipient),
        variable("ORIGINAL_RECIPIENT", original_recipient(request)),
        variable("LOCAL", local_part),
        variable("DOMAIN", part_of_address(request.recipient, ValuePart::domain)),
        variable("EXTENSION", extension_of(local_part)),
    };
}

} // namespace postern
