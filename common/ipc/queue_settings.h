// The slice of the configuration that the queue needs.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

namespace postern::ipc {

struct QueueSettings {
    // The spool's directory is Configure::files[0] at the first Configure; a reload cannot change
    // it.
    std::string hostname; // in bounces
    std::chrono::seconds ttl{0};
    std::chrono::seconds retry_delay{0};
    std::chrono::seconds retry_max{0};
    std::vector<std::chrono::seconds> warn_delays; // in order, four at most
    uint32_t max_per_destination = 0;
    uint32_t max_in_memory = 0;    // messages; see queue/parking.h
    uint32_t max_message_size = 0; // bytes
    uint32_t relays = 0;           // how many relay processes there are
    static constexpr auto fields(auto& m) {
        return std::tie(m.hostname, m.ttl, m.retry_delay, m.retry_max, m.warn_delays,
                        m.max_per_destination, m.max_in_memory, m.max_message_size, m.relays);
    }
};

} // namespace postern::ipc
