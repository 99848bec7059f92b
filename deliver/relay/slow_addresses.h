// Addresses that lately cost a delivery a long wait without a session: they are tried last for a
// while, so that not every message waits for a dead exchanger first (RFC 5321 4.5.4.1 wants such a
// list). They are still tried: nobody becomes unreachable by it.
#pragma once

#include <algorithm>
#include <map>
#include <vector>

#include "common/loop/executor.h"
#include "deliver/relay/exchangers.h"

namespace postern::relay {

class SlowAddresses {
  public:
    static constexpr std::chrono::seconds too_long{5}; // waited for in vain
    static constexpr std::chrono::seconds remembered{120};
    static constexpr size_t limit = 10000; // addresses; then all are forgotten

    void note(const Endpoint& endpoint, TimePoint now) {
        if (until_.size() >= limit)
            until_.clear();
        until_[endpoint] = now + remembered;
    }
    void forget(const Endpoint& endpoint) { until_.erase(endpoint); }

    // Puts the slow ones behind the others; otherwise the order stays.
    void move_to_end(std::vector<Exchanger>& exchangers, TimePoint now) {
        std::stable_partition(exchangers.begin(), exchangers.end(),
                              [&](const Exchanger& exchanger) {
                                  auto found = until_.find(exchanger.endpoint);
                                  if (found != until_.end() && found->second <= now)
                                      found = until_.erase(found), found = until_.end();
                                  return found == until_.end();
                              });
    }

  private:
    std::map<Endpoint, TimePoint> until_;
};

} // namespace postern::relay
