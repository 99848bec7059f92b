// The content of a delivery, as a helper reads it.
#pragma once

#include "common/base/file_descriptor.h"
#include "common/base/result.h"
#include "common/ipc/delivery.h"

namespace postern {

// A descriptor from whose present offset to whose end the content is: for the helpers of one
// delivery, which must not move its offset (they use pread(2)). Content of `order` is consumed: it
// goes into a sealed memory file, and so does that of a file which has more in it than the content.
// Fails when the file is shorter than `order` says, or memory is short.
Result<FileDescriptor> open_content(ipc::Deliver& order);

// One more for the same.
Result<FileDescriptor> duplicate(const FileDescriptor& content);

} // namespace postern
