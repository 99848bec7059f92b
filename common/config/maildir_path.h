// The path of `action … maildir PATH`, with its format specifiers (smtpd.conf(5), FORMAT
// SPECIFIERS) replaced by what is known of the recipient. Pure.
//
//     %{sender} %{sender.user} %{sender.domain}   reverse-path; empty for the null path
//     %{rcpt} %{rcpt.user} %{rcpt.domain}         recipient, as it was given to us
//     %{dest} %{dest.user} %{dest.domain}         recipient, after aliases
//     %{user.username} %{user.directory}          the system user and his home directory
//     %{mbox.from}                                the sender, or MAILER-DAEMON
//
// A part of the value: %{rcpt.user[0]}, [0:3], [-3:] (offsets from 0, the last one included).
// Modifiers: %{rcpt.user:lowercase|strip}; lowercase, uppercase, strip (without "+tag"), raw.
// `~` at the beginning is the home directory, and a path that does not begin with '/' is below it.
//
// What a stranger wrote never leaves its component of the path: in the values of addresses '/' and
// control characters become ':', and so does a '.' that would make the component "." or "..".
// Characters that are special to a shell become ':' too, unless the modifier `raw` is given.
//
// `smtpd -n` calls check_maildir_path() for each action; the supervisor expands.
#pragma once

#include <string>
#include <string_view>

#include "common/base/result.h"

namespace postern {

struct MaildirValues {
    std::string user;         // system user
    std::string directory;    // his home directory
    std::string recipient;    // forward-path in wire form, without brackets
    std::string destination;  // the same after aliases; empty: there were none
    std::string reverse_path; // in wire form without brackets; empty: the null path
};

// Empty stands for "~/Maildir". Fails for what check_maildir_path() refuses, for a component that
// would be empty because its values are, and for a path or component longer than Linux takes.
Result<std::string> expand_maildir_path(std::string_view path, const MaildirValues& values);

// Whether the path can be expanded at all: what is wrong with it, for the operator.
Result<void> check_maildir_path(std::string_view path);

} // namespace postern
