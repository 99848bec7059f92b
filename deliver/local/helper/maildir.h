// One message into one Maildir, durably.
//
// When store_in_maildir() succeeds the message is in new/ and synced, its directory too. When it
// fails nothing of it is in new/; at worst, after a crash, a file is left in tmp/, which every mail
// reader clears out. Runs as the mailbox's owner: what he may do is all it can do.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "deliver/local/helper/message.h"

namespace postern {

// Stores it and returns the name of the file. The Maildir is made, with its parents, if it is not
// there. Error::code is the errno.
Result<std::string> store_in_maildir(const std::string& path, const LocalMessage& message);

// A name that no other file in any Maildir has: time, microseconds, process and host
// (https://cr.yp.to/proto/maildir.html). '/' and ':' in the host's name are escaped.
std::string unique_name(int64_t seconds, int64_t microseconds, int64_t process, unsigned attempt,
                        std::string_view host);

} // namespace postern
