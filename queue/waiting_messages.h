// The messages that have waiting recipients, by the time of their next attempt, and in order of
// acceptance among those of the same second. A heap; a message knows its place in it.
#pragma once

#include <vector>

#include "queue/mail_table.h"

namespace postern {

class WaitingMessages {
  public:
    // To be called when stage or next_attempt of a recipient has changed.
    void update(QueuedMessage& message);
    // The one with the earliest attempt that is due, or nothing. It stays where it is.
    QueuedMessage* due(WallTime now) const;
    // When one that is not due now will be. INT64_MAX: there is none, or one is due already.
    WallTime next_due(WallTime now) const;

  private:
    void put(QueuedMessage& message, size_t position);
    void move_up(size_t position);
    void move_down(size_t position);
    void remove(QueuedMessage& message);

    std::vector<QueuedMessage*> heap_;
};

} // namespace postern
