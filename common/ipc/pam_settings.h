// The slice of the configuration that pam needs: which services of PAM there are to be asked.
#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

namespace postern::ipc {

// Helpers at once: pam asks for no more, and the supervisor runs no more.
inline constexpr uint32_t pam_helper_limit = 16;

struct PamSettings {
    std::vector<std::string> services;
    static constexpr auto fields(auto& m) { return std::tie(m.services); }
};

} // namespace postern::ipc
