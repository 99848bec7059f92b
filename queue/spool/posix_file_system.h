// The spool's directory on a real disk. Works from a descriptor of it, never from a path, so that
// it keeps working after chroot(2); a descriptor of /proc/self/fd opened at the start serves to
// name unnamed files (O_TMPFILE). Where the file system has no O_TMPFILE, or /proc is missing,
// "unnamed" files have a temporary name ("content/.tmp.N") that the spool removes when it is next
// opened.
//
// Open it in the process that will use it, after fork(2): /proc/self means the opener.
#pragma once

#include <atomic>

#include "queue/spool/file_system.h"

namespace postern {

class PosixFileSystem : public FileSystem {
  public:
    // `directory` must exist. Path: as seen at the time of the call.
    static Result<std::unique_ptr<PosixFileSystem>> open_directory(const std::string& directory);
    // From a descriptor that somebody else opened (O_DIRECTORY).
    static Result<std::unique_ptr<PosixFileSystem>> adopt(FileDescriptor directory);

    Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
    Result<std::unique_ptr<File>> create_unnamed(const std::string& directory) override;
    Result<void> link_unnamed(File& file, const std::string& path) override;
    Result<void> rename(const std::string& from, const std::string& to) override;
    Result<void> unlink(const std::string& path) override;
    Result<void> make_directory(const std::string& path) override;
    Result<std::vector<std::string>> list(const std::string& directory) override;
    Result<void> sync_directory(const std::string& directory) override;
    Result<std::unique_ptr<FileLock>> lock(const std::string& path, LockMode mode) override;
    Result<uint64_t> free_space() override;

    // For tests: behave as on a file system without O_TMPFILE.
    void refuse_unnamed_files() { unnamed_files_ = false; }

  private:
    explicit PosixFileSystem(FileDescriptor root);
    Result<FileDescriptor> open_at(const std::string& path, int flags);

    FileDescriptor root_;
    FileDescriptor proc_fds_; // /proc/self/fd, or none
    std::atomic<bool> unnamed_files_;
    std::atomic<uint64_t> temporary_ = 0; // number of the last temporary name
};

} // namespace postern
