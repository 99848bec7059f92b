// What the clients of one address, of one network, and all together may do: sessions at once, and
// so many of this and that in a minute (smtpd.conf(5), `smtp limit per-address` and so on). Counts
// only: who goes over a limit is told so by the session. No sockets, no clock.
//
// A rate is a leaky bucket: as many as the limit at once, then one for each that has drained.
//
// The memory is fixed. Counters are in a table of sets; which set an address belongs to depends on
// a secret. A newcomer to a full set takes the place of the counters that are the least filled,
// never of those of a client that is here: to be forgotten by filling the table, an attacker has to
// fill the counters of sixteen others as far as their own.
#pragma once

#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <variant>

#include "common/base/ip_address.h"
#include "common/config/configuration.h"
#include "common/ipc/listener_settings.h"
#include "common/loop/executor.h"

namespace postern::listener {

// What is counted in a minute.
enum class Measure : uint8_t { sessions, commands, errors, mails, recipients, bytes };
inline constexpr size_t measures = 6;

enum class LimitScope : uint8_t { address, network, all };
inline constexpr size_t limit_scopes = 3;

// A limit that was reached.
struct Excess {
    LimitScope scope;
    Measure measure;
    bool at_once = false; // sessions at once, not their rate
};

class ClientLimits {
  public:
    static constexpr size_t ways = 16; // counters of a set

    // `secret` is from the system's randomness.
    explicit ClientLimits(uint64_t secret) : secret_(secret) {}

    // Counts go on where they were. The first call sizes the table: about 3 MiB for up to 5000
    // sessions, which is the least. What no client has needed yet takes no memory.
    void configure(const ipc::ClientPolicy& policy, uint32_t max_sessions);

    class Account;
    // A session from `client` begins at `now`. It is counted as long as its account lives, which is
    // shorter than this does. Who is refused costs no memory.
    std::variant<std::unique_ptr<Account>, Excess> admit(const IpAddress& client, TimePoint now);

    bool is_exempt(const IpAddress& client) const;

  private:
    struct Counters {
        IpAddress key; // version 0: free
        bool network = false;
        uint32_t sessions = 0; // at present: while there are any it stays where it is
        TimePoint updated;
        std::array<double, measures> level{};
    };

    std::optional<Excess> find_excess(const Counters* counters, LimitScope scope, TimePoint now);
    Counters* find(const IpAddress& key, bool network);
    Counters* claim(const IpAddress& key, bool network, TimePoint now);
    Counters* set_of(const IpAddress& key, bool network);
    void drain(Counters& counters, LimitScope scope, TimePoint now) const;
    double fill(Counters& counters, TimePoint now) const;
    const ClientRates& rates(LimitScope scope) const;
    double limit(LimitScope scope, Measure measure) const;

    struct Free {
        void operator()(Counters* table) const { std::free(table); }
    };
    std::unique_ptr<Counters[], Free> table_; // zeros of the system's where nobody has been
    uint64_t set_mask_ = 0;
    uint64_t secret_;
    Counters all_;
    ipc::ClientPolicy policy_;
};

// What the client of one session is counted by.
class ClientLimits::Account {
  public:
    Account(ClientLimits& limits, std::array<Counters*, limit_scopes> counters)
        : limits_(limits), counters_(counters) {}
    ~Account();
    Account(const Account&) = delete;
    Account& operator=(const Account&) = delete;

    // One more of these, unless that would be over a limit.
    std::optional<Excess> take(Measure measure, TimePoint now);
    // It has happened, whatever the limit; the counters may go over it.
    void note(Measure measure, double amount, TimePoint now);
    // There is no room for one more.
    std::optional<Excess> excess(Measure measure, TimePoint now);

  private:
    ClientLimits& limits_;
    std::array<Counters*, limit_scopes> counters_; // null where nothing is counted
};

} // namespace postern::listener
