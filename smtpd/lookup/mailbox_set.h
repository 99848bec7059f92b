// Sets of mailboxes, as tables and rules write them. Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <unordered_set>

#include "common/mail/domain_set.h"

namespace postern {

// "user", "@domain", "user@domain", "@" for everything, "<>" for the null reverse-path. Users are
// compared as comparable_name() in common/smtp/internationalized.h has it. A user without a '+' is
// met with any tag behind it too, as in OpenSMTPD.
class MailboxSet {
  public:
    void add(std::string_view text);
    // `domain` in canonical form.
    bool contains(std::string_view local_part, const std::string& domain) const;

  private:
    bool contains_user(const std::string& user, const std::string& domain) const;

    bool everything_ = false;
    bool null_path_ = false;
    DomainSet domains_;
    std::unordered_set<std::string> users_;
    std::unordered_set<std::string> exact_; // user@domain
    std::map<std::string, DomainSet> patterns_of_user_;
};

} // namespace postern
