// Sets of domains and of mailboxes, as tables and rules write them. Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace postern {

// Domains as they are compared: in lower case and A-labels, address literals in their canonical
// form. What IDNA refuses stays as it is, and is met by nothing.
std::string canonical_domain(std::string_view text);

// Domains, "*.domain" and other patterns with '*'.
class DomainSet {
  public:
    void add(std::string_view text);
    bool contains(const std::string& domain) const; // in canonical form

  private:
    std::unordered_set<std::string> exact_;
    std::unordered_set<std::string> parents_; // of "*.parent"
    std::vector<std::string> patterns_;
};

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
