// The slice of the configuration that policy needs. With it comes the directory of the policies.
#pragma once

#include <string>
#include <tuple>

#include "common/ipc/codec.h"

namespace postern::ipc {

struct PolicySettings {
    std::string hostname;    // ours, in reports
    Blob system_authorities; // PEM: who vouches for the hosts that policies come from
    static constexpr auto fields(auto& m) { return std::tie(m.hostname, m.system_authorities); }
};

} // namespace postern::ipc
