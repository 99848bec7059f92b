// The process around the policies: its settings, its peers, its end.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <random>

#include "common/ipc/channel.h"
#include "common/ipc/policy_settings.h"
#include "common/ipc/supervision.h"
#include "common/ipc/transport_policy.h"
#include "common/loop/event_loop.h"
#include "common/process/operator_port.h"
#include "common/process/question_channel.h"
#include "smtpd/policy/https.h"
#include "smtpd/policy/policies.h"
#include "smtpd/policy/policy_store.h"
#include "smtpd/policy/queue_client.h"
#include "smtpd/policy/reporter.h"

namespace postern::policy {

class Service : Timer {
  public:
    // `directory`: of the policies. `on_drained` is called once, after drain().
    Service(EventLoop& loop, const ipc::PolicySettings& settings, FileDescriptor directory,
            std::function<void()> on_drained);
    ~Service();

    void configure(const ipc::PolicySettings& settings);
    void connect(ipc::Connect connect);
    // Whoever is still finishing work needs answers for it: serves until all relays have gone, at
    // most for this time.
    void drain(std::chrono::seconds limit);

  private:
    using Channel = ipc::Channel<ipc::ToPolicy, ipc::FromPolicy>;
    struct Relay {
        uint64_t life = 0; // tells it from one that was there before
        uint32_t open = 0; // questions
        std::unique_ptr<Channel> channel;
    };

    std::optional<ipc::Answer> obey(ipc::Question& question);
    void note_no_policy(const std::string& domain, ipc::TlsResult how, const std::string& why);
    Task<ipc::ResolveAnswer> resolve(ipc::ResolveQuery query, Duration limit);
    void ask(uint32_t index, ipc::PolicyQuery query);
    Task<void> answer(uint32_t index, uint64_t life, ipc::PolicyQuery query);
    void disconnect(uint32_t index);
    void expired() override { finish(); }
    void finish();

    EventLoop& loop_;
    std::function<void()> on_drained_;
    Counters counters_;
    OperatorPort operator_port_;
    QuestionChannel<ipc::FromResolver, ipc::ToResolver, ipc::ResolveAnswer> resolver_;
    QueueClient queue_;
    HttpsClient https_;
    FileDescriptor directory_;
    PolicyStore store_;
    Policies policies_;
    std::mt19937_64 random_;
    Reporter reporter_;
    std::map<uint32_t, Relay> relays_; // by index
    uint64_t next_life_ = 1;
    bool draining_ = false;
    TaskGroup tasks_;
};

} // namespace postern::policy
