// The listening sockets and the sessions of one listener process.
//
// It owns every session. A session takes the settings that were in force when it began; a reload
// puts others in place for those that come later. Sessions over max_sessions or a limit of their
// client's are told 421 and closed. Under pressure those that have waited longest for their clients
// are ended.
#pragma once

#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "common/base/result.h"
#include "common/ipc/administration.h"
#include "common/ipc/listener_settings.h"
#include "common/net/socket.h"
#include "smtpd/listener/session.h"
#include "smtpd/listener/tls_server.h"

namespace postern::listener {

class Listener : SessionOwner {
  public:
    Listener(EventLoop& loop, Submission& submission, Routing& routing, Resolver& resolver,
             Accounts& accounts, KeyholderClient& keyholder);
    ~Listener();

    // Serves on these sockets from now on, in place of the former: `sockets` are listening, and
    // parallel to settings.addresses. On failure everything stays as it was.
    Result<void> configure(ipc::ListenerSettings settings, std::vector<FileDescriptor> sockets);

    // So many content files are open: the sessions hold them.
    void content_files_changed(uint32_t used, uint32_t limit) {
        pressure_.files_changed(used, limit);
    }
    // Stops accepting, until told otherwise; sessions go on.
    void pause(bool paused);
    // Stops accepting for good and lets sessions come to an end. `done` is called when there are
    // none left, or after `limit`, when those that are left have been told 421.
    void drain(Duration limit, std::function<void()> done);

    ipc::Answer answer(const ipc::Question& question);
    const SessionCounters& counters() const { return counters_; }
    size_t sessions() const { return sessions_.size(); }

  private:
    struct Reaper final : Callback {
        explicit Reaper(Listener& listener) : listener_(listener) {}
        void call() override { listener_.reap(); }
        Listener& listener_;
    };
    struct Deadline final : Timer {
        explicit Deadline(Listener& listener) : listener_(listener) {}
        void expired() override { listener_.finish_drain(); }
        Listener& listener_;
    };

    // What a socket serves with.
    struct Address {
        std::shared_ptr<const ipc::ListenerSettings> settings;
        size_t index = 0;                     // in settings->addresses
        std::shared_ptr<const TlsServer> tls; // null: none
        const ipc::ListenAddress& listen() const { return settings->addresses[index]; }
    };

    static void turn_away(int socket, const ipc::ListenAddress& address, const Reply& reply);
    bool turns_away(int socket, const IpAddress& peer, const Address& place);
    void accept(FileDescriptor socket, const Endpoint& peer, const Address& address);
    void relieve();
    void ended(Session& session) override;
    void reap();
    void finish_drain();

    EventLoop& loop_;
    SessionCounters counters_;
    LoginDelays delays_;
    ClientLimits clients_;
    Pressure pressure_;
    TimePoint relieved_ = TimePoint::min();
    SessionServices services_;
    KeyholderClient& keyholder_;
    size_t descriptors_for_sessions_;
    uint64_t next_id_;
    bool paused_ = false;
    std::shared_ptr<const ipc::ListenerSettings> settings_;
    std::vector<std::unique_ptr<Acceptor>> acceptors_;
    std::unordered_map<uint64_t, std::unique_ptr<Session>> sessions_;
    std::vector<uint64_t> ended_;
    std::function<void()> drained_;
    Reaper reaper_;
    Deadline deadline_;
};

} // namespace postern::listener
