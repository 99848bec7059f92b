#include "common/base/pipe.h"

#include <fcntl.h>
#include <unistd.h>

namespace postern {

Result<Pipe> make_pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) < 0)
        return system_error("pipe");
    return Pipe{FileDescriptor(ends[0]), FileDescriptor(ends[1])};
}

std::string read_available(const FileDescriptor& read_end, size_t limit) {
    ::fcntl(read_end.get(), F_SETFL, O_NONBLOCK);
    std::string text(limit, '\0');
    size_t size = 0;
    while (size < text.size()) {
        const ssize_t got = ::read(read_end.get(), text.data() + size, text.size() - size);
        if (got <= 0)
            break;
        size += static_cast<size_t>(got);
    }
    text.resize(size);
    return text;
}

} // namespace postern
