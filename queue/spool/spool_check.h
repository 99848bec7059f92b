// Looks through a spool that no queue uses: the checksum of every record in its log, and of the
// content of every live message. Reads only. For one that is in use: queue/spool/online_check.h.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "queue/spool/file_system.h"

namespace postern {

struct SpoolCheckResult {
    uint64_t segments = 0; // in use
    uint64_t spares = 0;   // segment files waiting to be used again
    uint64_t records = 0;  // good ones
    uint64_t messages = 0; // live; those whose record and content are good
    uint64_t damaged = 0;  // messages, stretches of the log, and indexes, whose checksum is wrong
    uint64_t orphans = 0; // content files that belong to no live message; removed at the next start
    uint64_t set_aside = 0; // files in corrupt/
};

// One line that says it all.
std::string summary(const SpoolCheckResult& result);

// Of a check that is made while the spool is used.
struct SpoolCheckPiece {
    bool last = false;
    std::vector<std::string> lines; // what there is to say; one line, or at most 64 KiB of them
    SpoolCheckResult totals;        // so far
};

// `line`: called with what there is to say of each segment, and of each damage; without a line end.
// Fails with EWOULDBLOCK if a queue has the spool, if a newer version of Postern wrote it, and if
// it cannot be read. RAM: one segment, and some 100 bytes for each live message.
Result<SpoolCheckResult> check_spool(FileSystem& files,
                                     const std::function<void(const std::string&)>& line);

} // namespace postern
