// Listening sockets that have a name in the file system. Blocking, at start-up and reload only.
#pragma once

#include <string>
#include <sys/types.h>

#include "common/base/file_descriptor.h"
#include "common/base/result.h"
#include "common/config/configuration.h"

namespace postern {

// The name of a socket that was bound; it goes when this does, unless another file has taken its
// place meanwhile.
class BoundPath {
  public:
    BoundPath() = default; // of no socket
    explicit BoundPath(std::string path);
    BoundPath(BoundPath&& other) noexcept { *this = std::move(other); }
    BoundPath& operator=(BoundPath&& other) noexcept;
    ~BoundPath() { remove(); }

  private:
    void remove();

    std::string path_; // empty: there is nothing to remove
    dev_t device_ = 0;
    ino_t inode_ = 0;
};

// A non-blocking socket of `type` that listens; the directory is made, for everybody to pass
// through, if it is missing. A socket that is there already is replaced if nobody listens on it any
// more; with anything else at this path it fails.
Result<FileDescriptor> listen_on_path(const std::string& path, int type, mode_t mode, int backlog);
// The same, with the group.
Result<FileDescriptor> listen_on(const UnixSocket& where, int backlog);

} // namespace postern
