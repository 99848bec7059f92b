// The client of postern-pam, which knows whether a password is that of a user of the system.
//
// Bounds: pam_credit questions, each answered within `patience`. Beyond that, without a pam, and
// when it dies, the answer is "temporary".
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "common/ipc/channel.h"
#include "common/ipc/pam.h"
#include "common/loop/event_loop.h"

namespace postern {

class PamClient {
  public:
    struct Outcome {
        ipc::Authentication verdict = ipc::Authentication::temporary;
        std::string user; // ok: as rules and tables know it
    };
    using Done = std::function<void(Outcome)>;

    // A listener waits for 60 s, and pam has an answer before this.
    static constexpr Duration patience = std::chrono::seconds(55);

    explicit PamClient(EventLoop& loop) : loop_(loop) {}
    PamClient(const PamClient&) = delete;
    PamClient& operator=(const PamClient&) = delete;

    // The channel from now on.
    void connect(FileDescriptor channel);
    // `done` is called once, at once if it cannot be asked; not after the client is destroyed. The
    // request number of the question is set here.
    void check(ipc::CheckPassword question, Done done);
    size_t open() const { return requests_.size(); }

  private:
    struct Request final : Timer {
        Request(PamClient& owner, Done done) : owner(owner), done(std::move(done)) {}
        void expired() override { owner.time_out(); }
        PamClient& owner;
        Done done;
    };

    void take(ipc::PasswordChecked answer);
    void time_out();
    void lose(const std::string& reason);
    void finish(uint32_t number, Outcome outcome);

    EventLoop& loop_;
    std::unique_ptr<ipc::Channel<ipc::PamToLookup, ipc::LookupToPam>> channel_;
    uint32_t next_ = 1;
    std::map<uint32_t, std::unique_ptr<Request>> requests_;
};

} // namespace postern
