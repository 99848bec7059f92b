// What operators ask of the queue: to look into it, and to change what waits.
//
// Owner: the queue process. Pages are bounded in bytes, so that no queue, however large or odd,
// makes an answer that does not fit a packet.
#pragma once

#include <functional>
#include <optional>

#include "common/ipc/administration.h"
#include "queue/queue.h"

namespace postern {

class Admin {
  public:
    // Sends an answer that had to wait for the disk.
    using Answer = std::function<void(ipc::Answer)>;

    Admin(Queue& queue, Answer answer);

    // The answer, or nothing if it comes later.
    std::optional<ipc::Answer> ask(ipc::Question& question);

  private:
    ipc::Answer list(const ipc::QueueQuery& query);
    ipc::Answer show(const ipc::MessageQuery& query);
    ipc::Answer schedule(const ipc::Schedule& schedule);
    uint32_t schedule_message(QueuedMessage& message, std::optional<uint32_t> index, bool urgent);
    std::optional<ipc::Answer> remove(const ipc::Remove& remove);
    ipc::Answer pause(const ipc::Pause& pause);

    // A message as it is in the queue's table, or, if it is parked, in another that it is read
    // into.
    struct View {
        const QueuedMessage* message = nullptr; // nothing: there is no such message to be shown
        const MailTable* table = nullptr;
        uint32_t destination = 0; // where a parked one waits; 0: at none
    };
    View look(uint64_t id, MailTable& table) const;

    // Appends entries of the message after index `after`, until `limit` entries or the bytes in
    // `room` are used up; false if it stopped before the end.
    bool add_entries(const View& view, int64_t after, size_t limit, size_t& room,
                     std::vector<ipc::EnvelopeEntry>& entries) const;
    // A message that could not be read.
    ipc::EnvelopeEntry unread_entry(uint64_t id, const Loader::Unread& unread);
    std::optional<ipc::Answer> remove_unread(const ipc::Remove& remove);
    ipc::EnvelopeEntry entry(const View& view, const StoredMessage& stored, uint32_t index,
                             const Job* job) const;
    // While the destination is held.
    void note_hold(ipc::EnvelopeEntry& entry, uint32_t destination) const;

    Queue& queue_;
    Answer answer_;
};

} // namespace postern
