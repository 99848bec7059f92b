// The client of postern-tables, which asks external tables for a key.
//
// Every question is answered within `patience`, whatever that process does: with `away` where
// nothing better is known. Questions that are the same are asked once. Bounds: tables_credit
// questions about one table, and those of the cache.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/ipc/channel.h"
#include "common/ipc/tables.h"
#include "common/loop/event_loop.h"
#include "common/process/operator_port.h"
#include "smtpd/lookup/table_cache.h"

namespace postern {

class TablesClient {
  public:
    using Done = std::function<void(const TableAnswers::Answer&)>;

    // A listener waits for 60 s, and may have several questions in a row.
    static constexpr Duration patience = std::chrono::seconds(12);

    TablesClient(EventLoop& loop, Counters& counters) : loop_(loop), counters_(counters) {}
    TablesClient(const TablesClient&) = delete;

    // The channel from now on.
    void connect(FileDescriptor channel);
    // `done` is called once, at once if the answer is known; not after the client is destroyed.
    void ask(const TableKey& key, Done done);
    // Tables may have changed.
    void forget() { cache_.clear(); }
    size_t open() const { return requests_.size(); }

  private:
    struct Request final : Timer {
        Request(TablesClient& owner, TableKey key, uint32_t number)
            : owner(owner), key(std::move(key)), number(number) {}
        void expired() override { owner.finish(number, {}); }
        TablesClient& owner;
        TableKey key;
        uint32_t number;
        std::vector<Done> waiting;
    };

    void take(ipc::TableAnswer answer);
    void lose(const std::string& reason);
    void finish(uint32_t number, TableAnswers::Answer answer);

    EventLoop& loop_;
    Counters& counters_;
    TableCache cache_;
    std::unique_ptr<ipc::Channel<ipc::TablesToLookup, ipc::LookupToTables>> channel_;
    uint32_t next_ = 1;
    std::map<uint32_t, std::unique_ptr<Request>> requests_;
    std::map<TableKey, uint32_t> numbers_;      // of those that are open
    std::map<std::string, uint32_t> of_tables_; // how many of them
};

} // namespace postern
