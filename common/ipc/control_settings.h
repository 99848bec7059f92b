// The slice of the configuration that control needs. The listening control socket, already bound
// and with its permissions, is Configure::files[0].
#pragma once

#include <cstdint>
#include <tuple>

namespace postern::ipc {

struct ControlSettings {
    uint32_t allowed_user = 0; // besides root: who runs the supervisor
    static constexpr auto fields(auto& m) { return std::tie(m.allowed_user); }
};

} // namespace postern::ipc
