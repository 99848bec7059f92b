// The passwords by which relays log in to relay hosts: the tables that actions name with `auth`,
// and no others. Pure.
#pragma once

#include <map>
#include <string>

#include "common/base/result.h"
#include "common/base/secret.h"
#include "common/ipc/credentials.h"
#include "common/ipc/lookup_settings.h"

namespace postern {

class RelaySecrets {
  public:
    // Fails if a table is not there, or has other things in it.
    static Result<RelaySecrets> prepare(const ipc::LookupSettings& settings);

    // Not found: there is no such label, or the table is not for relays.
    ipc::CredentialAnswer find(const ipc::CredentialQuery& query) const;

    // Overwrites the values of those tables, which are not needed any more after prepare().
    static void wipe_tables(ipc::LookupSettings& settings);

  private:
    std::map<std::string, std::map<std::string, Secret>> tables_; // "user:password" by label
};

} // namespace postern
