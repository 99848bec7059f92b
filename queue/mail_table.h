// All mail in the queue, in RAM: what is needed to decide what comes next, and the envelope. The
// content stays on disk.
//
// Owner: the queue's loop. A message lives here from the moment it is durable until all of its
// recipients are finished and nobody (a job, an unwritten record) refers to it.
//
// Compact by intent: a queue of a million waiting messages is an ordinary bad day. The envelope
// stays encoded as it was stored, and is decoded when it is routed or shown.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "common/ipc/routing.h"
#include "common/loop/executor.h"
#include "queue/pool.h"
#include "queue/records.h"

namespace postern {

using WallTime = int64_t; // seconds since the epoch
// As the table keeps it: 32 bits without sign. What lies outside is brought to the nearest.
uint32_t to_seconds(WallTime when);

enum class Stage : uint8_t {
    waiting,   // until next_attempt, in the scheduler's heap
    routing,   // in a job that the router has, or will have
    ready,     // in a job that waits at its destination
    in_flight, // in a job that a deliverer has
    // Failed for good, delivered or expanded; the report of it, or the mail to those in its place,
    // is not durable yet.
    reporting,
    finished, // delivered, reported, or removed
};

struct QueuedRecipient {
    static constexpr uint32_t none = UINT32_MAX;
    static constexpr uint32_t held_for_good = UINT32_MAX - 1; // next_attempt

    uint32_t next_attempt = 0; // seconds since the epoch; 0: at once; see held_for_good
    uint32_t error = 0;        // of the last attempt, in MailTable::errors
    uint32_t next = none;      // recipient of the same job
    uint16_t attempts = 0;     // stays at its maximum
    Stage stage : 4 = Stage::waiting;
    bool released : 1 = false;  // by an operator who named it: no order suspends it
    bool urgent : 1 = false;    // an operator asked: its destination's hold is lifted
    bool delivered : 1 = false; // reporting: success, by a relay or not
    bool relayed : 1 = false;
    Told told : 4 = 0;         // of what the sender was told already
    bool held : 1 = false;     // waiting: by an operator, until next_attempt
    bool expanded : 1 = false; // reporting: success, in that others are in its place
};
static_assert(sizeof(QueuedRecipient) == 16, "there are millions of them on a bad day");

// The sender was told this too, perhaps.
inline void note_told(QueuedRecipient& recipient, Told told) {
    const Told warnings = std::max<Told>(recipient.told & told::warnings, told & told::warnings);
    recipient.told = static_cast<Told>((warnings | ((recipient.told | told) & told::late)) & 15);
}

struct Job;

struct QueuedMessage {
    uint64_t id = 0;
    uint64_t size = 0; // of the content, bytes
    std::unique_ptr<char[]> stored;
    std::unique_ptr<QueuedRecipient[]> recipients;
    Job* jobs = nullptr; // all jobs that have recipients of it
    uint32_t stored_size = 0;
    uint32_t count = 0;      // of recipients
    uint32_t unfinished = 0; // of them
    uint32_t due = 0;        // earliest next_attempt of those that wait
    uint32_t heap_position = UINT32_MAX;
    uint32_t accepted_at = 0;
    uint32_t notice_at = UINT32_MAX; // seconds since the epoch; see Notices
    bool changed = false;            // since its last record; see Recorder
    bool checked = false;            // its content was compared with its checksum; see ContentCheck
    // When its notice was due, attempts were under way: it is when they are over.
    bool notice_missed = false;
    bool report_pending : 1 = false; // of a delay: it is not on disk yet
    // By a report (RET=FULL); not known any more after a restart.
    bool content_returned : 1 = false;

    std::string_view payload() const { return {stored.get(), stored_size}; }
    // The stored envelope, whole.
    StoredMessage read() const;
    // To be called when an attempt is over, or given up, before the scheduler's update().
    void attempt_over() {
        if (notice_missed)
            notice_at = 0;
    }
};
static_assert(sizeof(QueuedMessage) <= 72);

// Recipients of one message that travel together: to the router, then, with the same route, to
// their destination and in one delivery.
struct Job {
    Job* next = nullptr; // in the list of its destination
    Job* previous = nullptr;
    QueuedMessage* message = nullptr;
    Job* sibling = nullptr; // next job of the same message
    TimePoint routed_at{};  // not of the wall clock, which may be set
    uint32_t first = QueuedRecipient::none;
    uint32_t route = 0; // in MailTable::routes
    uint32_t expires_at = 0;
    uint32_t destination = 0;    // the scheduler's number; 0: none
    uint16_t deliverer = 0;      // who has it
    uint16_t sender = 0;         // sender_key()
    uint8_t losses = 0;          // deliverers that died while they had it
    uint8_t rank = 1;            // 0 goes out before 1, 1 before 2; see rank_of()
    bool retry : 1 = false;      // all its recipients were tried before
    bool has_slot : 1 = false;   // counts against its destination
    bool has_credit : 1 = false; // counts against its deliverer
    bool listed : 1 = false;     // waits at its destination
    bool urgent : 1 = false;     // see QueuedRecipient
    bool gives_up : 1 = false;   // no attempt is begun when it has expired (RFC 2852, mode R)
};
static_assert(sizeof(Job) <= 64);

class MailTable {
  public:
    MailTable() = default;
    MailTable(const MailTable&) = delete;
    MailTable& operator=(const MailTable&) = delete;
    ~MailTable();

    // `payload` is the encoded StoredMessage that `message` was decoded from. Recipients are
    // waiting, due at once, or when the message is to be released. `id` must be new.
    QueuedMessage& add(uint64_t id, std::string_view payload, const StoredMessage& message,
                       uint64_t content_size);
    QueuedMessage* find(uint64_t id);
    // The first with an id greater than `id`, in order of acceptance.
    QueuedMessage* after(uint64_t id);
    // Forgets the message if nothing refers to it any more. True: it is gone.
    bool release(QueuedMessage& message);
    // Forgets a message whose unfinished recipients wait, without a job, and which has not changed
    // since its last record: it is on disk.
    void set_aside(QueuedMessage& message);

    // All changes of stage but to `finished` go through here: they are counted.
    void set_stage(QueuedRecipient& recipient, Stage stage);
    void set_error(QueuedRecipient& recipient, const AttemptError& error);
    void clear_error(QueuedRecipient& recipient);
    // Counts it out. A finished recipient stays finished.
    void finish(QueuedMessage& message, uint32_t index);

    // A job without recipients.
    Job& make_job(QueuedMessage& message);
    static void add_to(Job& job, uint32_t index);
    // Leaves only recipients that are not finished in the job. How many they are.
    static uint32_t prune(Job& job);
    // The job is in no list any more. Forgets the message with it if nothing else refers to that.
    void drop(Job& job);

    size_t messages() const { return messages_.size(); }
    size_t recipients() const { return unfinished_; }
    size_t recipients(Stage stage) const { return by_stage_[static_cast<size_t>(stage)]; }

    Pool<ipc::Route> routes;
    Pool<AttemptError> errors;

  private:
    std::map<uint64_t, QueuedMessage> messages_; // ids count up, so this is order of acceptance
    size_t unfinished_ = 0;
    std::array<size_t, static_cast<size_t>(Stage::finished) + 1> by_stage_{};
};

// Calls `visit(index)` for each recipient of the job, in no particular order. It may change the
// stage, not the chain.
template <class Visit> void for_each_recipient(const Job& job, Visit visit) {
    for (uint32_t index = job.first; index != QueuedRecipient::none;) {
        uint32_t next = job.message->recipients[index].next;
        visit(index);
        index = next;
    }
}

} // namespace postern
