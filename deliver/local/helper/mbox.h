// One message at the end of one mbox, durably.
//
// When append_to_mbox() succeeds the message is in the file and synced; the directory too if the
// file was empty. When it fails the file is as long as it was before, unless somebody who heeds no
// lock has written behind the message: then the part of it stays. A crash in between can leave a
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
    // For all of it, less than a helper has until it is killed (ipc::helper_run_time): then nobody
    // would take away a part of the message, and the lock.
    std::chrono::milliseconds time_limit{std::chrono::minutes(4)};
};

// Appends it to the file, which is made if it is not there; not so the directory. Nothing happens
// to what is for /dev/null. `now` is for the "From " line, in seconds since the epoch. Error::code
// is the errno: EAGAIN after the time for the locks, ETIMEDOUT after that for all of it, EPERM for
// a file that is not as it should be.
Result<void> append_to_mbox(const std::string& path, const LocalMessage& message, int64_t now,
                            const MboxOptions& options = {});

} // namespace postern
