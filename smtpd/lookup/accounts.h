// Who there is and what they may say they are: the tables of credentials and of senders that
// listeners refer to. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/base/result.h"
#include "common/ipc/authentication.h"
#include "common/ipc/lookup_settings.h"
#include "smtpd/lookup/mailbox_set.h"

namespace postern {

class Accounts {
  public:
    Accounts() = default;

    // Fails if settings name a table that is not there or is no mapping.
    static Result<Accounts> prepare(const ipc::LookupSettings& settings);

    // What a password is to be held against. Whoever does not exist, or is locked, gets the hash of
    // somebody else in the same table, always the same one: so the answer takes as long as that for
    // a user who exists, and must be "no" whatever comes out (`exists` is false).
    struct Candidate {
        std::string user; // its name in the table
        std::string hash; // empty: the table has nobody in it
        bool exists = false;
    };
    // Nothing: there is no such table of credentials. User names are the same in any case.
    std::optional<Candidate> find(const std::string& table, std::string_view user) const;

    // `user` as in Candidate.
    ipc::SenderVerdict may_send(const ipc::SenderQuery& query) const;

  private:
    struct Credentials {
        std::unordered_map<std::string, std::string> hashes; // by user, as comparable_name() has it
        std::vector<std::string> usable;                     // hashes that are not locked
    };
    using Senders =
        std::unordered_map<std::string, MailboxSet>; // by user, as comparable_name() has it

    std::map<std::string, Credentials> credentials_;
    std::map<std::string, Senders> senders_;
};

} // namespace postern
