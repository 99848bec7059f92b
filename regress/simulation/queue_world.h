// A queue process on a simulated disk in simulated time, and everybody around it: listeners,
// lookup, deliverers, operators, who do what they do at random, from a seed. What they see goes
// into a QueueLedger.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "queue/admin.h"
#include "queue/queue.h"
#include "regress/simulation/exploration.h"
#include "regress/simulation/queue_ledger.h"
#include "regress/simulation/simulated_file_system.h"
#include "regress/support/simulated_time.h"

namespace postern {

class QueueWorld {
  public:
    QueueWorld(uint64_t seed, bool verbose);
    ~QueueWorld();

    SimulatedFileSystem files;
    SimulationRandom random;
    size_t max_pending = 64u << 20; // bytes; see SpoolOptions

    // -- Life of the process.
    // False: it ended again, because the disk refuses or the machine has stopped.
    bool start();
    bool running() const { return queue_ != nullptr; }
    // In order, as by SIGTERM.
    void stop();
    // Killed, or with the machine; the disk is as it is then.
    void die();

    // -- One thing that somebody does.
    void act();
    // Everybody has what he needs, says yes, and time goes by until the queue is empty.
    void come_to_rest();
    // Nobody has anything to do now.
    void run();
    // What the table, the counters and the spool say is what was seen.
    void compare();

    QueueLedger& ledger() { return ledger_; }

  private:
    struct Open {
        uint16_t deliverer = 0;
        uint64_t delivery = 0;
        QueueLedger::Handed handed;
        std::map<uint32_t, std::string> addresses; // by index
        bool internal = false;
    };
    struct Upload {
        ipc::Envelope envelope;
        std::string content;
    };

    void connect_listener();
    void connect_lookup();
    void connect_deliverer(uint16_t deliverer);
    void throw_violation();
    void listen(ipc::QueueToListener message);
    void take(uint16_t deliverer, ipc::Deliver deliver);
    void take_answer(const ipc::Answer& answer);

    void submit();
    ipc::Envelope envelope();
    void upload(ipc::ContentFile file);
    bool answer_questions();
    ipc::RouteAnswer route(const ipc::RouteQuery& query);
    static std::string other(const std::string& recipient, const char* kind, size_t number);
    static size_t expands(const std::string& recipient, size_t divisor);
    void expand(const ipc::RouteQuery& query, size_t others, ipc::RouteAnswer& answer);
    void forward(const std::string& recipient, ipc::RecipientOutcome& outcome);
    bool answer_deliveries();
    void answer_delivery(Open open);
    ipc::RecipientOutcome outcome();
    void lie(uint16_t deliverer);
    void lose_deliverer(uint16_t deliverer);
    void operate();
    void remove_something();
    void give_order();
    void end_order();
    void compare_orders();
    void reload();
    void let_time_pass(Duration duration);
    bool sync(bool lazy);
    void compare_counters();
    WallTime expired_by() const;
    bool chance(double probability) { return random.chance(probability); }

    const bool verbose_;
    const bool expiring_;
    test::SimulatedTime time_;
    Counters counters_;
    ipc::QueueSettings settings_;
    QueueLedger ledger_;
    std::unique_ptr<Spool> spool_;
    std::unique_ptr<Queue> queue_;
    std::unique_ptr<Admin> admin_;
    std::deque<ipc::RouteQuery> questions_;
    std::vector<Open> open_;
    std::map<uint32_t, Upload> uploads_; // by request
    std::map<uint32_t, ipc::Change> removals_;
    std::map<uint32_t, int64_t> orders_; // that stand: until when
    std::set<uint32_t> ended_orders_;
    uint32_t next_request_ = 1;
    uint64_t next_recipient_ = 1;
    bool lookup_connected_ = false;
    bool window_open_ = false; // the disk refuses the mark where a failed segment ends
    bool easy_ = false;        // everybody says yes
    bool finishing_ = false;
};

} // namespace postern
