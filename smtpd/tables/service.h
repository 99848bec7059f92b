// The process around the tables: its settings, its one peer, its end.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <set>
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
    // Longer than any question takes that keeps to its limits (backend.h), however often it tries,
    // and however many name servers do not answer (main.cc). Threads of other tables go on.
    static constexpr std::chrono::seconds patience{90};

    // `stuck` is called when a library has kept a thread for longer than `patience`: nothing but a
    // new start mends that.
    Service(EventLoop& loop, std::function<void()> stuck);

    // Tables that have not changed keep their connections. What others have been asked is answered
    // `away`.
    void configure(const ipc::TablesSettings& settings);
    void connect(ipc::Connect connect);

  private:
    struct Entry {
        ExternalTable table;
        std::unique_ptr<Workers> workers;
    };

    void ask(ipc::TableQuery query);
    void answer(ipc::TableAnswer answer);
    void answer_away(const std::set<std::string>& tables);
    void expired() override;

    EventLoop& loop_;
    std::function<void()> stuck_;
    Counters counters_;
    OperatorPort operator_port_;
    std::map<std::string, Entry> entries_; // by name of the table
    std::unique_ptr<ipc::Channel<ipc::LookupToTables, ipc::TablesToLookup>> lookup_;
    struct Request {
        uint32_t number; // lookup's: the next lookup begins with the same ones
        std::string table;
    };
    std::map<uint32_t, Request> requests_; // by our numbers
    uint32_t next_ = 1;
};

} // namespace postern::tables
