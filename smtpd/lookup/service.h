// The process around the router: its settings, its peers, its end.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>

#include "common/base/result.h"
#include "common/base/shares.h"
#include "common/ipc/authentication.h"
#include "common/ipc/channel.h"
#include "common/ipc/credentials.h"
#include "common/ipc/lookup_settings.h"
#include "common/ipc/supervision.h"
#include "common/loop/event_loop.h"
#include "common/process/operator_port.h"
#include "smtpd/lookup/accounts.h"
#include "smtpd/lookup/dovecot_client.h"
#include "smtpd/lookup/exchanges.h"
#include "smtpd/lookup/paced.h"
#include "smtpd/lookup/pam_client.h"
#include "smtpd/lookup/password_workers.h"
#include "smtpd/lookup/relay_secrets.h"
#include "smtpd/lookup/route.h"
#include "smtpd/lookup/scram_server.h"
#include "smtpd/lookup/tables_client.h"

namespace postern {

class LookupService : Timer {
  public:
    // Passwords that wait for their check or are being checked; more are answered "temporary".
    static constexpr size_t max_password_checks = 128;
    // Of these the clients of one network (common/base/client_network.h) have so many at most:
    // whoever tries passwords out by the thousand keeps nobody else from logging in. Loopback
    // addresses are no network.
    static constexpr uint32_t max_checks_of_network = 32;
    // Of the helpers that ask PAM (ipc::pam_helper_limit) a network has fewer still: with some
    // modules a check takes long.
    static constexpr uint32_t max_pam_checks_of_network = 4;
    // Of the requests that a Dovecot has open (DovecotClient::max_requests), those of one listener.
    static constexpr uint32_t max_requests_of_listener = DovecotClient::max_requests / 2;
    // Those exchanges with a Dovecot that the clients of one network have begun.
    static constexpr uint32_t max_exchanges_of_network = 128;

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
    // Listeners may ask more than others, and what others ask is a part of that: RouteQuery is the
    // first alternative of both.
    using ListenerChannel = ipc::Channel<ipc::ListenerToLookup, ipc::LookupToListener>;
    using OtherChannel = ipc::Channel<ipc::ToLookup, ipc::FromLookup>;
    using PeerKey = std::pair<ipc::Role, uint32_t>;
    using RelayChannel = ipc::Channel<ipc::RelayToLookup, ipc::LookupToRelay>;
    struct Peer {
        uint64_t life = 0; // unlike that of a peer before it, or after it, in the same place
        std::unique_ptr<ListenerChannel> listener; // one of the three
        std::unique_ptr<Exchanges> exchanges;      // of the listener
        std::unique_ptr<RelayChannel> relay;
        std::unique_ptr<OtherChannel> other;
        std::unique_ptr<Paced> paced; // of `other`: its answers may be long
    };

    // A question that may have to wait for what external tables have, several times: what is to be
    // asked next may depend on it.
    struct Question {
        PeerKey peer;
        uint64_t life = 0;
        TimePoint until;                   // then it is answered "temporary"
        std::shared_ptr<const void> place; // among those of its peer that wait
        TableAnswers answers;
    };
    struct Waiting : Question {
        ipc::RouteQuery query;
    };
    // With the patience of the last question it is less than that of a listener, 60 s.
    static constexpr Duration question_limit = std::chrono::seconds(45);

    void connect_relay(Peer& peer, PeerKey key, FileDescriptor channel);
    void route(PeerKey key, ipc::RouteQuery&& query);
    void route_in_turn(const std::shared_ptr<Waiting>& waiting);
    void route_again(const std::shared_ptr<Waiting>& waiting);
    Result<bool> user_exists(const std::string& name);
    void answer_route(const Waiting& waiting, ipc::RouteAnswer answer);
    void answer_queue(PeerKey key, ipc::RouteAnswer answer);
    void answer_listener(PeerKey key, ipc::RouteAnswer answer);
    void dispatch(PeerKey key, ipc::ListenerToLookup&& message);
    void authenticate(PeerKey key, ipc::Authenticate&& question);
    // A password that is to be checked, once it is known what its table has.
    struct Login : Question {
        ipc::Authenticate question;
        std::shared_ptr<const void> network_place; // held until there is an answer
    };
    void check_password(const std::shared_ptr<Login>& login);
    struct ScramQuestion : Question {
        std::string table, user;
        ScramServer::Found found;
    };
    void find_scram(const std::shared_ptr<ScramQuestion>& question);
    void keep_dovecots(const ipc::LookupSettings& settings);
    DovecotClient* dovecot(const std::string& credentials) const;
    void announce(Peer& listener) const;
    void ask_dovecot(PeerKey key, DovecotClient& dovecot, ipc::Authenticate&& question,
                     std::shared_ptr<const void> place);
    void ask_pam(PeerKey key, const std::string& service, ipc::Authenticate&& question,
                 std::shared_ptr<const void> place);
    void start_exchange(PeerKey key, ipc::SaslStart&& start);
    void answer_exchange(PeerKey key, ipc::SaslAnswer answer);
    void authenticated(PeerKey key, uint64_t life, ipc::AuthenticateAnswer answer);
    struct SenderQuestion : Question {
        ipc::SenderQuery query;
    };
    void check_sender(const std::shared_ptr<SenderQuestion>& question);
    // Of a peer that is there.
    template <class Kind> std::shared_ptr<Kind> begin(PeerKey key) const;
    // now: what was wanted has been learned; later: then it calls back; never: the question has
    // waited for too long, or its peer has too many that wait.
    enum class Learned : uint8_t { now, later, never };
    Learned learn(const std::shared_ptr<Question>& question, std::function<void()> then);
    Peer* peer(PeerKey key, uint64_t life);
    template <class Channel, class Answer> void send(PeerKey key, Channel& channel, Answer answer);
    void disconnect(PeerKey key);
    void expired() override { finish(); }
    void finish();

    EventLoop& loop_;
    std::function<void()> on_drained_;
    Counters counters_;
    OperatorPort operator_port_;
    std::optional<Router> router_;
    Accounts accounts_;
    RelaySecrets secrets_;
    Shares<IpAddress> checks_of_networks_{max_checks_of_network};
    Shares<IpAddress> pam_checks_of_networks_{max_pam_checks_of_network};
    Shares<IpAddress> exchanges_of_networks_{max_exchanges_of_network};
    Shares<PeerKey> requests_of_listeners_{max_requests_of_listener};
    Shares<uint64_t> waiting_of_peers_{ipc::routing_credit}; // by life; for external tables
    PasswordWorkers workers_;
    std::set<std::string> pam_services_;
    PamClient pam_;
    TablesClient tables_{loop_, counters_};
    std::unordered_map<std::string, bool> users_; // who was found, or not, in this turn of the loop
    TimePoint users_at_{};
    uint64_t next_life_ = 1;
    std::map<PeerKey, Peer> peers_;
    std::map<std::string, std::shared_ptr<DovecotClient>> dovecots_; // by credentials
    bool draining_ = false;
};

} // namespace postern
