// Between the supervisor and each process that it started: the first channel that a process has.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include "common/base/file_descriptor.h"
#include "common/ipc/administration.h"
#include "common/ipc/codec.h"
#include "common/ipc/target.h"

namespace postern::ipc {

// The descriptor on which a process finds its channel to the supervisor.
inline constexpr int supervision_fd = 3;

enum class Role : uint8_t {
    listener,
    keyholder,
    resolver,
    lookup,
    control,
    queue,
    relay,
    local,
    pam,
    tables,
    policy,
};
constexpr Role last_enumerator(Role) { return Role::policy; }

// "listener", as in `user listener …`, in the log and in the program's name postern-listener.
const char* role_name(Role role);

// Who a process is to become before it reads anything from outside.
struct Identity {
    bool switch_user = false; // false where the supervisor is not root
    uint32_t user_id = 0;
    uint32_t group_id = 0;
    std::string root_directory; // to chroot into; empty: stay
    static constexpr auto fields(auto& m) {
        return std::tie(m.switch_user, m.user_id, m.group_id, m.root_directory);
    }
};

// What operators have ordered with smtpctl. It holds until they order otherwise, for processes that
// are started later as well.
struct Orders {
    bool verbose = false;
    bool mta_paused = false; // relays
    bool mda_paused = false; // local
    bool smtp_paused = false;
    static constexpr auto fields(auto& m) {
        return std::tie(m.verbose, m.mta_paused, m.mda_paused, m.smtp_paused);
    }

    void heed(const Pause& order);
    void heed(const LogLevel& order) { verbose = order.verbose; }
};

// The first message, and one more with each reload. The settings are one of *_settings.h, encoded
// (encode_bytes) in a sealed memory file, because they can be larger than a packet.
struct Configure {
    Identity identity;   // heeded once
    bool syslog = false; // log there, through the supervisor; else on standard error
    Orders orders;       // heeded once: later ones come from control, which repeats them
    FileDescriptor settings;
    std::vector<FileDescriptor> files; // what the settings refer to, as each *_settings.h says
    static constexpr auto fields(auto& m) {
        return std::tie(m.identity, m.syslog, m.orders, m.settings, m.files);
    }
};

// A channel to a peer: `index` tells relays and listeners apart. It replaces the one to the same
// peer, if there is one: that peer has died, and what was asked of it is void.
struct Connect {
    Role role = Role::queue;
    uint32_t index = 0;
    FileDescriptor channel;
    static constexpr auto fields(auto& m) { return std::tie(m.role, m.index, m.channel); }
};

// Finish what is under way, take on nothing new, exit with 0 within `seconds`.
struct Drain {
    uint32_t seconds = 0;
    static constexpr auto fields(auto& m) { return std::tie(m.seconds); }
};

// local only: run the helper of a delivery as `user`. Paths and commands come from the action's
// settings, which the supervisor has itself. Answered by Exited.
struct Spawn {
    uint32_t request = 0;
    std::string action;
    std::string user;
    std::string reverse_path;
    std::string recipient;
    std::string original_recipient; // ORCPT, as it was given; empty: none
    // What is delivered to instead of what the action says. A command or a file has to stand in
    // the action's aliases, or in the user's .forward. A mailbox: no .forward is looked at.
    std::optional<Target> target;
    FileDescriptor content; // read-only, from its present offset to its end
    FileDescriptor output;  // write end of a pipe: what the helper says
    static constexpr auto fields(auto& m) {
        return std::tie(m.request, m.action, m.user, m.reverse_path, m.recipient,
                        m.original_recipient, m.target, m.content, m.output);
    }
};
// pam only: run the helper that asks PAM about one password (common/ipc/pam.h), with the rights of
// the supervisor. The service has to be one that the configuration names. Answered by Exited.
struct SpawnCheck {
    uint32_t request = 0;
    std::string service;
    FileDescriptor question; // read end of a pipe: an encoded PamQuestion
    FileDescriptor finding;  // write end of a pipe: an encoded PamFinding
    static constexpr auto fields(auto& m) {
        return std::tie(m.request, m.service, m.question, m.finding);
    }
};
// The user has a .forward: nothing was stored.
inline constexpr int helper_forwarded = 200;
struct Forwarded {
    std::vector<Target> targets;
    static constexpr auto fields(auto& m) { return std::tie(m.targets); }
};
// The helper may be ended, with all that it started: its time is over.
struct Kill {
    uint32_t request = 0;
    static constexpr auto fields(auto& m) { return std::tie(m.request); }
};

// The process has taken its settings, dropped its privileges and serves.
struct Ready {
    uint32_t pid = 0;
    static constexpr auto fields(auto& m) { return std::tie(m.pid); }
};

// The helper of this request is done. `status` is its exit status (sysexits.h), 75 (EX_TEMPFAIL) if
// it could not be started or was ended by a signal; `error` then says why. A helper of local may
// also end with helper_forwarded: what it says is an encoded Forwarded.
struct Exited {
    uint32_t request = 0;
    int32_t status = 0;
    std::string error;
    static constexpr auto fields(auto& m) { return std::tie(m.request, m.status, m.error); }
};

using FromSupervisor = std::variant<Configure, Connect, Drain, Exited>;
// Pause and LogLevel: control only, to be kept in Orders; not answered.
using ToSupervisor = std::variant<Ready, Spawn, SpawnCheck, Kill, Pause, LogLevel>;

} // namespace postern::ipc
