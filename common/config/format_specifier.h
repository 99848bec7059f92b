// The format specifiers of smtpd.conf(5) in the paths and commands of local deliveries. Pure.
//
//     %{sender} %{sender.user} %{sender.domain}   reverse-path; empty for the null path
//     %{rcpt} %{rcpt.user} %{rcpt.domain}         recipient, as it was given to us
//     %{dest} %{dest.user} %{dest.domain}         recipient, after aliases
//     %{user.username} %{user.directory}          the system user and his home directory
//     %{mbox.from}                                the sender, or MAILER-DAEMON
//
// A part of the value: %{rcpt.user[0]}, [0:3], [-3:] (offsets from 0, the last one included).
// Modifiers: %{rcpt.user:lowercase|strip}; lowercase, uppercase, strip (without "+tag"), raw.
#pragma once

#include <climits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace postern {

inline constexpr char subaddress_delimiter = '+';

// What is known of a delivery.
struct DeliveryValues {
    std::string user;         // system user
    std::string directory;    // his home directory
    std::string recipient;    // forward-path in wire form, without brackets
    std::string destination;  // the same after aliases; empty: there were none
    std::string reverse_path; // in wire form without brackets; empty: the null path
};

enum class ValuePart { whole, user, domain };
enum class ValueSubject { sender, recipient, destination, mbox_from, user_name, user_directory };

struct FormatSpecifier {
    ValueSubject subject = ValueSubject::recipient;
    ValuePart part = ValuePart::whole;
    long first = 0;
    long last = LONG_MAX; // included; negative: from the end
    bool lowercase = false;
    bool uppercase = false;
    bool strip = false;
    bool raw = false; // the characters that are special to a shell stay
};

// Text, or a specifier.
struct FormatPiece {
    std::string literal;
    std::optional<FormatSpecifier> specifier;
};

// Text with specifiers in it. The error is for the operator.
Result<std::vector<FormatPiece>> parse_format(std::string_view text);

// The value, modified, but not made harmless. Fails if it is too short for the part asked for.
Result<std::string> value_of_specifier(const FormatSpecifier& specifier,
                                       const DeliveryValues& values);

// The local part of an address in wire form, unquoted, or its domain; empty: it has none.
std::string part_of_address(const std::string& address, ValuePart part);

// Characters that a shell takes for something else than themselves; a blank too.
bool is_special_to_a_shell(char c);
bool is_control_character(char c);

} // namespace postern
