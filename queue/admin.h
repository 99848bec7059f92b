// What operators ask of the queue: to look into it, and to change what waits.
//
// Owner: the queue process. Pages are bounded in bytes, so that no queue, however large or odd,
// makes an answer that does not fit a packet.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "common/ipc/administration.h"
#include "queue/changes.h"
#include "queue/queue.h"

namespace postern {

class Admin {
  public:
    // Sends an answer that had to wait for the disk.
    using Answer = std::function<void(ipc::Answer)>;

    Admin(Queue& queue, Answer answer);

    // The answer, or nothing if it comes later.
    std::optional<ipc::Answer> ask(ipc::Question& question);
    // To be called when the spool's completion_fd() is readable, after Queue::collect().
    void collect();

  private:
    // A message as it is in the queue's table, or, if it is parked, in another that it is read
    // into.
    struct View {
        const QueuedMessage* message = nullptr; // nothing: there is no such message to be shown
        const MailTable* table = nullptr;
        uint32_t destination = 0; // where a parked one waits; 0: at none
    };
    // What goes into an answer, until it has `limit` entries, or `room` bytes are used up.
    struct Page {
        ipc::QueueFilter filter;
        size_t limit = 0;
        size_t room = 0;
        std::vector<ipc::EnvelopeEntry> entries;
        uint64_t message = 0; // up to which it goes, and its last recipient that was looked at
        uint32_t index = 0;

        // False: it does not fit.
        bool add(ipc::EnvelopeEntry entry);
    };
    struct Removal;

    ipc::Answer list(const ipc::QueueQuery& query);
    ipc::Answer show(const ipc::MessageQuery& query);
    std::optional<ipc::Answer> change(const ipc::Change& change);
    std::optional<ipc::Answer> change_one(const ipc::Change& change);
    std::optional<ipc::Answer> change_some(const ipc::Change& change);
    std::optional<ipc::Answer> change_unread(const ipc::Change& change);
    ipc::Answer schedule_all(uint32_t request);
    ipc::Answer give_order(const ipc::GiveOrder& query);
    ipc::Answer end_order(const ipc::EndOrder& query);
    ipc::Answer list_orders(const ipc::OrderQuery& query);
    ipc::Answer list_destinations(const ipc::DestinationQuery& query);
    ipc::Answer pause(const ipc::Pause& pause);
    std::optional<ipc::Answer> check_spool(const ipc::SpoolCheck& question);
    std::optional<ipc::SpoolChecked> take_checked();
    void tell_checking();
    // Of one that is in the queue; its removal, or its end in a report, is recorded durably, and
    // `removal` knows when.
    uint32_t apply(const ipc::Change& change, QueuedMessage& message,
                   const std::vector<uint32_t>& recipients, Removal& removal);
    std::optional<ipc::Answer> answer(ipc::Changed changed,
                                      const std::shared_ptr<Removal>& removal);

    uint32_t change_viewed(const ipc::Change& change, const View& view,
                           const std::vector<uint32_t>& recipients, Removal& removal);

    View look(uint64_t id, MailTable& table) const;
    // The first message in the table, or parked, with an id greater than `id`; UINT64_MAX: none.
    uint64_t next_message(uint64_t id) const;
    // Appends entries of the message, those after index `after`. False: it stopped before the end.
    bool add_entries(const View& view, int64_t after, Page& page) const;
    ipc::EnvelopeEntry unread_entry(uint64_t id, const Loader::Unread& unread) const;
    ipc::EnvelopeEntry parked_unread_entry(uint64_t id) const;
    ipc::EnvelopeEntry entry(const View& view, const StoredMessage& stored, uint32_t index,
                             const Job* job) const;
    // While the destination is held.
    void note_hold(ipc::EnvelopeEntry& entry, uint32_t destination) const;
    // Recipients that the filter means, and that the change can reach.
    std::vector<uint32_t> meant(const View& view, const ipc::Change& change) const;

    Queue& queue_;
    Answer answer_;
    Changes changes_{queue_};
    struct Impatience final : Timer {
        explicit Impatience(Admin& admin) : admin_(admin) {}
        void expired() override { admin_.tell_checking(); }
        Admin& admin_;
    };
    uint64_t check_ = 0;                    // of the spool: the number of the latest
    bool checking_ = false;                 // a piece of it is being read, or was and is not taken
    uint64_t damaged_ = 0;                  // so far
    std::optional<uint32_t> check_request_; // that waits for the piece
    Impatience impatience_{*this};
};

} // namespace postern
