// Messages that wait on disk alone: of each only what says when it is needed again. See Parking.
//
// In order of their ids in chunks of at most 512, and by time in a heap whose entries of messages
// that are parked no longer, or until another time, are dropped when they are met, or when they are
// many: 24 bytes and 12, some 50 with what is unused of both.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "queue/mail_table.h"

namespace postern {

struct ParkedMessage {
    uint64_t id = 0;
    uint32_t due = 0;              // seconds since the epoch
    uint32_t recipients = 0;       // that are not finished
    uint32_t destination = 0;      // the scheduler's number, if it was left behind there
    bool content_returned = false; // as QueuedMessage's
    bool at_once = false;          // when it is due, no recipient waits for its next attempt
};

class ParkedMessages {
  public:
    // One that is not parked.
    void park(const ParkedMessage& message);
    // Takes it out; nothing if it is not parked.
    std::optional<ParkedMessage> take(uint64_t id);
    const ParkedMessage* find(uint64_t id) const;
    // The first with an id greater than `id`, in order of acceptance. Valid until one is parked or
    // taken.
    const ParkedMessage* after(uint64_t id) const;

    // The one whose time has come and who has waited longest; it stays. 0: there is none.
    uint64_t due(WallTime now);
    // When due() has one. INT64_MAX: never.
    WallTime next_due();
    // It is due, and its recipients are to be tried at once.
    void hasten(uint64_t id);
    // All are.
    void hasten_all();
    // The clock was set back.
    void turn_back(WallTime seconds);
    // Destinations have lost their numbers.
    void forget_destinations();

    size_t messages() const { return messages_; }
    size_t recipients() const { return recipients_; }

  private:
    using Chunk = std::vector<ParkedMessage>;
    struct Alarm { // 12 bytes: the id in halves, so that it needs no alignment
        uint32_t due = 0, id_high = 0, id_low = 0;
        uint64_t id() const { return uint64_t{id_high} << 32 | id_low; }
        static bool later(const Alarm& a, const Alarm& b) {
            return a.due != b.due ? a.due > b.due : a.id() > b.id();
        }
    };

    std::map<uint64_t, Chunk>::iterator chunk_of(uint64_t id);
    ParkedMessage* look_up(uint64_t id);
    void add_alarm(const ParkedMessage& message);
    void drop_stale_alarms();
    void rebuild_alarms();
    void join_with_next(std::map<uint64_t, Chunk>::iterator chunk);

    // By an id that none of the chunk's is below, and all of the one before are.
    std::map<uint64_t, Chunk> chunks_{{0, {}}};
    std::vector<Alarm> alarms_; // a heap, the earliest first
    size_t messages_ = 0;
    size_t recipients_ = 0;
};

} // namespace postern
