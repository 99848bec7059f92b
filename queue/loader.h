// Takes in what the spool found at the start, piece by piece: mail is accepted and delivered
// meanwhile.
//
// Owner: the queue. A message that cannot be read for a reason that may pass (no descriptors, the
// disk) is tried again, first after a minute, then ever less often, at least every hour. Until it
// is read, and one of an unknown format for as long as this version runs, it is held here, where
// operators see it. Damaged ones are the spool's to set aside.
#pragma once

#include <functional>
#include <map>
#include <vector>

#include "common/loop/executor.h"
#include "queue/mail_table.h"
#include "queue/parked_messages.h"
#include "queue/recorder.h"
#include "queue/spool/spool.h"

namespace postern {

class Loader {
  public:
    // Where a message comes from: what was in the spool at the start, or could not be read then, or
    // was parked.
    enum class From : uint8_t { start, unread, parked };
    struct Handlers {
        // One is in the table, with what is known of its recipients.
        std::function<void(QueuedMessage&, const StoredMessage&, From)> found;
        // It was there at the start, and all is known of it: it may be parked.
        std::function<void(QueuedMessage&)> read;
        // All messages that can be read were.
        std::function<void()> loaded;
        // One more is in the table, after that.
        std::function<void(QueuedMessage&)> found_later;
        // A recipient was reported already: nothing more is to be done for it.
        std::function<void(QueuedMessage&, uint32_t index)> reported;
        // Recipients were delivered (QueuedRecipient::delivered), and no report of it was found.
        std::function<void(QueuedMessage&)> unreported;
    };
    struct Unread {
        uint32_t error = 0; // in MailTable::errors, held by this
        bool lasting = false;
    };

    Loader(Executor& executor, Spool& spool, MailTable& table, ParkedMessages& parked,
           Recorder& recorder, Handlers handlers);

    // No recipient waits longer than this for its next attempt: the clock may have been wrong.
    void set_longest_wait(std::chrono::seconds wait) { longest_wait_ = wait; }

    void start();
    // To be called when the spool's completion_fd() was readable: what was found may be there now.
    void look();
    bool loaded() const { return loaded_; }

    // The message, brought back if it is parked, and then due when it was, or at once. Nothing:
    // there is no such message, or it cannot be read at present. Reads on the calling thread.
    QueuedMessage* find(uint64_t id);
    // A look at a parked one, in a table of its own; it stays where it is.
    QueuedMessage* view(uint64_t id, MailTable& table) const;

    // By id. Bounded by the messages that were in the spool at the start.
    const std::map<uint64_t, Unread>& unread() const { return unread_; }
    // When those are tried again that may pass.
    WallTime next_attempt() const { return next_attempt_; }
    // An operator wants it so.
    void try_again_now();
    // An operator has removed it.
    void forget(uint64_t id);

  private:
    struct Reading final : Timer {
        explicit Reading(Loader& loader) : loader_(loader) {}
        void expired() override { loader_.read_some(); }
        Loader& loader_;
    };

    void begin_pass();
    void read_some();
    // False: not at present.
    bool read(uint64_t id, From from);
    void take(const RecoveredMessage& found, const StoredMessage& message, From from);
    WallTime latest() const { return executor_.wall_seconds() + longest_wait_.count(); }
    void hold(uint64_t id, const std::string& reason, bool lasting);
    void apply_cause(const BounceCause& cause);
    void finish_pass();
    void finish_loading();

    Executor& executor_;
    Spool& spool_;
    MailTable& table_;
    ParkedMessages& parked_;
    Recorder& recorder_;
    Handlers handlers_;
    std::chrono::seconds longest_wait_{0};
    std::vector<uint64_t> to_read_; // in this pass
    size_t next_ = 0;               // in `to_read_`
    size_t failed_ = 0;             // in this pass
    std::string failure_;           // the first of them
    uint32_t passes_ = 0;
    WallTime next_attempt_ = 0;
    std::map<uint64_t, Unread> unread_;
    std::multimap<uint64_t, BounceCause> causes_; // by the message that was reported
    std::vector<uint64_t> unreported_;            // perhaps
    bool expecting_ = false;                      // what was found is still to be taken
    bool loaded_ = false;
    Reading reading_{*this};
};

} // namespace postern
