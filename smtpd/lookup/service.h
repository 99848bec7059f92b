// The process around what it answers: its settings, its peers, its end.
#pragma once

#include <chrono>
#include <functional>

#include "common/base/result.h"
#include "common/ipc/lookup_settings.h"
#include "common/ipc/supervision.h"
#include "common/loop/event_loop.h"
#include "common/process/operator_port.h"
#include "smtpd/lookup/logins.h"
#include "smtpd/lookup/peers.h"
#include "smtpd/lookup/pending_questions.h"
#include "smtpd/lookup/relay_secrets.h"
#include "smtpd/lookup/route_questions.h"
#include "smtpd/lookup/tables_client.h"

namespace postern {

class LookupService : Timer {
  public:
    // `on_drained` is called once, after drain().
    LookupService(EventLoop& loop, std::function<void()> on_drained);
    ~LookupService();

    // Takes new settings, at the start and at a reload, and tells everybody. On failure the former
    // ones stay.
    Result<void> configure(const ipc::LookupSettings& settings);
    void connect(ipc::Connect connect);
    // Whoever is still finishing work needs answers for it: serves until all peers have gone, at
    // most for this time.
    void drain(std::chrono::seconds limit);

  private:
    void connect_listener(Peer& peer, Asker asker, FileDescriptor channel);
    void connect_relay(Peer& peer, Asker asker, FileDescriptor channel);
    void connect_other(Peer& peer, Asker asker, FileDescriptor channel);
    void dispatch(Asker asker, ipc::ListenerToLookup&& message);
    void lose(Asker asker, const std::string& reason);
    void expired() override { finish(); }
    void finish();

    EventLoop& loop_;
    std::function<void()> on_drained_;
    bool draining_ = false;
    Counters counters_;
    OperatorPort operator_port_;
    RelaySecrets secrets_;
    Peers peers_;
    PendingQuestions pending_;
    RouteQuestions routes_;
    Logins logins_;
    TablesClient tables_; // last: what waits for it holds places of all of the above
};

} // namespace postern
