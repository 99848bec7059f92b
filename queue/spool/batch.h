// Records on their way into the log: what append_*() gathers and the sync thread writes.
#pragma once

#include <string>
#include <vector>

#include "queue/spool/spool.h"
#include "queue/spool/spool_state.h"

namespace postern {

// One record in Batch::data, and what is to happen once it is written.
struct Operation {
    enum class Origin {
        Caller,    // append_*()
        Copy,      // compaction: holds if `copied_from` is still the record's place
        Tombstone, // compaction: a Removed record that is copied or added; nobody waits for it
    };

    RecordType type = RecordType::Message;
    Origin origin = Origin::Caller;
    bool durable = false;
    bool content_in_file = false;
    Ticket ticket = 0; // 0: no AppendResult
    SpoolId id = 0;
    size_t offset = 0;          // in Batch::data
    size_t size = 0;            // padding included
    uint64_t target_epoch = 0;  // Removed
    RecordLocation copied_from; // Copy
    RecordLocation old_message; // Removed by the caller: what leaves once it is written
    RecordLocation old_progress;
    ContentFile content; // Message with its own file, until it has been linked
    uint64_t content_length = 0;

    uint32_t payload_length = 0;
    // A message is refused if it cannot be written; everything else is written elsewhere.
    bool is_new_message() const { return type == RecordType::Message && origin == Origin::Caller; }
};

struct Batch {
    std::string data;
    std::vector<Operation> operations;

    bool empty() const { return operations.empty(); }
    void clear() {
        operations.clear();
        data.clear();
        if (data.capacity() > (4u << 20)) // one flood is not to hold its memory for ever
            std::string().swap(data);
    }

    // Adds a record; the caller fills in the rest of the operation.
    Operation& add(RecordType type, uint8_t flags, SpoolId id,
                   std::initializer_list<std::string_view> payload) {
        Operation operation;
        operation.type = type;
        operation.id = id;
        operation.offset = data.size();
        append_record(data, type, flags, id, payload);
        operation.size = data.size() - operation.offset;
        for (std::string_view piece : payload)
            operation.payload_length += static_cast<uint32_t>(piece.size());
        operation.content_in_file = (flags & record_flag_content_file) != 0;
        operations.push_back(std::move(operation));
        return operations.back();
    }

    // Moves one operation and its record here from another batch.
    void take(Operation&& operation, std::string_view from) {
        std::string_view record = from.substr(operation.offset, operation.size);
        operation.offset = data.size();
        data.append(record);
        operations.push_back(std::move(operation));
    }
};

} // namespace postern
