#include "smtpd/listener/login_delays.h"

#include <algorithm>

namespace postern::listener {

uint32_t LoginDelays::Failures::add(const std::string& key, TimePoint now) {
    const auto place = places_.find(key);
    if (place == places_.end()) {
        if (entries_.size() >= max_entries) {
            places_.erase(entries_.back().key);
            entries_.pop_back();
        }
        entries_.push_front(Entry{key, 0, now});
        places_.emplace(key, entries_.begin());
    } else {
        entries_.splice(entries_.begin(), entries_, place->second);
    }
    Entry& entry = entries_.front();
    if (now - entry.last >= memory)
        entry.count = 0;
    entry.last = now;
    return ++entry.count;
}

Duration LoginDelays::failed(const IpAddress& client, const std::string& account, TimePoint now) {
    const IpAddress who = client.version == 6 ? client.prefix(64) : client;
    uint32_t count = clients_.add(who.to_string(), now);
    if (!account.empty()) // what has no name is nobody's account
        count = std::max(count, accounts_.add(account, now));
    Duration delay = first;
    for (uint32_t i = 1; i < count && delay < longest; ++i)
        delay *= 2;
    return std::min(delay, longest);
}

} // namespace postern::listener
