// Between lookup and relays: as whom we speak to a relay host. A relay holds no table: it asks when
// it has to say who it is, and forgets the answer.
#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <variant>

#include "common/base/secret.h"
#include "common/ipc/codec.h"

namespace postern::ipc {

inline constexpr uint32_t credential_credit = 256; // questions one relay may have open

struct CredentialQuery {
    uint32_t request = 0;
    std::string table; // that an action has for this
    std::string label;
    static constexpr auto fields(auto& m) { return std::tie(m.request, m.table, m.label); }
};

struct CredentialAnswer {
    uint32_t request = 0;
    bool found = false;
    std::string user;
    Secret password;
    static constexpr auto fields(auto& m) {
        return std::tie(m.request, m.found, m.user, m.password);
    }
};

using RelayToLookup = std::variant<CredentialQuery>;
using LookupToRelay = std::variant<CredentialAnswer>;

} // namespace postern::ipc
