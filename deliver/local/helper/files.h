// Files, as the helper of a delivery uses them. Error::code is the errno.
#pragma once

#include <string>
#include <string_view>

#include "common/base/file_descriptor.h"
#include "common/base/result.h"

namespace postern {

// All of it, also after interruptions.
Result<void> write_all(int fd, std::string_view bytes);

// fsync(2); `what` is for the error.
Result<void> sync(int fd, const std::string& what);

Result<FileDescriptor> open_directory(const std::string& path);

// Makes the name of a file durable: syncs the directory that it is in. Some directories may be
// searched only (that of a home directory, such as /home of another's): then the name is as durable
// as the system makes it.
Result<void> sync_parent(const std::string& path);

// The exit status (sysexits.h) for the errno of a failure: EX_TEMPFAIL, EX_CANTCREAT, EX_NOPERM, or
// EX_IOERR.
int exit_status_of(int code);

} // namespace postern
