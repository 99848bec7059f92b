// Work for a reader that may be slow, in order: so much in each turn of the loop that others have
// theirs, and none while he has yet to read what was done before.
#pragma once

#include <deque>
#include <functional>

#include "common/loop/executor.h"

namespace postern {

class Paced : Timer {
  public:
    using Work = std::function<void()>;

    // `ready`: whether the reader keeps up. Work may destroy this.
    Paced(Executor& executor, std::function<bool()> ready);
    ~Paced();

    // Done at once where nothing else is to be done before.
    void add(Work work);
    size_t waiting() const { return works_.size(); }

  private:
    void expired() override { go_on(); }
    void go_on();

    Executor& executor_;
    std::function<bool()> ready_;
    std::deque<Work> works_;
    TimePoint turn_{};
    Clock::time_point begun_{}; // of what was done in this turn
    bool working_ = false;
    bool* destroyed_ = nullptr; // set while work is done, to learn that we are gone
};

} // namespace postern
