// A pipe, both ends of which are ours to begin with. Neither survives an exec.
#pragma once

#include <cstddef>
#include <string>

#include "common/base/file_descriptor.h"
#include "common/base/result.h"

namespace postern {

struct Pipe {
    FileDescriptor read_end;
    FileDescriptor write_end;
};

// An error if there are no descriptors left.
Result<Pipe> make_pipe();

// What is in the pipe by now, at most `limit` octets; somebody may still have its other end. From
// then on `read_end` does not block.
std::string read_available(const FileDescriptor& read_end, size_t limit);

} // namespace postern
