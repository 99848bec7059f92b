// Mail that waits for a domain is tried at once, because that domain asks for it (ETRN, RFC 1985).
//
// Owner: the queue. A listener may be anybody's, so what it can cause is bounded: one round for a
// domain in a minute, max_rounds that wait for their turn, some messages looked at in each turn of
// the loop. Mail that is held until a time that its sender set (RFC 4865) stays where it is.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <set>
#include <string>

#include "common/ipc/submission.h"
#include "common/loop/executor.h"
#include "queue/mail_table.h"
#include "queue/parked_messages.h"

namespace postern {

class Queue;

class Waker final : Callback {
  public:
    // `messages`: how many wait for the domain, and are tried now.
    using Answer = std::function<void(ipc::WakeResult result, uint32_t messages)>;

    static constexpr Duration interval = std::chrono::minutes(1); // between two for one domain
    static constexpr size_t max_domains = 1000;                   // that are remembered for it
    static constexpr size_t max_rounds = 16; // that wait for their turn: each looks at all mail
    static constexpr size_t cost_per_turn = 1000; // 1 for each message that is looked at,
    static constexpr size_t cost_of_parked = 20;  // this for one that has to be read for it

    explicit Waker(Queue& queue) : queue_(queue) {}

    // The answer comes at once or when all mail has been looked at; never, if the queue ends.
    void wake(const ipc::Wake& question, Answer answer);

  private:
    struct Round {
        std::string domain;
        bool subdomains = false;
        Answer answer;
        uint64_t last = 0; // message that was looked at
        uint32_t messages = 0;
        std::set<std::string> tried; // domains of which one recipient ends its destination's hold
        bool wants(const std::string& recipient) const;
    };

    bool remember(const std::string& key);
    void finish();
    bool try_now(QueuedMessage& message, Round& round);
    bool try_parked_now(const ParkedMessage& parked, Round& round);
    void lift_holds(QueuedMessage& message, const std::set<uint32_t>& recipients);
    void call() override;

    Queue& queue_;
    std::list<Round> rounds_;                 // one after the other
    std::map<std::string, TimePoint> recent_; // when it was last asked for
};

} // namespace postern
