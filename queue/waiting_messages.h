// The messages that have something to wait for, by its time: the next attempt for one of their
// recipients, or their notice (notice_at); and in order of acceptance among those of the same
// second. A heap; a message knows its place in it.
#pragma once

#include <vector>

#include "queue/mail_table.h"

namespace postern {

// When something is to be done for the message: UINT32_MAX if nothing is, or all of its recipients
// are with somebody.
uint32_t next_time(const QueuedMessage& message);

class WaitingMessages {
  public:
    // To be called when stage or next_attempt of a recipient, or notice_at, has changed. One that
    // has no recipients left, or none that are not reported already, is in the heap no longer.
    void update(QueuedMessage& message);
    void remove(QueuedMessage& message);
    // The one that is due and has been for longest, or nothing. It stays where it is.
    QueuedMessage* due(WallTime now) const;
    // One that is not due for long, if there is any such: not the last of all. Nothing: none waits.
    QueuedMessage* late() const { return heap_.empty() ? nullptr : heap_.back(); }
    // When one that is not due now will be. INT64_MAX: there is none, or one is due already.
    WallTime next_due(WallTime now) const;

  private:
    void put(QueuedMessage& message, size_t position);
    void move_up(size_t position);
    void move_down(size_t position);

    std::vector<QueuedMessage*> heap_;
};

} // namespace postern
