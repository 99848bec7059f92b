// Everything here is under the state's mutex.
#include "queue/spool/settlement.h"

namespace postern {

void Settlement::settle(Operation& operation, const Placement& placement, Batch& tombstones) {
    RecordLocation to{placement.slot, placement.offset, operation.payload_length};
    if (operation.origin == Operation::Origin::Copy)
        settle_copy(operation, to, tombstones);
    else
        settle_new(operation, to);
    if (operation.ticket != 0)
        state_.completions.push_back({operation.ticket, operation.id, {}});
}

void Settlement::settle_new(const Operation& operation, const RecordLocation& to) {
    TableEntry entry;
    switch (operation.type) {
    case RecordType::Message:
        entry.id = operation.id;
        entry.message = to;
        entry.content_in_file = operation.content_in_file;
        state_.table.put(entry);
        state_.segments.add_live(to.slot, to.length);
        break;
    case RecordType::Progress:
        if (auto unwritten = state_.unwritten.find(operation.id);
            unwritten != state_.unwritten.end() && --unwritten->second.records == 0)
            state_.unwritten.erase(unwritten);
        if (!state_.table.find(operation.id, &entry)) { // its Removed is still on its way
            state_.segments.add_live(to.slot, to.length);
            state_.segments.begin_leaving(to.slot);
            late_progress_[operation.id].push_back(to);
            break;
        }
        if (entry.progress.exists())
            state_.segments.drop_live(entry.progress.slot, entry.progress.length);
        entry.progress = to;
        state_.table.put(entry);
        state_.segments.add_live(to.slot, to.length);
        break;
    case RecordType::Removed:
        state_.segments.pin(to.slot, operation.target_epoch);
        for (const RecordLocation& old : {operation.old_message, operation.old_progress})
            if (old.exists())
                state_.segments.leave(old.slot, old.length);
        if (operation.origin == Operation::Origin::Caller)
            late_progress_left(operation.id);
        if (operation.content_in_file)
            unlinks_.push_back(content_path(operation.id));
        break;
    case RecordType::Index:
        break;
    }
}

void Settlement::late_progress_left(SpoolId id) {
    const auto late = late_progress_.find(id);
    if (late == late_progress_.end())
        return;
    for (const RecordLocation& place : late->second)
        state_.segments.leave(place.slot, place.length);
    late_progress_.erase(late);
}

void Settlement::settle_copy(const Operation& operation, const RecordLocation& to,
                             Batch& tombstones) {
    const RecordLocation& from = operation.copied_from;
    uint64_t from_epoch = state_.segments.at(from.slot).header.epoch;
    state_.compacted_bytes += operation.size;
    TableEntry entry;
    bool known = state_.table.find(operation.id, &entry);
    if (operation.type == RecordType::Progress) {
        if (!known || !(entry.progress == from))
            return;
        entry.progress = to;
    } else {
        state_.segments.copied(to.slot, from_epoch);
        if (!known) { // removed since it was gathered: the copy must not bring it back
            uint64_t epoch = state_.segments.at(to.slot).header.epoch;
            Operation& gone =
                tombstones.add(RecordType::Removed, 0, operation.id, {encode_removed(epoch)});
            gone.origin = Operation::Origin::Tombstone;
            gone.durable = true;
            gone.target_epoch = epoch;
            return;
        }
        entry.message = to;
    }
    state_.table.put(entry);
    state_.segments.drop_live(from.slot, from.length);
    state_.segments.add_live(to.slot, to.length);
}

} // namespace postern
