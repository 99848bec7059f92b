// The slice of the configuration that the queue needs.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "common/config/configuration.h"

namespace postern::ipc {

// As in the configuration, but for whom in domains and patterns of them; none: all.
struct RetryRule {
    std::optional<std::vector<std::string>> domains;
    std::vector<FailureClass> classes;
    std::chrono::seconds delay{0};
    std::chrono::seconds most{0};
    static constexpr auto fields(auto& m) {
        return std::tie(m.domains, m.classes, m.delay, m.most);
    }
};
struct DestinationLimit {
    std::optional<std::vector<std::string>> domains;
    uint32_t max_deliveries = 0;
    uint32_t rate = 0;
    std::chrono::seconds period{0};
    static constexpr auto fields(auto& m) {
        return std::tie(m.domains, m.max_deliveries, m.rate, m.period);
    }
};
struct SourceLimit {
    IpAddress source;
    uint32_t max_deliveries = 0;
    uint32_t rate = 0;
    std::chrono::seconds period{0};
    static constexpr auto fields(auto& m) {
        return std::tie(m.source, m.max_deliveries, m.rate, m.period);
    }
};

struct QueueSettings {
    // The spool's directory is Configure::files[0] at the first Configure; a reload cannot change
    // it.
    std::string hostname; // in bounces
    std::chrono::seconds ttl{0};
    std::chrono::seconds retry_delay{0};
    std::chrono::seconds retry_max{0};
    std::vector<RetryRule> retries;
    std::vector<std::chrono::seconds> warn_delays; // in order, four at most
    uint32_t max_per_destination = 0;
    std::vector<DestinationLimit> limits;
    std::vector<SourceLimit> source_limits;
    uint32_t max_in_memory = 0;    // messages; see queue/parking.h
    uint32_t max_message_size = 0; // bytes
    uint32_t relays = 0;           // how many relay processes there are
    static constexpr auto fields(auto& m) {
        return std::tie(m.hostname, m.ttl, m.retry_delay, m.retry_max, m.retries, m.warn_delays,
                        m.max_per_destination, m.limits, m.source_limits, m.max_in_memory,
                        m.max_message_size, m.relays);
    }
};

} // namespace postern::ipc
