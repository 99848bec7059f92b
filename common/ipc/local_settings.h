// The slice of the configuration that local needs.
#pragma once

#include <cstdint>
#include <tuple>

namespace postern::ipc {

struct LocalSettings {
    uint32_t max_helpers = 0; // deliveries at once
    static constexpr auto fields(auto& m) { return std::tie(m.max_helpers); }
};

} // namespace postern::ipc
