// Which mail goes where: recipients that are due are routed, and wait at their destinations.
//
// Owner: the queue. Promises: what waits goes where the present configuration says. A route that
// was found before it changed is never used, and one that has waited long is found anew; a verdict
// against a recipient counts only if the configuration has not changed since it was asked for.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <vector>

#include "common/loop/executor.h"
#include "queue/expansions.h"
#include "queue/mail_table.h"
#include "queue/router.h"
#include "queue/scheduler.h"
#include "queue/settlement.h"
#include "queue/standing_orders.h"

namespace postern {

class Routing {
  public:
    using Random = std::function<uint64_t()>;

    // `wake`: something has become possible for start(), or for the scheduler.
    // `notice`: a message's notice_at has come; it is later when that returns.
    // `changed`: all that is routed is to be routed anew, what Routing does not see too.
    // `routed`: the recipients of one of the message's jobs wait at their destinations.
    struct Handlers {
        std::function<void()> wake;
        std::function<void(QueuedMessage&)> notice;
        std::function<void()> changed;
        std::function<void(uint64_t)> routed;
    };
    Routing(Executor& executor, MailTable& table, Scheduler& scheduler, Settlement& settlement,
            Expansions& expansions, const StandingOrders& orders, Random random, Handlers handlers);

    void set_ttl(std::chrono::seconds ttl) { ttl_ = ttl; }

    void connect(Router::Ask ask);
    void disconnect() { router_.disconnect(); }
    // False: no sane lookup says that.
    bool answer(ipc::RouteAnswer answer);
    // The configuration has changed: all that is routed is routed anew, wherever it waits.
    void changed();

    // Routes what is due, as far as lookup takes questions, and passes on what has a notice.
    void start(WallTime now);

    // Whether the job's route may be used.
    bool fresh(const Job& job) const;
    // The job, which has a slot of its destination and keeps it, is routed anew.
    void again(Job& job);

  private:
    void wake() { handlers_.wake(); }
    void route(QueuedMessage& message, size_t room, WallTime now);
    void recall_some();
    void recall(Job& job);
    void ask_again(Job& job);
    void job_routed(Job& job, std::vector<RoutedRecipient> recipients);
    void job_unrouted(Job& job);
    void enqueue(QueuedMessage& message, const StoredMessage& stored,
                 std::vector<RoutedRecipient>& recipients, const Job& from);
    bool suspended(QueuedMessage& message, const StoredMessage& stored,
                   const RoutedRecipient& recipient);
    void reroute(const QueuedMessage& message, const StoredMessage& stored,
                 RoutedRecipient& recipient);
    void expand(QueuedMessage& message, const StoredMessage& stored, RoutedRecipient& recipient,
                uint64_t random);
    void not_routed(QueuedMessage& message, const StoredMessage& stored,
                    const RoutedRecipient& recipient, uint64_t random);

    Executor& executor_;
    MailTable& table_;
    Scheduler& scheduler_;
    Settlement& settlement_;
    Expansions& expansions_;
    const StandingOrders& orders_;
    Random random_;
    Handlers handlers_;
    uint64_t sender_seed_; // of sender_key()
    std::chrono::seconds ttl_{0};
    Router router_;
    TimePoint good_since_{};           // routes found before are not to be used
    std::optional<uint64_t> recalled_; // messages up to this one are looked through for old routes
    std::deque<Job*> ask_again_;       // each holds a slot
};

} // namespace postern
