// Who talks to whom: which processes there are, and the channels between them. Pure tables.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "common/config/configuration.h"
#include "common/ipc/supervision.h"

namespace postern {

// One process: a role, and which of those with this role.
struct ProcessName {
    ipc::Role role = ipc::Role::queue;
    uint32_t index = 0;
    auto operator<=>(const ProcessName&) const = default;
};

// How many of each role the configuration asks for, on a machine with so many cores.
uint32_t process_count(ipc::Role role, const Configuration& configuration, uint32_t cores);

// All processes, in the order in which they are started: those that clients wait for first.
std::vector<ProcessName> all_processes(const Configuration& configuration, uint32_t cores);

// Whether a client waits for processes of this role: they take its mail, or are asked meanwhile.
bool serves_clients(ipc::Role role);

// Whether processes of these roles share a channel; the order does not matter.
bool connected(ipc::Role one, ipc::Role other);

// The order of an end: each step is done when none of its roles runs. The front goes first, so that
// what it has accepted is on disk before the queue stops; those who answer questions go last.
struct DrainStep {
    std::vector<ipc::Role> roles;
    uint32_t seconds; // for sessions and deliveries under way; then they are killed
};
const std::vector<DrainStep>& drain_steps();

} // namespace postern
