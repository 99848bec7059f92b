// A queue on a table: simulated time, a simulated disk with a real spool on it, and lookup,
// listeners and deliverers played by the test.
//
//     QueueLab lab;
//     uint64_t id = lab.accept("a@from.example", {"b@dest.example"});
//     Handed& first = lab.handed(0);        // what relay or local was given
//     lab.answer(first, delivered());
//     lab.advance(5min);
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "queue/admin.h"
#include "queue/queue.h"
#include "regress/simulation/simulated_file_system.h"
#include "regress/support/simulated_time.h"

namespace postern::test {

using namespace std::chrono_literals;

struct Handed {
    uint16_t deliverer = 0;
    ipc::Deliver deliver;
    bool answered = false;
    std::vector<std::string> recipients() const;
};

// Outcomes, before they are for somebody.
ipc::RecipientOutcome delivered();
ipc::RecipientOutcome delivered(ipc::Handover handover);
ipc::RecipientOutcome temporary(const std::string& diagnostic = "451 4.3.0 try later");
ipc::RecipientOutcome permanent(const std::string& diagnostic = "550 5.1.1 who is that");

class QueueLab {
  public:
    struct Options {
        bool start = true;          // with everybody connected, and everything loaded
        uint32_t capacity = 100;    // of each deliverer
        FileSystem* disk = nullptr; // a real one, instead of `files`
        SpoolOptions spool = {};
    };
    static ipc::QueueSettings default_settings();

    QueueLab();
    explicit QueueLab(Options options);
    ~QueueLab();

    ipc::QueueSettings settings = default_settings();
    SimulatedTime time;
    SimulatedFileSystem files{1};
    Counters counters;
    std::unique_ptr<Spool> spool;
    std::unique_ptr<Queue> queue;
    std::unique_ptr<Admin> admin;

    // -- Life of the process.
    void start();
    void open(); // start() without loading, and with nobody connected
    void connect_everybody();
    void connect_deliverers();
    void grant_capacity(uint32_t deliveries); // to each deliverer, instead of Options::capacity
    void stop();                              // in order, as by a drain
    void die();                               // the process is killed
    void lose_power(uint64_t seed); // the machine stops; `seed`: what survives of what was unsynced
    // Until nobody has anything to do now.
    void run();
    void advance(Duration duration);
    // What is to be synced is, and the queue hears of it. False: nothing was.
    bool collect();

    // -- Listeners.
    uint32_t submit(const std::string& from, const std::vector<std::string>& to,
                    const std::string& content = "Subject: x\r\n\r\nhello\r\n");
    // The same, with more in its envelope. accepted_at is the queue's to set.
    uint32_t submit(ipc::Envelope envelope,
                    const std::string& content = "Subject: x\r\n\r\nhello\r\n");
    uint64_t accept(ipc::Envelope envelope,
                    const std::string& content = "Subject: x\r\n\r\nhello\r\n");
    // The same, and it has to succeed. The id.
    uint64_t accept(const std::string& from, const std::vector<std::string>& to,
                    const std::string& content = "Subject: x\r\n\r\nhello\r\n");
    std::map<uint32_t, ipc::QueueToListener> answers; // by request

    // -- Lookup: by default everything to the exchanger of the recipient's domain.
    std::function<ipc::RouteAnswer(const ipc::RouteQuery&)> route;
    bool lookup_silent = false;
    size_t questions = 0; // asked so far

    // -- Deliverers. Answers at once what this returns; by default nothing.
    std::function<std::optional<ipc::RecipientOutcome>(const Handed&)> relay;
    std::deque<Handed> all_handed;
    Handed& handed(size_t index);
    size_t handed_count() const { return all_handed.size(); }
    // The same outcome for all recipients. What Queue::outcome() says.
    bool answer(Handed& handed, ipc::RecipientOutcome outcome, bool down = false);

    // -- Control.
    template <class Reply, class Question> Reply ask(Question question) {
        ipc::Question any = std::move(question);
        std::optional<ipc::Answer> reply = admin->ask(any);
        late_answer_.reset();
        run();
        if (!reply)
            reply = std::move(late_answer_);
        EXPECT_TRUE(reply.has_value());
        EXPECT_TRUE(std::holds_alternative<Reply>(*reply));
        return std::get<Reply>(std::move(*reply));
    }
    std::vector<ipc::EnvelopeEntry> show_queue();
    std::string content_of(uint64_t message);

    // What was logged since the laboratory was set up, or since forget_log().
    std::string logged() const;
    void forget_log();
    size_t times_logged(const std::string& text) const;

  private:
    bool answer_lookup();

    Options options_;
    std::deque<ipc::RouteQuery> asked_;
    std::optional<ipc::Answer> late_answer_;
    uint32_t next_request_ = 1;
    uint64_t random_ = 0;
    uint32_t unanswered_ = 0;
    size_t answered_ = 0; // so many of the first ones handed are
    int log_ = -1;
    int standard_error_ = -1;
};

ipc::RouteAnswer to_exchanger(const ipc::RouteQuery& query);
ipc::RouteAnswer verdict(const ipc::RouteQuery& query, ipc::RouteVerdict verdict);

} // namespace postern::test
