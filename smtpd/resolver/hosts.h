// What need not be asked: /etc/hosts, and the names that every host knows (RFC 6761 6.3). Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/ipc/resolution.h"
#include "smtpd/resolver/question.h"

namespace postern {

class HostsFile {
  public:
    // hosts(5): an address and its names on each line. What cannot be understood is passed over.
    static HostsFile parse(std::string_view text);

    // The answer, if this file or RFC 6761 has it; else the DNS is to be asked. A name that is
    // listed with an IPv4 address alone has no IPv6 address, whatever the DNS would say, and the
    // other way round. `localhost` and what is below it never reach the DNS.
    std::optional<ipc::ResolveAnswer> answer(const DnsQuestion& question) const;

  private:
    std::optional<ipc::ResolveAnswer> answer_address(const DnsQuestion& question) const;
    std::optional<ipc::ResolveAnswer> answer_localhost(const DnsQuestion& question) const;

    std::map<std::string, std::vector<IpAddress>, std::less<>> addresses_;
    std::map<IpAddress, std::string> names_; // the first one of the first line with the address
};

} // namespace postern
