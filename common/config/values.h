// The values of smtpd.conf in text form. Pure functions; nothing where the text is no such value.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/ip_address.h"
#include "common/config/configuration.h"

namespace postern::config {

// Decimal digits.
std::optional<uint64_t> parse_number(std::string_view text);

// "30s", "4h", "4d12h": numbers with the units d, h, m, s in this order; 1 second to 10 years.
std::optional<std::chrono::seconds> parse_duration(std::string_view text);

// "10485760", "64K", "35M", "1G": bytes, K being 1024.
std::optional<uint64_t> parse_size(std::string_view text);

// 1 to 65535, or smtp, submission, submissions, smtps, lmtp.
std::optional<uint16_t> parse_port(std::string_view text);

// An address, IPv6 with or without brackets.
std::optional<IpAddress> parse_address(std::string_view text);

// A domain name that is not a mangled IPv4 address: its last label is not a number. U-labels (RFC
// 5890) come back as A-labels, all else as it was.
std::optional<std::string> parse_host_name(std::string_view text);

// A name or an address literal of the machine: what EHLO and the greeting may say.
std::optional<std::string> parse_helo_name(std::string_view text);

// UTF-8 without controls and blanks; or nothing at all.
bool is_one_word(std::string_view text);

// What a system user can be called.
bool is_user_name(std::string_view text);

// An absolute path that the system can open, and one that a local socket can have.
bool is_absolute_path(std::string_view text);
bool is_socket_path(std::string_view text);

// "user:password" of a table of secrets; both are there. A user has no colon in its name.
bool is_secret(std::string_view text);

// The hash of a password in a form of crypt(3) that is good enough, Argon2id, or what SCRAM stores
// (common/smtp/scram_secret.h); or a locked account, which begins with '*' or '!' as in shadow(5).
bool is_password_hash(std::string_view text);

// What a criterion compares a table with.
enum class TableUse : uint8_t {
    domains,
    networks,
    addresses,
    users,
    tags,
    credentials,           // password hashes, the values of a mapping
    senders,               // lists of addresses, the values of a mapping
    aliases,               // the same of whatever aliases(5) has
    secrets,               // user:password, the values of a mapping
    relay_hosts,           // URLs
    relay_hosts_by_domain, // lists of URLs, the values of a mapping
    sources,               // addresses
    helo_names,            // the values of a mapping from addresses
};

// What a table used so is asked for, if it is external.
TableService service_for(TableUse use);

// Nothing if `value` can be in a table used so; else what was expected. Domains may have U-labels,
// names and local parts UTF-8 (RFC 6531 3.3): who compares them brings them into one form.
std::optional<std::string> check_table_value(TableUse use, std::string_view value);

} // namespace postern::config
