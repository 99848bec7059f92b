// Which `match` rule of smtpd.conf a recipient falls under. Pure: neither files nor DNS, so that
// the same question always has the same answer.
//
// Tables are turned into sets once, when the rules come; a question then costs a few look-ups a
// rule, however large the tables are. What external tables have is passed in with the question.
// Nothing here counts upper and lower case as different.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/ip_address.h"
#include "common/base/result.h"
#include "common/config/configuration.h"
#include "common/ipc/envelope.h"
#include "common/smtp/address.h"
#include "smtpd/lookup/table_answers.h"

namespace postern {

// What `from local` and `for local` mean.
struct LocalIdentity {
    std::vector<std::string> names;   // domains that are this server; "localhost" always is
    std::vector<IpAddress> addresses; // of its interfaces; loopback always is
};

class RuleSet {
  public:
    // Fails if a rule names a table that is not there, or one that cannot be used so.
    static Result<RuleSet> prepare(std::vector<MatchRule> rules,
                                   const std::map<std::string, Table>& tables,
                                   const LocalIdentity& local);

    // The index of the first rule whose criteria all hold; none means that relaying is denied.
    // Mail that we write ourselves (origin.internal) is from local, and where a rule asks for
    // authentication or TLS it counts as having both. A recipient without a domain (RFC 5321
    // 4.1.1.3, <postmaster>) is one of the server's own, in the domain origin.local_hostname.
    //
    // What comes back does not count when `answers` are undecided() afterwards. External tables are
    // asked about only where the rule's other criteria hold.
    std::optional<size_t> match(const ipc::Origin& origin, const Mailbox& reverse_path,
                                const Mailbox& recipient, TableAnswers& answers) const;

    const std::vector<MatchRule>& rules() const;

  private:
    struct Prepared;
    class Builder;
    explicit RuleSet(std::shared_ptr<const Prepared> prepared) : prepared_(std::move(prepared)) {}

    std::shared_ptr<const Prepared> prepared_;
};

} // namespace postern
