// Sets of domains, as tables and rules write them. Pure.
#pragma once

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
    DomainSet() = default;
    explicit DomainSet(const std::vector<std::string>& values);

    void add(std::string_view text);
    bool contains(const std::string& domain) const; // in canonical form

  private:
    std::unordered_set<std::string> exact_;
    std::unordered_set<std::string> parents_; // of "*.parent"
    std::vector<std::string> patterns_;
};

} // namespace postern
