// What is tried next, and by whom. Pure: the time and randomness are passed in, nothing is sent,
// and what a destination is stays a string.
//
// - Messages with waiting recipients lie in a heap by the time of their next attempt, or of what
//   else is to be done for them.
// - Routed jobs wait at their destination; which of them is the next is in job_lists.h.
//   Destinations take turns at their deliverer, one job each, so that a busy or a dead one does not
//   slow the others.
// - How many jobs a destination has out is its ConcurrencyWindow's to say, as many as its Allowance
//   at most. One that has a rate waits, too, until it may have another, and so does one whose mail
//   leaves from an address that has a limit (scheduler_sources.cc). One that cannot be reached,
//   or lets nothing through, is held: its mail stays where it is, in one piece, until the hold is
//   over; then one job is tried, and when the host answers all of it goes out.
// - A deliverer has at most as many jobs as it granted credit for.
// - When memory is short (Parking), a destination that has a crowd of jobs leaves others behind: it
//   keeps the ids of their messages, and asks for them when there is room.
//
// Everything is O(log n) at most, but for expired(), which looks at all jobs of one destination. It
// is asked for only when one of them has expired, and the more there are, the less often.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/ipc/administration.h"
#include "queue/allowances.h"
#include "queue/mail_table.h"
#include "queue/place.h"
#include "queue/waiting_messages.h"

namespace postern {

struct SchedulerSettings {
    uint32_t relays = 1;
    Allowances allowances;
};

// How a job came back.
enum class Attempt : uint8_t {
    answered, // somebody at the destination spoke, whatever was said of the mail
    hindered, // somebody did, but will have no mail now, or broke off
    down,     // nobody there could be reached
    none,     // it was not tried, or not to its end
};

class Scheduler {
  public:
    static constexpr uint16_t local_deliverer = 0; // relay i is 1 + i

    explicit Scheduler(SchedulerSettings settings);
    ~Scheduler();

    // Holds and queues stay as they are; destinations may go to another relay from now on.
    void configure(SchedulerSettings settings);

    // -- Messages with waiting recipients: see WaitingMessages.
    void update(QueuedMessage& message) { waiting_.update(message); }
    QueuedMessage* due(WallTime now) const { return waiting_.due(now); }
    QueuedMessage* late() const { return waiting_.late(); }
    void forget(QueuedMessage& message) { waiting_.remove(message); }

    // -- Jobs.
    // Behind its equals (Job::rank, retry and sender) of the destination, or before them: it had
    // its turn already. An urgent job goes before all others and ends a hold.
    void enqueue(Job& job, const Place& place, bool front);
    // Takes a job that waits out of its list.
    void withdraw(Job& job);
    // How many jobs make a crowd at a destination.
    void set_crowd(size_t jobs) { crowd_ = jobs; }
    // Whether the destination of the job, which waits there, has others enough: while it is held,
    // one.
    bool crowded(const Job& job) const;
    // Takes the job out of its list; the id of its message stays, behind those that were left
    // there before or in front of them.
    void leave_behind(Job& job, bool front);
    // Jobs that wait at the destination, the last one first, but for the first one; at most
    // `limit`.
    std::vector<Job*> waiting_jobs(uint32_t destination, size_t limit);
    // Ids that were left behind at destinations which have room by now, at most `limit`.
    std::vector<uint64_t> take_left_behind(size_t limit);
    // Whether there are any.
    bool wishes() const { return !wishing_.empty(); }
    // All of them: they are to be routed anew.
    std::vector<uint64_t> forget_left_behind();
    // The next job for this deliverer: it takes a slot of its destination and one credit. Nothing
    // when there is no work, no credit, or it is paused. `now` does not jump.
    Job* next(uint16_t deliverer, TimePoint now);
    // The job is not given to the deliverer yet: it is routed anew. It keeps the slot.
    void return_credit(Job& job);
    // For no fault of its own the job waits again, and is the next; `tried`: it may have been sent.
    void put_back(Job& job, bool tried);
    // The job is back; it holds no slot and no credit after it. True: its destination is held
    // from now on (and was not before), until held_until().
    bool settle(Job& job, Attempt attempt, std::string_view reason, WallTime now, uint64_t random);
    // Takes the jobs that have expired out of the list of a destination that is held: they have
    // failed with it. At most `limit`; release_holds() tells of the others soon.
    std::vector<Job*> expired(uint32_t destination, WallTime now, size_t limit = 1000);

    // -- Destinations, by number; they exist while something waits, is out, or is held, and as long
    // as a window that shrank, or mail that counts against a rate, is remembered.
    struct Hold {
        WallTime until = 0;
        std::string reason;
        size_t waiting = 0; // jobs
        std::string destination;
    };
    // Nothing unless it is held or waits for the outcome of its first try after a hold.
    const Hold* hold(uint32_t destination) const;
    // The first with a greater number, for an operator to see; `number` becomes its. Nothing: there
    // is none.
    std::optional<ipc::DestinationEntry> after(uint32_t& number) const;
    // Ends the hold: an operator wants it so.
    void lift(uint32_t destination);
    void lift_all();
    // Lets those be tried whose hold is over, and forgets what need not be remembered any more. The
    // result are those still held where a job has expired: see expired().
    std::vector<uint32_t> release_holds(WallTime now);

    // Those go on whose rate allows it again.
    void refill(TimePoint now);
    // When refill() has something to do. TimePoint::max(): never.
    TimePoint next_refill() const;

    // -- Deliverers.
    void set_capacity(uint16_t deliverer, uint32_t deliveries);
    uint32_t open(uint16_t deliverer) const;
    size_t deliverers() const { return deliverers_.size(); }
    void pause_relays(bool paused) { relays_paused_ = paused; }
    void pause_local(bool paused) { local_paused_ = paused; }
    bool paused(bool local) const { return local ? local_paused_ : relays_paused_; }
    bool paused(const Job& job) const;

    // When due() or release_holds() have something to do: the earliest time after `now`.
    // INT64_MAX: never.
    WallTime next_event(WallTime now) const;
    size_t destinations() const { return numbers_.size(); }

  private:
    struct RingMember;
    struct Lane;
    struct Destination;
    struct Source;
    struct Deliverer {
        uint32_t capacity = 0;
        uint32_t open = 0;
        RingMember* turn = nullptr; // of the ring of those with work
    };

    Destination& at(uint32_t number) { return *destinations_[number - 1]; }
    Destination& find_or_make(const Place& place);
    void link(Destination& destination, Job& job, bool front);
    static void unlinked(Destination& destination, Job& job);
    bool has_work(const Destination& destination) const;
    void update_ring(Destination& destination);
    void update_wish(Destination& destination);
    void join_ring(RingMember& member);
    void leave_ring(RingMember& member);
    uint16_t deliverer_of(const Destination& destination) const;
    void end_hold(Destination& destination);
    bool failed(Destination& destination, Attempt attempt, uint32_t out);
    void begin_hold(Destination& destination, std::string_view reason, WallTime now,
                    uint64_t random);
    void set_refill(Destination& destination, TimePoint when);
    void clear_refill(Destination& destination);
    void follow_allowance(Destination& destination);
    void give_back_rate(Destination& destination);
    void look_at_rate(Destination& destination, TimePoint now);
    // The one that has a limit: the configuration lets a pool have limits in one family only.
    Source* find_source(const std::vector<IpAddress>& addresses) const;
    void follow_sources();
    void clear_lanes();
    static bool allows_another(const Source& source);
    void wait_in_lane(Destination& destination, bool first = false);
    Destination* first_in(Lane& lane);
    void update_lanes(Source& source);
    void take_from_source(Destination& destination, TimePoint now);
    void give_back_to_source(Destination& destination, bool counts, bool first);
    void refill_sources(TimePoint now);
    TimePoint next_source_refill() const;
    void set_wake(Destination& destination, WallTime when);
    void clear_wake(Destination& destination);
    void forget_if_idle(Destination& destination);

    SchedulerSettings settings_;
    WaitingMessages waiting_;
    std::unordered_map<std::string, uint32_t> numbers_;
    std::vector<std::unique_ptr<Destination>> destinations_;
    std::vector<uint32_t> free_numbers_;
    std::vector<std::unique_ptr<Source>> sources_;
    uint64_t last_ticket_ = 0;
    std::set<std::pair<WallTime, uint32_t>> wakes_;    // when a destination is to be looked at
    std::set<std::pair<TimePoint, uint32_t>> refills_; // the same, for its rate
    size_t crowd_ = 1000;
    uint32_t served_ = 0;        // the last of those that was given some
    std::set<uint32_t> wishing_; // destinations that have left some behind, and have room
    std::vector<Deliverer> deliverers_;
    bool relays_paused_ = false;
    bool local_paused_ = false;
};

} // namespace postern
