// The files that `pki` and `ca` name, and the system's authorities, read at the start and at a
// reload.
//
// Keys are copied into memory files without being looked at. Whether they are good is found out in
// a child process that ends at once, which reads the certificates too: their file may hold a key as
// well. So no key comes into this process's memory.
#pragma once

#include <string>
#include <vector>

#include "common/base/file_descriptor.h"
#include "common/base/result.h"
#include "common/config/configuration.h"
#include "common/tls/system_authorities.h"

namespace postern {

struct PkiFiles {
    std::string name;
    std::string certificates; // PEM
    FileDescriptor key;       // a sealed memory file, PEM
};
struct AuthorityFile {
    std::string name;
    std::string certificates; // PEM
};

struct Credentials {
    std::vector<PkiFiles> pkis;
    std::vector<AuthorityFile> authorities;
    std::string system_authorities; // PEM; empty: nobody needs them, or they cannot be read
    std::vector<std::string> warnings;
};

// All of them, or what is wrong with the first bad one: it cannot be read, others than its owner
// and group may read the key, certificate and key do not belong together, and so on.
// Without the system's authorities the server runs: a warning says what that means.
Result<Credentials> read_credentials(const Configuration& configuration,
                                     const std::string& system_path = system_authorities_path);

// Whether all certificates of the system's authorities can be decoded, which takes a while and is
// left to those who verify.
Result<void> check_system_authorities(const std::string& path = system_authorities_path);

} // namespace postern
