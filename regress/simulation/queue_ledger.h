// What clients, deliverers and operators have seen of every recipient of every message, and what
// the queue has to hold to because of it:
//
// - what was answered with Durable and is not finished is in the queue, exactly once; what was
//   refused is not, nor is what a start has once shown to be gone;
// - nobody is given a recipient that somebody else has, or one that is finished; after a crash he
//   may be given one again whose end was not yet on disk, that is, the window of a lazy sync;
// - each failure that is to be reported is, once, and so is each success and each delay;
// - a recipient in whose place others are is gone only when a message to each of these has been
//   seen. They may get it twice, by messages of their own; what is said above holds for each.
//
// Reports that the queue writes itself are messages like others from when they are first seen.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/ipc/delivery.h"
#include "queue/mail_table.h"

namespace postern {

class QueueLedger {
  public:
    // -- Clients. Recipients' addresses are unique over all messages.
    void submitted(uint32_t request, const ipc::Envelope& envelope);
    void durable(uint32_t request, uint64_t message);
    void refused(uint32_t request);
    // Its listener has died: nobody was told.
    void abandoned(uint32_t request);
    void listener_died(); // the same for all that are open

    // -- Deliverers.
    struct Handed {
        uint64_t message = 0;
        std::vector<uint32_t> recipients;
    };
    // `content`: all of it, of a report.
    Handed handed(const ipc::Deliver& deliver, const QueuedMessage& message,
                  const std::string& content);
    void ended(uint64_t message, uint32_t index, ipc::RecipientStatus status);
    // It came back without a result.
    void returned(const Handed& handed);
    // The queue was told that others are in its place. `reported`: to a sender who wants to hear of
    // success.
    void expanded(const std::string& recipient, const std::vector<std::string>& others,
                  bool reported);
    // A message that nobody may have been given yet.
    void noticed(const QueuedMessage& message);
    // The queue was told that it goes nowhere.
    void refused_by_rule(const std::string& recipient);

    // -- Operators. Removed; `index` none: all that were left.
    void removed(uint64_t message, std::optional<uint32_t> index, bool recorded);
    // The message that is removed is this report, which nobody may have been given yet.
    void report_removed(const BounceCause& cause);

    // -- Lives of the process. `window`: the disk had refused the mark that a failed write needs,
    // so that what was refused may come back.
    void life_ended(bool window);

    // Compares with the queue's table; all of the spool is loaded. `expired_by`: what was accepted
    // up to then may have been given up.
    void compare(MailTable& table, WallTime expired_by);
    // The same; everything that the queue has recorded is on disk, and nothing is under way.
    void checkpoint(MailTable& table, WallTime expired_by);
    // Nothing is left in the queue: everybody is where he should be. `reports_expire`: perhaps
    // before anybody was given them.
    void finish(bool reports_expire);

    // The first thing that went wrong; empty: nothing.
    const std::string& violation() const { return violation_; }
    void fail(const std::string& what);

    size_t accepted() const { return accepted_; }

  private:
    enum class Answer { none, durable, refused, unknown };
    enum class Fate { open, delivered, failed, removed, expanded };
    struct Entry {
        std::string name;
        std::string address;
        Answer answer = Answer::none;
        Fate fate = Fate::open;
        uint64_t message = 0;
        uint32_t index = 0;
        uint64_t ended_in = 0; // life
        bool recorded = false; // its end is on disk: nobody is given it again
        bool settled = false;  // and it is not in the queue any more
        bool out = false;      // somebody has it
        bool may_fail = false; // a rule refuses it
        bool is_report = false;
        bool from_nobody = false;
        bool report_removed = false;               // by an operator
        std::set<std::string> others, others_seen; // in its place
        bool expansion_reported = false;
        RecipientParameters parameters;
        WallTime accepted_at = 0;
        std::set<uint64_t> failures, successes;    // reports, by message
        std::map<Told, std::set<uint64_t>> delays; // the same
    };
    using Key = std::pair<uint64_t, uint32_t>; // message, index

    Entry* find(const QueuedMessage& message, const StoredMessage& stored, uint32_t index);
    Entry* find(const Key& key);
    void note_child(Entry& entry, const StoredMessage& stored, uint32_t index);
    static bool is_expanded(const Entry& entry);
    void compare_present(Entry& entry, const QueuedRecipient& recipient);
    void compare_absent(Entry& entry, WallTime expired_by);
    void end(Entry& entry, Fate fate);
    void note_report(uint64_t report, const StoredMessage& stored, const std::string& content);
    void note_once(std::set<uint64_t>& reports, uint64_t report, const Entry& entry,
                   const char* kind);

    std::map<std::string, Entry> entries_; // by address, or "report ID"
    std::map<Key, Entry*> by_place_;
    std::map<std::string, Entry*> in_place_of_; // by address of another
    std::map<uint32_t, std::vector<Entry*>> requests_;
    uint64_t life_ = 1;
    bool undecided_ = false; // the present life has not been compared yet
    bool window_ = false;    // at the last end
    bool window_ever_ = false;
    size_t accepted_ = 0;
    std::string violation_;
};

} // namespace postern
