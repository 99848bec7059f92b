// The supervisor: starts the processes, wires them to each other, restarts whichever dies, hands
// new settings round, and ends them in order. It reads nothing from the network.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/config/configuration.h"
#include "common/loop/event_loop.h"
#include "common/loop/task.h"
#include "smtpd/supervisor/child.h"
#include "smtpd/supervisor/local_delivery.h"
#include "smtpd/supervisor/machine.h"
#include "smtpd/supervisor/pam_checks.h"
#include "smtpd/supervisor/provisions.h"

namespace postern {

struct SupervisorOptions {
    std::string configuration_file;
    bool syslog = false;
    bool verbose = false;
};

class Supervisor {
  public:
    Supervisor(EventLoop& loop, SupervisorOptions options, Configuration configuration,
               std::string programs);
    ~Supervisor();

    // Binds, opens and checks everything that can fail before anything is started.
    Result<void> prepare();
    // Starts the processes and runs until SIGTERM or SIGINT has ended them. The exit status.
    int run();

  private:
    enum class Stage : uint8_t { front, all }; // front: those that serve clients
    void start_missing(Stage stage);
    Task<void> start_others();
    void retire_needless();
    Task<void> end_in_time(Child& child);
    void start(Child& child);
    void give_up(Child& child, const Error& why);
    void configure(Child& child);
    Result<void> wire(Child& child);
    Result<void> connect(Child& one, Child& other);
    void on_message(Child& child, ipc::ToSupervisor&& message);
    template <class Order> void on_order(Child& child, const Order& order);
    void on_child_signal();
    void on_child_end(Child& child, int status);
    void reload();
    void drain();
    void hurry();
    Task<void> end_in_order();
    Task<void> restart_later(Child& child, std::chrono::milliseconds delay);
    Child* find(ipc::Role role, uint32_t index = 0);
    bool any_running(const std::vector<ipc::Role>& roles) const;

    EventLoop& loop_;
    SupervisorOptions options_;
    std::string programs_;
    bool root_;
    Provisions provisions_;
    bool draining_ = false;
    bool hurried_ = false;
    ipc::Orders orders_; // of operators
    std::vector<std::unique_ptr<Child>> children_;
    std::set<ProcessName> retired_; // that there were once, and are not needed now
    LocalDelivery local_delivery_;
    PamChecks pam_checks_;
    TaskGroup tasks_;
};

} // namespace postern
