#include "smtpd/supervisor/wiring.h"

#include <algorithm>

#include "smtpd/supervisor/slices.h"

namespace postern {

using ipc::Role;

namespace {

constexpr Role start_order[] = {Role::listener, Role::lookup, Role::queue,  Role::keyholder,
                                Role::resolver, Role::pam,    Role::tables, Role::relay,
                                Role::local,    Role::policy, Role::control};

constexpr std::pair<Role, Role> channels[] = {
    {Role::listener, Role::queue},
    {Role::listener, Role::lookup},
    {Role::listener, Role::resolver},
    {Role::listener, Role::keyholder},
    {Role::queue, Role::lookup},
    {Role::queue, Role::relay},
    {Role::queue, Role::local},
    {Role::relay, Role::resolver},
    {Role::relay, Role::policy},
    {Role::policy, Role::resolver},
    {Role::policy, Role::queue},
    {Role::relay, Role::lookup},
    {Role::relay, Role::keyholder},
    {Role::lookup, Role::pam},
    {Role::lookup, Role::tables},
    // An operator may ask everybody else.
    {Role::control, Role::listener},
    {Role::control, Role::keyholder},
    {Role::control, Role::queue},
    {Role::control, Role::relay},
    {Role::control, Role::local},
    {Role::control, Role::lookup},
    {Role::control, Role::resolver},
    {Role::control, Role::tables},
    {Role::control, Role::policy},
};

} // namespace

uint32_t process_count(Role role, const Configuration& configuration, uint32_t cores) {
    // Others have work to do for each message as well: with more of these than half of the cores,
    // less arrives together for each, and a message costs more.
    const uint32_t half = std::max(cores / 2, 1u);
    switch (role) {
    case Role::listener:
        return configuration.listeners ? configuration.listeners : half;
    case Role::relay:
        return configuration.relays ? configuration.relays : half;
    case Role::pam:
        return pam_services_of(configuration).empty() ? 0 : 1;
    case Role::tables:
        return configuration.external_tables.empty() ? 0 : 1;
    case Role::policy:
        return asks_for_policies(configuration) ? 1 : 0;
    default:
        return 1;
    }
}

std::vector<ProcessName> all_processes(const Configuration& configuration, uint32_t cores) {
    std::vector<ProcessName> all;
    for (Role role : start_order)
        for (uint32_t i = 0; i < process_count(role, configuration, cores); ++i)
            all.push_back({role, i});
    return all;
}

bool serves_clients(Role role) {
    switch (role) {
    case Role::relay:
    case Role::local:
    case Role::policy:
    case Role::control:
        return false;
    default:
        return true;
    }
}

bool connected(Role one, Role other) {
    return std::any_of(std::begin(channels), std::end(channels), [&](const auto& channel) {
        return channel == std::pair(one, other) || channel == std::pair(other, one);
    });
}

const std::vector<DrainStep>& drain_steps() {
    static const std::vector<DrainStep> steps = {
        {{Role::listener}, 10},
        {{Role::queue}, 10},
        {{Role::relay, Role::local}, 3},
        {{Role::control, Role::lookup, Role::resolver, Role::keyholder, Role::pam, Role::tables,
          Role::policy},
         1},
    };
    return steps;
}

} // namespace postern
