// Who a client is, and whose addresses it may use: the questions of common/ipc/authentication.h.
// Passwords and proofs are held against tables here, or by a Dovecot or PAM that credentials name.
//
// Bounds: max_password_checks here, those of DovecotClient and PamClient there, and of each the
// shares below, beyond which the answer is "temporary"; exchanges as in exchanges.h; waiting for
// external tables as in pending_questions.h.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/base/ip_address.h"
#include "common/base/shares.h"
#include "common/ipc/authentication.h"
#include "common/loop/event_loop.h"
#include "common/process/operator_port.h"
#include "smtpd/lookup/accounts.h"
#include "smtpd/lookup/dovecots.h"
#include "smtpd/lookup/pam_client.h"
#include "smtpd/lookup/password_workers.h"
#include "smtpd/lookup/peers.h"
#include "smtpd/lookup/pending_questions.h"
#include "smtpd/lookup/scram_server.h"

namespace postern {

class Logins {
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

    // `peers` are to be clear before this is destroyed: their exchanges hold places of it.
    Logins(EventLoop& loop, Counters& counters, Peers& peers, PendingQuestions& pending);
    Logins(const Logins&) = delete;

    // From now on, of questions under way as well. `credentials` as common/smtp/sasl.h names them.
    void use(Accounts accounts, const std::vector<std::string>& credentials);
    void connect_pam(FileDescriptor channel) { pam_.connect(std::move(channel)); }
    // Of a listener that is not there yet.
    std::unique_ptr<Exchanges> exchanges_of(Asker listener);
    // What Dovecots have announced.
    void announce(Peer& listener) const;

    // Of a listener that is there.
    void ask(Asker asker, ipc::Authenticate question);
    void ask(Asker asker, ipc::SenderQuery query);
    void start(Asker asker, ipc::SaslStart start);

  private:
    // A password that is to be checked, once it is known what its table has.
    struct PasswordQuestion : PendingQuestion {
        ipc::Authenticate question;
        std::shared_ptr<const void> network_place; // held until there is an answer
    };
    void check_password(const std::shared_ptr<PasswordQuestion>& login);
    void ask_dovecot(Asker asker, DovecotClient& dovecot, ipc::Authenticate&& question,
                     std::shared_ptr<const void> place);
    void ask_pam(Asker asker, const std::string& service, ipc::Authenticate&& question,
                 std::shared_ptr<const void> place);
    void answer(Asker asker, ipc::AuthenticateAnswer answer);

    struct ScramQuestion : PendingQuestion {
        std::string table, user;
        ScramServer::Found found;
    };
    std::unique_ptr<SaslServer> dovecot_server(Asker asker, const ipc::SaslStart& start,
                                               const std::shared_ptr<DovecotClient>& dovecot);
    std::unique_ptr<SaslServer> scram_server(Asker asker, const ipc::SaslStart& start);
    void find_scram(const std::shared_ptr<ScramQuestion>& question);

    struct SenderQuestion : PendingQuestion {
        ipc::SenderQuery query;
    };
    void check_sender(const std::shared_ptr<SenderQuestion>& question);

    EventLoop& loop_;
    Counters& counters_;
    Peers& peers_;
    PendingQuestions& pending_;
    Accounts accounts_;
    Shares<IpAddress> checks_of_networks_{max_checks_of_network};
    Shares<IpAddress> pam_checks_of_networks_{max_pam_checks_of_network};
    Shares<IpAddress> exchanges_of_networks_{max_exchanges_of_network};
    Shares<Asker::Place> requests_of_listeners_{max_requests_of_listener};
    PasswordWorkers workers_;
    std::set<std::string> pam_services_;
    PamClient pam_;
    Dovecots dovecots_; // last: its end answers what is under way
};

} // namespace postern
