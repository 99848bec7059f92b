// The exchanges of SASL messages (common/ipc/authentication.h) that one listener has open. Whoever
// plays the server's part is a SaslServer; this keeps it between two messages of the client.
//
// Bounds: `limit` exchanges; most_steps messages in each; one that has waited for longer than
// `patience` is forgotten. Destroying it ends all of them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>

#include "common/ipc/authentication.h"
#include "common/loop/executor.h"

namespace postern {

// The server's part of one exchange.
class SaslServer {
  public:
    struct Outcome {
        ipc::SaslVerdict verdict = ipc::SaslVerdict::temporary;
        std::string challenge;
        std::string user; // as SaslAnswer has it
    };
    // Destroys the SaslServer, unless it is a challenge. Called once for each message, from within
    // respond() or later, but not after the SaslServer is destroyed.
    using Done = std::function<void(Outcome)>;

    virtual ~SaslServer() = default;
    virtual void respond(Secret message, Done done) = 0;
};

class Exchanges {
  public:
    using Send = std::function<void(ipc::SaslAnswer)>;

    static constexpr size_t limit = 8192;
    static constexpr uint32_t most_steps = 8;
    // A client has five minutes for a line (RFC 5321 4.5.3.2.7).
    static constexpr Duration patience = std::chrono::minutes(6);

    Exchanges(Executor& executor, Send send) : executor_(executor), send_(std::move(send)) {}

    // `server` is null when there is none for this question: it is answered so.
    void start(ipc::SaslStart start, std::unique_ptr<SaslServer> server);
    void respond(ipc::SaslResponse response);
    void cancel(const ipc::SaslCancel& cancel) { open_.erase(cancel.exchange); }
    size_t open() const { return open_.size(); }

  private:
    struct Exchange final : Timer {
        Exchange(Exchanges& owner, uint64_t id) : owner_(owner), id_(id) {}
        void expired() override { owner_.cancel({id_}); }

        std::unique_ptr<SaslServer> server;
        std::shared_ptr<bool> alive = std::make_shared<bool>(true);
        uint32_t steps = 0;
        bool busy = false; // with the client's last message

      private:
        Exchanges& owner_;
        uint64_t id_;
    };
    void step(uint32_t request, uint64_t id, Secret message);
    void answer(uint32_t request, uint64_t id, SaslServer::Outcome outcome);
    void refuse(uint32_t request);

    Executor& executor_;
    Send send_;
    std::map<uint64_t, std::unique_ptr<Exchange>> open_;
};

} // namespace postern
