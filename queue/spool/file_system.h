// The one interface through which the spool touches files. The real one is PosixFileSystem; the
// tests have one that drops unsynced writes, tears them, fills the disk and fails a sync at will.
//
// Paths are relative to the spool's directory ("segments/00000001"). What a call promises when it
// succeeds is what POSIX promises and no more: written data is not on disk before a sync or a
// durable write, and a new, renamed or removed name not before sync_directory(). After a failed
// sync or durable write the state on disk of everything written since the last good one is
// unknown, and a later sync that succeeds says nothing about it.
//
// A FileSystem may be used from several threads at once; a File likewise, except for the size.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/file_descriptor.h"
#include "common/base/result.h"

namespace postern {

class File {
  public:
    virtual ~File() = default;

    // Reads at `offset` (bytes) into `out`. The result is shorter than `out` only at end of file.
    virtual Result<size_t> read_at(uint64_t offset, std::span<char> out) = 0;

    // Writes all pieces one behind the other from `offset` on; extends the file if need be.
    // Durable: the data, and the size needed to read it back, is on disk when the call succeeds. A
    // failure may leave any part of it written.
    virtual Result<void> write_at(uint64_t offset, std::span<const std::string_view> pieces,
                                  bool durable) = 0;

    // fdatasync(2): everything written to this file so far.
    virtual Result<void> sync() = 0;

    virtual Result<uint64_t> size() = 0;

    // What the page cache has of this stretch (bytes) and has written is let go of, so that the
    // next read is one of the disk. Advice: nothing depends on it.
    virtual void drop_cached(uint64_t /*offset*/, uint64_t /*length*/) {}

    // A duplicate for another process, with the access this file was opened with.
    virtual Result<FileDescriptor> descriptor() = 0;
};

// Held until it is destroyed.
class FileLock {
  public:
    virtual ~FileLock() = default;
};

enum class LockMode { MakeFile, ExistingFile /* ENOENT if there is none */ };
enum class OpenMode { Read, ReadWrite, CreateNew /* read and write; EEXIST if it exists */ };

class FileSystem {
  public:
    virtual ~FileSystem() = default;

    virtual Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) = 0;

    // A write-only file in `directory` without a name; it vanishes when it is closed, or at the
    // latest when the spool is next opened, unless link_unnamed() has named it.
    virtual Result<std::unique_ptr<File>> create_unnamed(const std::string& directory) = 0;
    // EEXIST if `path` exists.
    virtual Result<void> link_unnamed(File& file, const std::string& path) = 0;

    virtual Result<void> rename(const std::string& from, const std::string& to) = 0;
    virtual Result<void> unlink(const std::string& path) = 0;
    // Succeeds if it exists. Mode 0700.
    virtual Result<void> make_directory(const std::string& path) = 0;
    // The names in `directory` without "." and "..", in no order.
    virtual Result<std::vector<std::string>> list(const std::string& directory) = 0;
    // "" is the spool's directory itself.
    virtual Result<void> sync_directory(const std::string& directory) = 0;

    // Exclusive among processes; EWOULDBLOCK if somebody else has it. Creates the file.
    virtual Result<std::unique_ptr<FileLock>> lock(const std::string& path, LockMode mode) = 0;

    // Bytes that an unprivileged user may still write.
    virtual Result<uint64_t> free_space() = 0;
};

} // namespace postern
