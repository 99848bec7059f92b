#include "deliver/local/content.h"

#include <algorithm>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <vector>

#include "common/process/process.h"

namespace postern {

namespace {

constexpr size_t chunk_size = 256 * 1024;

Result<void> write_all(const FileDescriptor& file, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t written = ::write(file.get(), bytes.data(), bytes.size());
        if (written < 0)
            return system_error("write to a memory file");
        bytes.remove_prefix(static_cast<size_t>(written));
    }
    return {};
}

Result<FileDescriptor> at_offset(FileDescriptor file, off_t offset) {
    if (::lseek(file.get(), offset, SEEK_SET) < 0)
        return system_error("seek in the content");
    return file;
}

// The piece of `file`, in a memory file of its own.
Result<FileDescriptor> copy_piece(const FileDescriptor& file, uint64_t offset, uint64_t length) {
    FileDescriptor copy(memfd_create("content", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!copy)
        return system_error("memfd_create");
    std::vector<char> chunk(static_cast<size_t>(std::min<uint64_t>(length, chunk_size)));
    while (length > 0) {
        const size_t wanted = static_cast<size_t>(std::min<uint64_t>(length, chunk.size()));
        const ssize_t got = ::pread(file.get(), chunk.data(), wanted, static_cast<off_t>(offset));
        if (got < 0)
            return system_error("read the content");
        if (got == 0)
            return Error{"the content is cut short"};
        const auto size = static_cast<size_t>(got);
        if (Result<void> done = write_all(copy, {chunk.data(), size}); !done)
            return done.error();
        offset += size;
        length -= size;
    }
    if (fcntl(copy.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) <
        0)
        return system_error("seal the content");
    return at_offset(std::move(copy), 0);
}

} // namespace

Result<FileDescriptor> open_content(ipc::Deliver& order) {
    if (order.file.empty()) {
        Result<FileDescriptor> file = make_memory_file("content", order.content.bytes);
        order.content.bytes = {};
        return file ? at_offset(std::move(*file), 0) : std::move(file);
    }
    FileDescriptor file = std::move(order.file.front());
    struct stat status;
    if (fstat(file.get(), &status) < 0)
        return system_error("fstat of the content");
    const auto size = static_cast<uint64_t>(status.st_size);
    if (!S_ISREG(status.st_mode) || order.file_offset > size ||
        order.file_length > size - order.file_offset)
        return Error{"the content is cut short"};
    if (order.file_length == size - order.file_offset)
        return at_offset(std::move(file), static_cast<off_t>(order.file_offset));
    return copy_piece(file, order.file_offset, order.file_length);
}

Result<FileDescriptor> duplicate(const FileDescriptor& content) {
    FileDescriptor copy(fcntl(content.get(), F_DUPFD_CLOEXEC, 0));
    if (!copy)
        return system_error("duplicate the content");
    return copy;
}

} // namespace postern
