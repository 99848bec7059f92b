// The passwords that are being checked, each by a helper that asks PAM, which the supervisor runs
// (smtpd/pam/check). What a helper has to say is judged as a stranger's: modules of PAM have run in
// it, and it may have died, hung, or been written to by somebody else.
//
// Every question has one answer, within Limits::waiting and Limits::running. Bounds: pam_credit
// questions that are not answered yet; Limits::helpers of them run.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/file_descriptor.h"
#include "common/ipc/pam.h"
#include "common/ipc/pam_settings.h"
#include "common/ipc/supervision.h"
#include "common/loop/executor.h"

namespace postern::pam {

class Checks {
  public:
    // Together less than lookup waits for (smtpd/lookup/pam_client.h).
    struct Limits {
        uint32_t helpers = ipc::pam_helper_limit;
        Duration waiting = std::chrono::seconds(20); // for a helper
        Duration running = std::chrono::seconds(30); // then it is to end
        Duration ending = std::chrono::seconds(5);   // then it is killed, again and again
    };
    struct Peers {
        std::function<void(ipc::ToSupervisor)> to_supervisor;
        std::function<void(ipc::PamToLookup)> to_lookup; // the present one
    };

    Checks(Executor& executor, Limits limits, Peers peers)
        : executor_(executor), limits_(limits), peers_(std::move(peers)) {}

    // Which services may be asked, from now on.
    void configure(const ipc::PamSettings& settings) { services_ = settings.services; }
    // False: lookup asks more than it may, and is not to be talked to any more.
    [[nodiscard]] bool check(ipc::CheckPassword question);
    void exited(const ipc::Exited& exited);
    // Lookup is gone: what it has asked is given up.
    void forget();
    // Calls back once no helper runs, if so at once. Nothing new is begun.
    void drain(std::function<void()> on_drained);

    size_t open() const { return open_; } // not answered yet
    size_t running() const { return running_; }

  private:
    struct Check final : Timer {
        Check(Checks& owner, uint32_t number, ipc::CheckPassword question)
            : owner(owner), number(number), question(std::move(question)) {}
        void expired() override { owner.time_out(*this); }
        Checks& owner;
        uint32_t number; // ours: lookup's may repeat
        ipc::CheckPassword question;
        FileDescriptor finding; // a pipe to read from; there while it runs
        bool answered = false;
    };

    void start_waiting();
    void start(Check& check);
    void time_out(Check& check);
    void finish(Check& check, ipc::PamFinding finding);
    void answer(Check& check, ipc::Authentication verdict, std::string user = {});

    Executor& executor_;
    Limits limits_;
    Peers peers_;
    std::vector<std::string> services_;
    std::map<uint32_t, std::unique_ptr<Check>> checks_; // by number
    std::deque<uint32_t> waiting_;
    uint32_t next_ = 1;
    size_t open_ = 0;
    size_t running_ = 0;
    bool draining_ = false;
    std::function<void()> on_drained_;
};

} // namespace postern::pam
