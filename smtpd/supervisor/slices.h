// Cuts the configuration into what each process needs, and nothing more.
#pragma once

#include <string>
#include <vector>

#include "common/base/ip_address.h"
#include "common/config/configuration.h"
#include "common/ipc/listener_settings.h"
#include "common/ipc/supervision.h"
#include "smtpd/supervisor/pki_files.h"

namespace postern {

// What the supervisor has found out about the machine, besides the configuration.
struct Surroundings {
    std::string hostname;                   // the server's, if the configuration has none
    std::vector<ipc::ListenAddress> listen; // bound, in the order of the descriptors
    std::vector<IpAddress> local_addresses; // of the machine's interfaces
    std::string trust_anchor;               // text
    std::string hosts;                      // text of /etc/hosts
    Credentials credentials;
    std::string decoy_key;                  // LookupSettings has it
    bool root = false;                      // users can be switched
    uint32_t user_id = 0;                   // who runs us
    uint32_t cores = 1;
};

// The domains of a table, and patterns of them, in lower-case A-labels; none if there is no such
// table.
std::vector<std::string> domains_of(const Configuration& configuration, const std::string& table);
// The networks of a table, none if there is no such table. The value "local" is no network.
std::vector<Network> networks_of(const Configuration& configuration, const std::string& table);

// The services of PAM that listeners ask for passwords.
std::vector<std::string> pam_services_of(const Configuration& configuration);

// Whether mail goes to mail exchangers by the policies of their domains (MTA-STS).
bool asks_for_policies(const Configuration& configuration);

// What a listener with these options offers in EHLO.
std::vector<SaslMechanism> mechanisms_of(const Configuration& configuration,
                                         const AuthOptions& auth);

// The settings of one role, encoded for Configure.
std::string settings_for(ipc::Role role, const Configuration& configuration,
                         const Surroundings& surroundings);

} // namespace postern
