// Who may talk to a host now: a few at once, one with a host. Others wait, those who came first go
// first.
#pragma once

#include <list>
#include <set>
#include <string>

#include "common/loop/completion.h"

namespace postern::policy {

class HostSlots {
  public:
    HostSlots(Executor& executor, size_t limit) : executor_(executor), limit_(limit) {}

    // While it exists, it waits for its turn, or has it.
    class Slot {
      public:
        Slot(HostSlots& slots, std::string host);
        ~Slot();
        Slot(const Slot&) = delete;

        // Nothing: its turn did not come within the limit.
        auto turn(Duration limit) { return given_.wait(limit); }

      private:
        friend class HostSlots;
        HostSlots& slots_;
        std::string host_;
        bool has_ = false;
        Completion<bool> given_;
    };

  private:
    void give();

    Executor& executor_;
    size_t limit_;
    std::set<std::string> busy_;
    std::list<Slot*> waiting_;
};

} // namespace postern::policy
