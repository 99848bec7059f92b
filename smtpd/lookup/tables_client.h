// The client of postern-tables, which asks external tables for a key.
//
// Every question is answered within `patience`, whatever that process does: with `away` where
// nothing better is known. Questions that are the same are asked once. Of those about one table
// tables_credit are asked at a time; others wait for their turn, in the order in which they came.
// Bounds: most_unsent, most_askers and those of the cache; what is beyond them is `away` at once.
#pragma once

#include <cstdint>
#include <deque>
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
    // Questions about one table that wait for their turn: those of a whole queue that has just been
    // loaded, which asks for several keys of each recipient.
    static constexpr size_t most_unsent = 32 * 1024;
    static constexpr size_t most_askers = 32 * 1024; // of one question

    TablesClient(EventLoop& loop, Counters& counters) : loop_(loop), counters_(counters) {}
    TablesClient(const TablesClient&) = delete;

    // The channel from now on.
    void connect(FileDescriptor channel);
    // `done` is called once, at once if the answer is known; not after the client is destroyed.
    void ask(const TableKey& key, Done done);
    // Tables may have changed: what is known of them is forgotten, and answers to what has been
    // asked until now are for those who have asked it, and for nobody after them.
    void forget();
    size_t open() const { return requests_.size(); }

  private:
    struct Request final : Timer {
        Request(TablesClient& owner, TableKey key, uint32_t number)
            : owner(owner), key(std::move(key)), number(number), generation(owner.generation_) {}
        void expired() override { owner.finish(number, {}); }
        TablesClient& owner;
        TableKey key;
        uint32_t number;
        uint32_t generation;
        bool sent = false;
        std::vector<Done> waiting;
    };
    // Drops credentials whose time is over while nobody asks.
    struct Sweep final : Timer {
        explicit Sweep(TablesClient& owner) : owner(owner) {}
        void expired() override { owner.sweep(); }
        TablesClient& owner;
    };
    struct OfTable {
        uint32_t sent = 0;
        std::deque<uint32_t> unsent; // numbers; those in front may have been given up meanwhile
    };

    void take(ipc::TableAnswer answer);
    void lose(const std::string& reason);
    void finish(uint32_t number, TableAnswers::Answer answer);
    bool may_ask(const std::string& table);
    void send(Request& request);
    void send_next(const std::string& table);
    void drop_void(OfTable& of_table);
    void away(const Done& done);
    void sweep();

    EventLoop& loop_;
    Counters& counters_;
    TableCache cache_;
    Sweep sweep_{*this};
    std::unique_ptr<ipc::Channel<ipc::TablesToLookup, ipc::LookupToTables>> channel_;
    uint32_t next_ = 1;
    uint32_t generation_ = 0; // how often was forgotten
    std::map<uint32_t, std::unique_ptr<Request>> requests_;
    std::map<TableKey, uint32_t> numbers_;     // of those that are open, and of this generation
    std::map<std::string, OfTable> of_tables_; // that have open requests
};

} // namespace postern
