// How long the answer to a failed authentication is held back, so that trying out passwords takes
// time. It grows with the failures of the client's address and with those of the account, whichever
// are more, and is forgotten after a while without one. Nobody is locked out: who has the right
// password is not delayed. Pure: it is told the time.
//
// Bounds: max_entries addresses and as many accounts; those whose last failure is the longest ago
// give way.
#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <unordered_map>

#include "common/base/ip_address.h"
#include "common/loop/executor.h"

namespace postern::listener {

class LoginDelays {
  public:
    static constexpr size_t max_entries = 4096;
    static constexpr Duration first = std::chrono::seconds(1); // it doubles
    static constexpr Duration longest = std::chrono::seconds(30);
    static constexpr Duration memory = std::chrono::minutes(15);

    // One more failure; how long to wait before it is answered. Clients with IPv6 count by their
    // /64: more addresses than that cost nothing.
    Duration failed(const IpAddress& client, const std::string& account, TimePoint now);

  private:
    class Failures {
      public:
        // How many there were, this one included.
        uint32_t add(const std::string& key, TimePoint now);

      private:
        struct Entry {
            std::string key;
            uint32_t count = 0;
            TimePoint last;
        };
        std::list<Entry> entries_; // the latest first
        std::unordered_map<std::string, std::list<Entry>::iterator> places_;
    };

    Failures clients_;
    Failures accounts_;
};

} // namespace postern::listener
