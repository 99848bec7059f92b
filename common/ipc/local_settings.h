// The slice of the configuration that local needs.
#pragma once

#include <chrono>
#include <cstdint>
#include <tuple>

namespace postern::ipc {

// Local deliveries at once. The supervisor runs some more, of a `local` that has died.
inline constexpr uint32_t max_local_helpers = 50;
inline constexpr uint32_t local_helpers_limit = max_local_helpers + 25;
// What a helper has to deliver in, and then for its end after it was told to.
inline constexpr std::chrono::seconds helper_run_time = std::chrono::minutes(5);
inline constexpr std::chrono::seconds helper_end_time{30};

// A helper's exit status, like helper_forwarded: the user's .forward cannot be used. What it says of
// that is for the operator and him, and not for who has sent the mail.
inline constexpr int helper_forward_unusable = 201;

struct LocalSettings {
    uint32_t max_helpers = 0; // deliveries at once
    static constexpr auto fields(auto& m) { return std::tie(m.max_helpers); }
};

} // namespace postern::ipc
