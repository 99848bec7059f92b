// Answers operators: one question after the other from each smtpctl, passed on to those who know.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>

#include "common/ipc/administration.h"
#include "common/ipc/channel.h"
#include "common/ipc/supervision.h"
#include "common/loop/event_loop.h"
#include "common/loop/task.h"
#include "common/net/socket.h"
#include "smtpd/control/peers.h"

namespace postern {

inline constexpr size_t max_operators = 64; // connections of smtpctl at once

class Desk {
  public:
    // Keeps an order for processes that are started later.
    using Keep = std::function<void(ipc::ToSupervisor)>;

    Desk(EventLoop& loop, Peers& peers, Keep keep)
        : loop_(loop), peers_(peers), keep_(std::move(keep)) {}

    // What was ordered before this process started.
    void begin_with(const ipc::Orders& orders);
    // A process is there, or there again: what was ordered is said to it anew. It may have been
    // started with what held before, and not have been there to be asked.
    void connect(ipc::Connect connect);

    // Serves the control socket from now on, for root and `allowed_user`.
    void open(FileDescriptor listening, uint32_t allowed_user);
    void close();

  private:
    struct Operator {
        std::unique_ptr<ipc::Channel<ipc::Question, ipc::Answer>> channel;
        TaskGroup task; // at most one: the question that is being answered
    };

    void accept_ready();
    void admit(FileDescriptor socket);
    void on_question(Operator& from, ipc::Question&& question);
    Task<void> answer(Operator& to, ipc::Question question);

    Task<ipc::Answer> work_out(ipc::Question question);
    Task<ipc::Answer> total(ipc::StatsQuery query);
    // Asks them all the same command: how it went together.
    Task<ipc::Answer> command(std::vector<Peer*> peers, ipc::Question question);
    // `away`: what the operator is told when nobody answers.
    Task<ipc::Answer> ask_one(ipc::Role role, ipc::Question question, std::string away);
    Task<ipc::Answer> pause(ipc::Pause pause);
    Task<ipc::Answer> set_log_level(ipc::LogLevel level);

    EventLoop& loop_;
    Peers& peers_;
    Keep keep_;
    std::map<ipc::Subsystem, ipc::Pause> pauses_; // the last order; without one, it goes on
    std::optional<ipc::LogLevel> level_;          // the same
    FileDescriptor listening_;
    std::unique_ptr<Watch> watch_;
    uint32_t allowed_user_ = 0;
    std::list<Operator> operators_;
};

} // namespace postern
