// Messages to those in a recipient's place, written to the spool: whom lookup finds behind an alias
// or a list, and whom a .forward names.
//
// Owner: the queue. Promises: a recipient is done with only after all new messages are on disk;
// until then it is `reporting`, and after a crash it is routed again, or found to be done with
// (Cause, in the last of the new messages). Then some of those in its place may get the mail twice.
// While the disk refuses, it is tried again every minute, and nothing more is to be begun. One
// large content at a time is copied, a piece of it in memory; each new message is made when it is
// written, to those that no operator has removed meanwhile.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "common/loop/executor.h"
#include "common/process/operator_port.h"
#include "queue/bounce.h"
#include "queue/expansion.h"
#include "queue/mail_table.h"
#include "queue/recorder.h"
#include "queue/spool/spool.h"

namespace postern {

class Expansions {
  public:
    // A message of ours that is durable now, to be queued.
    using Accept = Bouncer::Accept;
    struct Handlers {
        Accept accept;
        // The content cannot be read (EBADMSG: it is damaged), for these recipients.
        std::function<void(QueuedMessage&, const std::vector<uint32_t>&, const Error&)> unreadable;
        // There may be room for others.
        std::function<void()> wake;
    };

    Expansions(Executor& executor, Spool& spool, MailTable& table, Recorder& recorder,
               Bouncer& bouncer, Counters& counters, Handlers handlers);

    // So many wait to be written that nothing more is to be routed until there are fewer.
    bool full() const;
    // The disk has refused one: recipients in whose place others are have to wait.
    bool refused() const { return !refused_.empty(); }

    // Those of one message in one turn of the loop share new messages. Not to be called for what
    // leads_back(), or while refused().
    void expand(QueuedMessage& message, ExpandedFrom expanded);
    // The same for a .forward of this user; it has messages of its own.
    void forward(QueuedMessage& message, ExpandedFrom expanded, const std::string& user);

    // Of a recipient that leads back: whether its sender is to be told. Of all that have come from
    // one recipient of a message one loop is reported, the first; the others are finished here.
    bool reports_loop(QueuedMessage& message, const StoredMessage& stored, uint32_t index,
                      const std::string& why);

    // At the end of the turn.
    void write_pending();

    bool has_pending() const { return !pending_.empty() || !ready_.empty(); }

  private:
    struct Retry final : Timer {
        Retry(Expansions& expansions, void (Expansions::*member)())
            : expansions_(expansions), member_(member) {}
        void expired() override { (expansions_.*member_)(); }
        Expansions& expansions_;
        void (Expansions::*member_)();
    };
    // The messages to be written for some recipients of one message.
    struct Work {
        uint64_t cause = 0;
        std::vector<ExpandedFrom> expanded;
        size_t count = 0; // of all in their place
        std::string forwarded_for;
        std::deque<std::vector<ExpandedMember>> children; // still to be written
        std::vector<uint64_t> written;                    // ids
        // Of the child that is being copied.
        ContentFile file;
        uint64_t copied = 0;
        uint32_t original_checksum = 0; // of what was copied
        uint32_t checksum = 0;          // with the trace
    };
    enum class Step : uint8_t { more, waits, full, refused, unreadable, gone };

    void begin(QueuedMessage& message, std::vector<ExpandedFrom> expanded,
               const std::string& forwarded_for);
    Step step(uint64_t number, Work& work);
    Step copy(Work& work, const QueuedMessage& message, std::string_view trace);
    Step write(uint64_t number, Work& work, const QueuedMessage& message, std::string_view trace);
    // Those of its recipients that nobody has removed, by position in `expanded`.
    static std::vector<bool> wanted(const Work& work, const QueuedMessage& message);
    static void drop_removed(Work& work, const QueuedMessage& message);
    Result<Ticket> append(uint64_t id, std::string_view payload, Work& work,
                          const QueuedMessage& message, std::string_view trace,
                          std::optional<Error>& unreadable);
    static void name_cause(const Work& work, const StoredMessage& original, StoredMessage& child);
    static bool reports(const Work& work, const ipc::Envelope& original, size_t position);
    void written(uint64_t number, uint64_t id, std::string payload, StoredMessage child,
                 uint64_t size);
    void finish(Work& work);
    void end(uint64_t number);
    void later(uint64_t number, const Error& error);
    void try_refused();
    void go_on() { recorder_.commit_soon(); }

    Executor& executor_;
    Spool& spool_;
    MailTable& table_;
    Recorder& recorder_;
    Bouncer& bouncer_;
    Handlers handlers_;
    uint64_t& expanded_;
    uint64_t& children_;
    std::map<uint64_t, std::vector<ExpandedFrom>> pending_; // by message, of this turn
    std::map<uint64_t, Work> works_;                        // by number
    std::deque<uint64_t> ready_;                            // have something to be done
    std::vector<uint64_t> refused_;                         // by the disk
    size_t waiting_ = 0;                                    // recipients in pending_ and works_
    // Loops that were reported: the message that they began with, who was told, of whom.
    std::set<std::tuple<uint64_t, std::string, std::string>> loops_;
    uint64_t next_ = 1;
    Error refusal_; // the last one
    Retry retry_{*this, &Expansions::try_refused};
    Retry go_on_{*this, &Expansions::go_on};
};

} // namespace postern
