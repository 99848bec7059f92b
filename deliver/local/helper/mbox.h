// One message at the end of one mbox, durably.
//
// When append_to_mbox() succeeds the message is in the file and synced; the directory too if the
// file is new. When it fails the file is as long as it was before. A crash in between can leave a
// part of the message there: the next delivery begins on a line of its own, and the message comes
// again, whole.
//
// Others are kept out by a lock of fcntl(2) on the file and by FILE.lock. Where the directory lets
// its user make no FILE.lock, as /var/mail may, the first has to do.
//
// The file has to be a regular one that belongs to the user, has no other name, and is not for
// everybody to write to.
#pragma once

#include <chrono>
#include <string>

#include "common/base/result.h"
#include "deliver/local/helper/message.h"

namespace postern {

struct MboxOptions {
    std::chrono::milliseconds lock_wait{std::chrono::seconds(60)};
    std::chrono::seconds stale_after{500}; // of a FILE.lock
};

// Appends it to the file, which is made if it is not there; not so the directory. Nothing happens
// to what is for /dev/null. `now` is for the "From " line, in seconds since the epoch. Error::code
// is the errno: EAGAIN after the time for the locks, EPERM for a file that is not as it should be.
Result<void> append_to_mbox(const std::string& path, const LocalMessage& message, int64_t now,
                            const MboxOptions& options = {});

} // namespace postern
