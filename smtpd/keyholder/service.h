// What the keyholder does: it signs for listeners and relays, and gives them the keys of session tickets.
#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <memory>

#include "common/ipc/channel.h"
#include "common/loop/event_loop.h"
#include "common/loop/task.h"
#include "smtpd/keyholder/keys.h"
#include "smtpd/keyholder/ticket_keys.h"

namespace postern::keyholder {

// How long a key that a reload has taken away signs for handshakes that began with it.
inline constexpr Duration former_key_life = std::chrono::minutes(2);
// A listener may have taken the certificate of a reload before we have its key: the question waits
// for so long.
inline constexpr Duration unknown_key_patience = std::chrono::seconds(5);

class Service {
  public:
    struct Totals {
        uint64_t signatures = 0;
        uint64_t refused = 0;
    };

    // Throws without randomness: there is nothing to be served then.
    explicit Service(EventLoop& loop, Duration former_key_life = keyholder::former_key_life);

    // The keys from now on. Those of before stay for handshakes that have begun, for a while.
    void set_keys(Keys keys);
    // Takes the channel of a listener, in place of its former; or of a relay, which is a client.
    void connect(uint32_t index, FileDescriptor channel, Side side = Side::server);

    const Totals& totals() const { return totals_; }
    size_t keys() const { return present_.size(); }

  private:
    struct Client {
        Side side = Side::server;
        std::unique_ptr<ipc::Channel<ipc::ListenerToKeyholder, ipc::KeyholderToListener>> channel;
        std::deque<ipc::SignQuery> questions; // to be answered, in their order
        TaskGroup waiting;                    // for keys that are unknown so far
    };
    // Answers a question of each listener in turn, so that none waits for all of another's.
    struct Turn final : Callback {
        explicit Turn(Service& service) : service_(service) {}
        void call() override { service_.take_turn(); }
        Service& service_;
    };

    void on_query(Client& client, ipc::SignQuery&& query);
    void take_turn();
    const Keys* keys_with(const std::string& key_id) const;
    void answer(Client& client, const ipc::SignQuery& query);
    void refused(Side side, const Error& why);
    Task<void> answer_later(Client& client, ipc::SignQuery query);
    Task<void> rotate_tickets();
    Task<void> forget(std::list<Keys>::iterator former);

    EventLoop& loop_;
    Duration former_key_life_;
    Keys present_;
    std::list<Keys> former_;
    TicketKeyRing tickets_;
    Totals totals_;
    TimePoint quiet_until_; // nothing is logged of refusals
    std::map<std::pair<Side, uint32_t>, Client> clients_;
    Turn turn_;
    TaskGroup tasks_; // last: it uses the above
};

} // namespace postern::keyholder
