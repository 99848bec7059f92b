// A connection for a thread that may wait, each wait with a limit.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "common/base/file_descriptor.h"
#include "common/base/result.h"

namespace postern::tables {

using Deadline = std::chrono::steady_clock::time_point;

// `place` is "unix:/path", or a host name or address; each of its addresses is tried.
Result<FileDescriptor> connect_blocking(const std::string& place, uint16_t port, Deadline deadline);
Result<void> write_all(const FileDescriptor& socket, std::string_view bytes, Deadline deadline);
// Appends what has come, at least a byte. The end of the connection is an error.
Result<void> read_some(const FileDescriptor& socket, std::string& bytes, Deadline deadline);

} // namespace postern::tables
