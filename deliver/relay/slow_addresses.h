// Addresses that lately cost a delivery a long wait without a session, or left it without an answer
// to the end of the content: they are tried last for a while. So not every message waits for a dead
// exchanger first (RFC 5321 4.5.4.1 wants such a list), and one that breaks off at every message is
// not asked for ever while there is another. They are still tried: nobody becomes unreachable by
// it. Proxies that cost as much are not: there is nothing else that could be tried in the meantime.
//
// Those that begin while the first delivery still waits for a connection know of it already
// (egress.cc), and when the time is over one of them alone finds out whether it is still so.
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
    static constexpr std::chrono::seconds tried{60}; // by one, and avoided by the others
    static constexpr size_t limit = 10000; // addresses; then all are forgotten

    void note(const Endpoint& endpoint, TimePoint now) {
        if (until_.size() >= limit)
            until_.clear();
        until_[endpoint] = now + remembered;
    }
    // It is tried once more, now.
    void try_again(const Endpoint& endpoint, TimePoint now) {
        const auto found = until_.find(endpoint);
        if (found != until_.end() && found->second <= now)
            found->second = now + tried;
    }
    void forget(const Endpoint& endpoint) { until_.erase(endpoint); }

    bool is_slow(const Endpoint& endpoint, TimePoint now) const {
        const auto found = until_.find(endpoint);
        return found != until_.end() && found->second > now;
    }

    // Puts those that were noted behind the others, the one noted last at the end; otherwise the
    // order stays.
    void move_to_end(std::vector<Exchanger>& exchangers, TimePoint now) {
        auto rank = [this, now](const Exchanger& exchanger) {
            auto found = until_.find(exchanger.endpoint);
            return found == until_.end() || found->second <= now ? TimePoint::min() : found->second;
        };
        std::stable_sort(
            exchangers.begin(), exchangers.end(),
            [&rank](const Exchanger& a, const Exchanger& b) { return rank(a) < rank(b); });
    }

  private:
    std::map<Endpoint, TimePoint> until_;
};

} // namespace postern::relay
