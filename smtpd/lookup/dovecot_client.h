// The client of one Dovecot's authentication service, which checks passwords, tokens and proofs for
// us. It keeps one connection, for all requests at once; when that breaks, it connects anew, and
// what was under way is answered "temporary". So is what is under way when it is destroyed, which
// must not be done from inside one of its calls.
//
// Bounds: max_requests, a step of each has an answer within `patience`; lines as in
// dovecot_protocol.h; max_unread bytes that Dovecot does not read.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/loop/executor.h"
#include "common/loop/task.h"
#include "common/net/stream.h"
#include "smtpd/lookup/dovecot_protocol.h"
#include "smtpd/lookup/exchanges.h"

namespace postern {

class DovecotClient {
  public:
    using Connected = Result<std::unique_ptr<Stream>>;
    using Connect = std::function<Task<Connected>()>;
    using Outcome = SaslServer::Outcome;
    using Done = SaslServer::Done;

    static constexpr size_t max_requests = 4096;
    static constexpr size_t max_unread = 1024 * 1024;
    static constexpr Duration patience = std::chrono::seconds(50);  // a listener waits for 60
    static constexpr Duration handshake = std::chrono::seconds(10); // each of its lines
    static constexpr size_t handshake_lines = 64;
    static constexpr Duration retry = std::chrono::seconds(2);

    // `name` for the log. `announced` is called when mechanisms() has changed.
    DovecotClient(Executor& executor, std::string name, Connect connect,
                  std::function<void()> announced);
    ~DovecotClient();
    DovecotClient(const DovecotClient&) = delete;

    // What Dovecot has announced last, of what we offer; empty: it never has.
    const std::vector<SaslMechanism>& mechanisms() const { return mechanisms_; }

    // Begins a request, whose number is for go_on() and forget(). 0: it cannot be asked now. `done`
    // is called later, once, with the step's outcome; the request is over unless that is a
    // challenge.
    uint32_t begin(SaslMechanism mechanism, const Secret& message, const IpAddress& client,
                   Done done);
    // The next step of a request. False: it is over, and `done` is not called.
    bool go_on(uint32_t request, const Secret& message, Done done);
    // Nobody waits for it any more; `done` is not called.
    void forget(uint32_t request);
    size_t open() const { return requests_.size(); }

  private:
    struct Request final : Timer {
        Request(DovecotClient& owner, uint32_t number) : owner(owner), number(number) {}
        void expired() override { owner.time_out(number); }
        DovecotClient& owner;
        uint32_t number;
        Done done; // null between two steps
    };

    Task<void> run();
    Task<std::string> shake_hands();
    Task<std::string> serve();
    void take(const dovecot::Reply& reply);
    void finish(uint32_t request, Outcome outcome);
    void wait_for(uint32_t request, Done done);
    void time_out(uint32_t request);
    void lose(const std::string& reason);
    void abandon_requests();
    bool can_write() const { return ready_ && stream_->pending_output() <= max_unread; }

    Executor& executor_;
    std::string name_;
    Connect connect_;
    std::function<void()> announced_;
    std::unique_ptr<Stream> stream_;
    bool ready_ = false;      // the handshake is done
    bool complained_ = false; // that there is no connection
    bool silent_ = false;     // the last answer did not come
    std::vector<SaslMechanism> mechanisms_;
    uint32_t next_ = 1;
    std::map<uint32_t, std::unique_ptr<Request>> requests_;
    TaskGroup tasks_; // last: it uses all of the above
};

// An exchange with a client whose server's part Dovecot plays, as long as there is one.
class DovecotExchange final : public SaslServer {
  public:
    // `place` is held as long as it lives.
    DovecotExchange(std::weak_ptr<DovecotClient> dovecot, SaslMechanism mechanism, IpAddress client,
                    std::shared_ptr<const void> place = nullptr)
        : dovecot_(std::move(dovecot)), mechanism_(mechanism), client_(client),
          place_(std::move(place)) {}
    ~DovecotExchange() override;
    void respond(Secret message, Done done) override;

  private:
    std::weak_ptr<DovecotClient> dovecot_;
    SaslMechanism mechanism_;
    IpAddress client_;
    std::shared_ptr<const void> place_;
    uint32_t request_ = 0; // none yet
};

// Whether this password is that of this user. `done` is called once, at once if it cannot be asked.
void check_password_with(DovecotClient& dovecot, std::string_view user, const Secret& password,
                         const IpAddress& client, DovecotClient::Done done);

} // namespace postern
