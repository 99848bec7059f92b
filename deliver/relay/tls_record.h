// What the process remembers of encrypted connections: hosts with which they fail, and counts.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "common/base/ip_address.h"
#include "common/loop/executor.h"

namespace postern::relay {

class TlsRecord {
  public:
    // So long a host gets mail in plain after a handshake has failed, where that is allowed. Short:
    // whoever can break one handshake reads the mail of this time.
    static constexpr std::chrono::minutes remembered{10};
    static constexpr size_t limit = 10000; // hosts; then all are forgotten

    // `terms`: what was wanted of the connection. Others may still be agreed on.
    void note_failure(const Endpoint& host, const std::string& terms, TimePoint now) {
        if (until_.size() >= limit)
            until_.clear();
        until_[{host, terms}] = now + remembered;
    }
    bool fails_with(const Endpoint& host, const std::string& terms, TimePoint now) const {
        const auto found = until_.find({host, terms});
        return found != until_.end() && found->second > now;
    }

    uint64_t handshakes = 0; // that were finished
    uint64_t resumed = 0;    // of these
    uint64_t failures = 0;   // handshakes that were not
    uint64_t fallbacks = 0;  // connections in plain at once after one of these
    uint64_t unmet = 0;      // connections given up because the policy was not met

  private:
    std::map<std::pair<Endpoint, std::string>, TimePoint> until_;
};

} // namespace postern::relay
