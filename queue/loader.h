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
#include "queue/recorder.h"
#include "queue/spool/spool.h"

namespace postern {

class Loader {
  public:
    struct Handlers {
        // One is in the table, with what is known of its recipients.
        std::function<void(QueuedMessage&, const StoredMessage&)> found;
        // All messages that can be read are.
        std::function<void()> loaded;
        // One more is, after that.
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

    Loader(Executor& executor, Spool& spool, MailTable& table, Recorder& recorder,
           Handlers handlers);

    // No recipient waits longer than this for its next attempt: the clock may have been wrong.
    void set_longest_wait(std::chrono::seconds wait) { longest_wait_ = wait; }

    void start();
    bool loaded() const { return loaded_; }

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
    void read(uint64_t id);
    void take(RecoveredMessage&& found, const StoredMessage& message);
    // False: there is a success that is perhaps not reported.
    bool take_progress(QueuedMessage& queued, const std::string& bytes);
    void hold(uint64_t id, const std::string& reason, bool lasting);
    void apply_cause(const BounceCause& cause);
    void finish_pass();
    void finish_loading();

    Executor& executor_;
    Spool& spool_;
    MailTable& table_;
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
    bool loaded_ = false;
    Reading reading_{*this};
};

} // namespace postern
