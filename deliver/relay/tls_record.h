// What the process remembers of encrypted connections: hosts with which they fail, and counts.
#pragma once

#include <cstdint>
#include <map>

#include "common/base/ip_address.h"
#include "common/loop/executor.h"

namespace postern::relay {

class TlsRecord {
  public:
    // So long a host gets mail in plain after a handshake has failed, where that is allowed. Short:
    // whoever can break one handshake reads the mail of this time.
    static constexpr std::chrono::minutes remembered{10};
    static constexpr size_t limit = 10000; // hosts; then all are forgotten

    void note_failure(const Endpoint& host, TimePoint now) {
        if (until_.size() >= limit)
            until_.clear();
        until_[host] = now + remembered;
    }
    bool fails_with(const Endpoint& host, TimePoint now) const {
        const auto found = until_.find(host);
        return found != until_.end() && found->second > now;
    }

    uint64_t handshakes = 0; // that were finished
    uint64_t resumed = 0;    // of these
    uint64_t failures = 0;   // handshakes that were not
    uint64_t fallbacks = 0;  // connections in plain after one of these
    uint64_t unmet = 0;      // connections given up because the policy was not met

  private:
    std::map<Endpoint, TimePoint> until_;
};

} // namespace postern::relay
