// Addresses that lately cost a delivery a long wait without a session, or left it without an answer
// to the end of the content: they are tried last for a while. So not every message waits for a dead
// exchanger first (RFC 5321 4.5.4.1 wants such a list), and one that breaks off at every message is
// not asked for ever while there is another. They are still tried: nobody becomes unreachable by
// it. Proxies that cost as much are not: there is nothing else that could be tried in the meantime.
//
// Those that begin while the first delivery still waits for a connection know of it already
// (egress.cc), and when the time is over one of them alone finds out whether it is still so. What
// is lost on the way can be a single packet: nobody is noted who has answered another in the
// meantime, and whoever answers anybody is noted no longer.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "common/loop/executor.h"
#include "deliver/relay/exchangers.h"

namespace postern::relay {

// An address as it is reached in one way: what does not answer to one source address, or through
// one proxy, may answer to others.
struct Way {
    Endpoint to;
    std::string from{}; // the source address and the proxy, if any
    auto operator<=>(const Way&) const = default;
};

class SlowAddresses {
  public:
    static constexpr std::chrono::seconds too_long{5}; // waited for in vain
    static constexpr std::chrono::seconds remembered{120};
    static constexpr std::chrono::seconds tried{60}; // by one, and avoided by the others
    static constexpr std::chrono::minutes lately{10};
    static constexpr size_t limit = 10000; // addresses; then all are forgotten

    // What was waited for. Whoever accepts connections may still never say a word.
    enum class Stage { connection, session };

    // It was waited for in vain `since`; max(): whatever others have come to.
    void note(const Way& way, Stage stage, TimePoint now, TimePoint since = TimePoint::max()) {
        if (is_reached(way, Stage::session, since) ||
            (stage == Stage::connection && is_reached(way, stage, since)))
            return;
        if (noted_.size() >= limit)
            noted_.clear();
        noted_[way] = {now + remembered, stage};
    }
    // Somebody has come so far.
    void reach(const Way& way, Stage stage, TimePoint now) {
        if (reached_.size() >= limit)
            reached_.clear();
        reached_[{way, stage}] = now;
        const auto found = noted_.find(way);
        if (found != noted_.end() && found->second.stage <= stage)
            noted_.erase(found);
        if (stage == Stage::session)
            silent_.erase(way);
    }
    bool is_reached(const Way& way, Stage stage, TimePoint since) const {
        const auto found = reached_.find({way, stage});
        return found != reached_.end() && found->second > since;
    }
    // Nothing came of a server of this destination through a proxy that does not say whether it has
    // connected. True: nor of another destination's lately, and nobody was heard by it since, so
    // that it is the proxy; that is noted, and it takes two again to do so.
    bool note_silence(const Way& proxy, const std::string& destination, TimePoint now) {
        if (silent_.size() >= limit)
            silent_.clear();
        const auto [first, is_first] = silent_.try_emplace(proxy, Silence{destination, now});
        const bool is_other = !is_first && first->second.destination != destination &&
                              now < first->second.at + lately;
        if (!is_other) {
            first->second = {destination, now};
            return false;
        }
        silent_.erase(first);
        note(proxy, Stage::session, now);
        return true;
    }
    // It is tried once more, now.
    void try_again(const Way& way, TimePoint now) {
        const auto found = noted_.find(way);
        if (found != noted_.end() && found->second.until <= now)
            found->second.until = now + tried;
    }
    void forget(const Way& way) { noted_.erase(way); }

    bool is_slow(const Way& way, TimePoint now) const {
        const auto found = noted_.find(way);
        return found != noted_.end() && found->second.until > now;
    }

    // Puts those that were noted behind the others, the one noted last at the end; otherwise the
    // order stays. `way_to`: from an Endpoint to its Way.
    template <class WayTo>
    void move_to_end(std::vector<Exchanger>& exchangers, TimePoint now, WayTo way_to) const {
        auto rank = [&](const Exchanger& exchanger) {
            const auto found = noted_.find(way_to(exchanger.endpoint));
            const bool fine = found == noted_.end() || found->second.until <= now;
            return fine ? TimePoint::min() : found->second.until;
        };
        std::stable_sort(
            exchangers.begin(), exchangers.end(),
            [&rank](const Exchanger& a, const Exchanger& b) { return rank(a) < rank(b); });
    }

  private:
    struct Noted {
        TimePoint until;
        Stage stage;
    };
    struct Silence {
        std::string destination;
        TimePoint at;
    };
    std::map<Way, Noted> noted_;
    std::map<std::pair<Way, Stage>, TimePoint> reached_; // when last
    std::map<Way, Silence> silent_;                      // by proxy, the last one
};

} // namespace postern::relay
