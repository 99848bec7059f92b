// What the files of Admin share, and nobody else needs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "common/ipc/administration.h"

namespace postern {

inline constexpr size_t page_limit = 1000;      // entries of one answer
inline constexpr size_t page_room = 128 * 1024; // bytes of them, of the packet's 384 KiB
// Messages looked at for one answer; one that has to be read for it counts as `cost_of_parked`.
inline constexpr size_t cost_limit = 10'000;
inline constexpr size_t cost_of_parked = 20;

inline ipc::Done failed(uint32_t request, std::string error) {
    ipc::Done answer;
    answer.request = request;
    answer.ok = false;
    answer.error = std::move(error);
    return answer;
}

} // namespace postern
