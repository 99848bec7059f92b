// Large content is compared with its checksum before it is handed out for the first time: whoever
// delivers it gets a descriptor, and would send whatever is in the file by then. (Small content is
// checked whenever it is read.)
//
// Owner: the queue. What is read here the deliverer finds in the page cache, so that the disk is
// read once all the same. What looks damaged is read a second time. It is read in pieces as large
// as the largest content that is handed out inside a message, sixteen at most (Executor::run_ready)
// in a turn of the loop, so that others get their turn.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <vector>

#include "common/base/result.h"
#include "common/loop/executor.h"
#include "queue/mail_table.h"
#include "queue/spool/spool.h"

namespace postern {

class ContentCheck {
  public:
    // The job comes back exactly once, later, and those of one message in the same turn. EBADMSG:
    // the content is damaged.
    using Done = std::function<void(Job&, const Result<void>&)>;

    ContentCheck(Executor& executor, Spool& spool, Done done);

    static bool needed(const QueuedMessage& message);
    // Nobody else has the job until it is back.
    void check(Job& job);

    // Gives all jobs back now, unchecked and without an error.
    void give_back();

  private:
    struct Check {
        std::vector<Job*> jobs; // of one message
        uint64_t position = 0;  // bytes that are read
        uint32_t checksum = 0;  // of them
        bool again = false;     // it was damaged the first time, perhaps on its way from the disk
    };
    struct Turn final : Callback {
        explicit Turn(ContentCheck& check) : check_(check) {}
        void call() override { check_.read_piece(); }
        ContentCheck& check_;
    };

    void go_on();
    void read_piece();
    // True when all of it was read.
    Result<bool> advance(Check& check);

    Executor& executor_;
    Spool& spool_;
    Done done_;
    std::deque<Check> open_; // they take turns; with no more jobs than deliverers grant credit
    Turn turn_{*this};
};

} // namespace postern
