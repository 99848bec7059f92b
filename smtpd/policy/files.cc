#include "smtpd/policy/files.h"

#include <algorithm>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <unistd.h>

#include "common/base/file_descriptor.h"

namespace postern::policy {

std::vector<std::string> names_in(int directory) {
    std::vector<std::string> names;
    const int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    std::unique_ptr<DIR, int (*)(DIR*)> entries(copy < 0 ? nullptr : fdopendir(copy), closedir);
    while (const dirent* entry = entries ? readdir(entries.get()) : nullptr)
        if (std::string_view(entry->d_name) != "." && std::string_view(entry->d_name) != "..")
            names.emplace_back(entry->d_name);
    return names;
}

Result<std::string> read_file(int directory, const std::string& name, size_t limit) {
    FileDescriptor file(openat(directory, name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!file)
        return system_error("open " + name);
    std::string content;
    char piece[16 * 1024];
    while (content.size() <= limit) {
        const ssize_t got =
            read(file.get(), piece, std::min(sizeof piece, limit + 1 - content.size()));
        if (got < 0)
            return system_error("read " + name);
        if (got == 0)
            break;
        content.append(piece, static_cast<size_t>(got));
    }
    return content;
}

Result<void> replace_file(int directory, const std::string& fresh, const std::string& name,
                          std::string_view content) {
    FileDescriptor file(
        openat(directory, fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!file)
        return system_error("create a file");
    const ssize_t written = pwrite(file.get(), content.data(), content.size(), 0);
    if (written != static_cast<ssize_t>(content.size()))
        return written < 0 ? system_error("write") : Error{"the disk is full"};
    if (fdatasync(file.get()) < 0)
        return system_error("sync");
    if (renameat(directory, fresh.c_str(), directory, name.c_str()) < 0)
        return system_error("rename to " + name);
    if (fsync(directory) < 0)
        return system_error("sync the directory");
    return {};
}

} // namespace postern::policy
