// The slice of the configuration that lookup needs: it decides what a recipient is.
#pragma once

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "common/base/ip_address.h"
#include "common/config/configuration.h"

namespace postern::ipc {

struct LookupSettings {
    std::vector<Action> actions;
    std::vector<MatchRule> rules;
    std::map<std::string, Table> tables;
    std::vector<std::string> credentials;   // of tables: user → password hash; and others
    std::string decoy_key; // by which users who do not exist look as if they did; the same for all
                           // lookups of one supervisor
    std::vector<std::string> senders;       // names of tables: user → addresses, with commas
    std::vector<std::string> local_names;   // what `for local` means
    std::vector<IpAddress> local_addresses; // the machine's own: from local
    SrsOptions srs;                         // with its domain
    bool switch_user =
        false; // false: local mail is stored as the user who runs us, whoever it is for
    static constexpr auto fields(auto& m) {
        return std::tie(m.actions, m.rules, m.tables, m.credentials, m.decoy_key, m.senders,
                        m.local_names, m.local_addresses, m.srs, m.switch_user);
    }
};

} // namespace postern::ipc
