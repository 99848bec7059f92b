#include "common/ipc/supervision.h"

namespace postern::ipc {

const char* role_name(Role role) {
    switch (role) {
    case Role::listener:
        return "listener";
    case Role::keyholder:
        return "keyholder";
    case Role::resolver:
        return "resolver";
    case Role::lookup:
        return "lookup";
    case Role::control:
        return "control";
    case Role::queue:
        return "queue";
    case Role::relay:
        return "relay";
    case Role::local:
        return "local";
    case Role::pam:
        return "pam";
    case Role::tables:
        return "tables";
    case Role::policy:
        return "policy";
    }
    return "unknown";
}

void Orders::heed(const Pause& order) {
    switch (order.subsystem) {
    case Subsystem::mta:
        mta_paused = order.paused;
        break;
    case Subsystem::mda:
        mda_paused = order.paused;
        break;
    case Subsystem::smtp:
        smtp_paused = order.paused;
        break;
    }
}

} // namespace postern::ipc
