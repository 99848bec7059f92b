// Certificates of a `pki` or a `ca`, as the processes without files are given them.
#pragma once

#include <string>
#include <tuple>

#include "common/ipc/codec.h"

namespace postern::ipc {

// In PEM, under the name that the configuration gives them. Whoever has them has no keys.
struct NamedCertificates {
    std::string name;
    Blob certificates; // of a pki: its own first, then those that vouch for it
    static constexpr auto fields(auto& m) { return std::tie(m.name, m.certificates); }
};

} // namespace postern::ipc
