// Who there is and what they may say they are: the tables of credentials and of senders that
// listeners refer to. Pure. What external tables have is passed in; what comes back does not count
// when those answers are undecided() afterwards.
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
#include "common/sasl/scram_exchange.h"
#include "smtpd/lookup/mappings.h"
#include "smtpd/lookup/table_answers.h"

namespace postern {

class Accounts {
  public:
    Accounts() = default;

    // Fails if settings name a table that is not there or is no mapping.
    static Result<Accounts> prepare(const ipc::LookupSettings& settings);

    // What a password is to be held against. Whoever does not exist, or is locked, gets the hash of
    // somebody else in the same table, always the same one: so the answer takes as long as that for
    // a user who exists, and must be "no" whatever comes out (`exists` is false). Of an external
    // table that is the first hash that it was seen to have, and before there is any, one of ours.
    struct Candidate {
        std::string user; // its name in the table
        std::string hash; // empty: the table has nobody in it
        bool exists = false;
    };
    // Nothing: there is no such table of credentials. User names are the same in any case.
    std::optional<Candidate> find(const std::string& table, std::string_view user,
                                  TableAnswers& answers) const;

    // What SCRAM holds a client's proof against. Whoever has no secret for SCRAM in the table gets
    // one that nobody has proof for: with a salt that is his as long as lookup_settings.h
    // decoy_key is the same, and the iterations of somebody else. Nothing: there is no such table
    // of credentials, or nobody in it has a secret for SCRAM. `user` has been through SASLprep.
    std::optional<ScramExchange::Account>
    find_scram(const std::string& table, std::string_view user, TableAnswers& answers) const;
    bool has_scram(const std::string& table) const;

    // An external table has this hash for somebody. Only the first one counts, and of secrets for
    // SCRAM the first: whoever does not exist must not look different from day to day.
    void remember(const std::string& table, const std::string& hash);
    // The same of external tables of these names, over a reload.
    void remember_all_of(const Accounts& former);

    // `user` as in Candidate.
    ipc::SenderVerdict may_send(const ipc::SenderQuery& query, TableAnswers& answers) const;

  private:
    struct Credentials {
        bool external = false;
        std::unordered_map<std::string, std::string> hashes; // by user, as comparable_name() has it
        std::vector<std::string> usable;                     // hashes that are not locked
        std::vector<ScramSecret> scram;                      // of these those of SCRAM
        void add(const std::string& hash);
    };
    static std::optional<std::string> hash_of(const std::string& table,
                                              const Credentials& credentials,
                                              const std::string& user, TableAnswers& answers);
    size_t stand_in(const std::string& user, size_t count) const;
    ScramSecret decoy(const std::string& table, const std::string& user,
                      const Credentials& credentials) const;

    std::string decoy_key_;
    std::map<std::string, Credentials> credentials_;
    Mappings senders_; // user: addresses
};

} // namespace postern
