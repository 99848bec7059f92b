// The process around the tables: its settings, its one peer, its end.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "common/ipc/channel.h"
#include "common/ipc/supervision.h"
#include "common/ipc/tables.h"
#include "common/ipc/tables_settings.h"
#include "common/loop/event_loop.h"
#include "common/process/operator_port.h"
#include "smtpd/tables/workers.h"

namespace postern::tables {

class Service : Timer {
  public:
    // Longer than any question takes that keeps to its limits (backend.h), however often it tries.
    static constexpr std::chrono::seconds patience{30};

    // `stuck` is called when a library has kept a thread for longer than `patience`: nothing but a
    // new start mends that.
    Service(EventLoop& loop, std::function<void()> stuck);

    // Tables that have not changed keep their connections.
    void configure(const ipc::TablesSettings& settings);
    void connect(ipc::Connect connect);

  private:
    struct Entry {
        ExternalTable table;
        std::unique_ptr<Workers> workers;
    };

    void ask(ipc::TableQuery query);
    void answer(ipc::TableAnswer answer);
    void expired() override;

    EventLoop& loop_;
    std::function<void()> stuck_;
    Counters counters_;
    OperatorPort operator_port_;
    std::map<std::string, Entry> entries_; // by name of the table
    std::unique_ptr<ipc::Channel<ipc::LookupToTables, ipc::TablesToLookup>> lookup_;
    // Lookup's numbers by ours: the next lookup begins with the same ones.
    std::map<uint32_t, uint32_t> requests_;
    uint32_t next_ = 1;
};

} // namespace postern::tables
