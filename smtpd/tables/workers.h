// The threads that ask for the keys of one table, each over a connection of its own, so that the
// event loop never waits for a library.
//
// Every question has one answer, unless it is forgotten. One that has waited for too long, that
// finds no place, or that comes while the table is away, is answered `away` at once. Whether it is
// back is tried at every question, but after a failure not before a while has passed, which doubles
// from 100 ms to 5 s.
//
// Threads belong to nobody: one that a library keeps goes on when this is destroyed, and ends when
// it comes back.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "common/config/external_table.h"
#include "common/ipc/tables.h"
#include "common/loop/event_loop.h"
#include "smtpd/tables/backend.h"

namespace postern::tables {

struct WorkerLimits {
    unsigned threads = 4;
    size_t questions = ipc::tables_credit; // that wait
    std::chrono::milliseconds waiting{10'000};
    std::chrono::milliseconds first_pause{100}; // of reconnecting
    std::chrono::milliseconds longest_pause{5'000};
};

class Workers {
  public:
    using Make = std::function<std::unique_ptr<Backend>()>;
    using Answer = std::function<void(ipc::TableAnswer)>; // called from the loop

    // `name` is for the log.
    Workers(EventLoop& loop, std::string name, Make make, Answer answer, WorkerLimits limits = {});
    ~Workers();
    Workers(const Workers&) = delete;

    void ask(ipc::TableQuery query);
    // Nobody wants to know any more what is still waiting for a thread: that has no answers.
    void forget();
    // How long the oldest question that a thread has taken on is under way; 0: none is.
    std::chrono::steady_clock::duration longest_running() const;

  private:
    struct Shared;
    static void work(std::shared_ptr<Shared> shared, size_t place);
    bool start_threads();
    void collect();

    std::shared_ptr<Shared> shared_;
    Answer answer_;
    std::unique_ptr<Watch> watch_;
    EventLoop& loop_;
};

} // namespace postern::tables
