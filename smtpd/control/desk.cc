#include "smtpd/control/desk.h"

#include <algorithm>
#include <sys/socket.h>

#include "common/base/log.h"

namespace postern {

using ipc::Role;

namespace {

ipc::Done refusal(std::string why) {
    ipc::Done done;
    done.ok = false;
    done.error = std::move(why);
    return done;
}

uint32_t request_of(const ipc::Question& question) {
    return std::visit([](const auto& q) { return q.request; }, question);
}

Role obeying(ipc::Subsystem subsystem) {
    return subsystem == ipc::Subsystem::smtp ? Role::listener : Role::queue;
}

} // namespace

void Desk::begin_with(const ipc::Orders& orders) {
    auto paused = [this](ipc::Subsystem subsystem) {
        pauses_[subsystem].subsystem = subsystem;
        pauses_[subsystem].paused = true;
    };
    if (orders.mta_paused)
        paused(ipc::Subsystem::mta);
    if (orders.mda_paused)
        paused(ipc::Subsystem::mda);
    if (orders.smtp_paused)
        paused(ipc::Subsystem::smtp);
    if (orders.verbose)
        level_.emplace().verbose = true;
}

void Desk::connect(ipc::Connect connect) {
    Peer& peer = peers_.connect(connect.role, connect.index, std::move(connect.channel));
    if (level_)
        peer.tell(*level_);
    for (const auto& [subsystem, order] : pauses_)
        if (obeying(subsystem) == connect.role)
            peer.tell(order);
}

void Desk::open(FileDescriptor listening, uint32_t allowed_user) {
    allowed_user_ = allowed_user;
    watch_.reset();
    listening_ = std::move(listening);
    watch_ = std::make_unique<Watch>(loop_, listening_.get(), [this](short) { accept_ready(); });
    watch_->want(Watch::readable);
}

void Desk::close() {
    watch_.reset();
    operators_.clear();
}

void Desk::accept_ready() {
    FileDescriptor socket(
        accept4(listening_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket)
        return;
    ucred credentials{};
    socklen_t size = sizeof credentials;
    bool known = getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0;
    // The socket's permissions keep others away already; this is the second lock.
    if (!known || (credentials.uid != 0 && credentials.uid != allowed_user_)) {
        log::warning("an operator was turned away", {{"uid", credentials.uid}});
        return;
    }
    if (operators_.size() >= max_operators)
        return;
    admit(std::move(socket));
}

void Desk::admit(FileDescriptor socket) {
    auto place = operators_.emplace(operators_.end());
    place->channel = std::make_unique<ipc::Channel<ipc::Question, ipc::Answer>>(
        loop_, std::move(socket),
        [this, place](ipc::Question&& question) { on_question(*place, std::move(question)); },
        [this, place](const std::string&) { operators_.erase(place); });
}

void Desk::on_question(Operator& from, ipc::Question&& question) {
    if (!from.task.empty()) {
        // smtpctl waits for each answer; who does not is no smtpctl.
        ipc::Done done = refusal("one question at a time");
        done.request = request_of(question);
        from.channel->send(std::move(done));
        return;
    }
    from.task.spawn(answer(from, std::move(question)));
}

Task<void> Desk::answer(Operator& to, ipc::Question question) {
    uint32_t request = request_of(question);
    ipc::Answer answer = co_await work_out(std::move(question));
    std::visit([&](auto& a) { a.request = request; }, answer);
    to.channel->send(std::move(answer));
}

Task<ipc::Answer> Desk::work_out(ipc::Question question) {
    if (auto* stats = std::get_if<ipc::StatsQuery>(&question))
        co_return co_await total(*stats);
    if (auto* level = std::get_if<ipc::LogLevel>(&question))
        co_return co_await set_log_level(*level);
    if (auto* order = std::get_if<ipc::Pause>(&question))
        co_return co_await pause(*order);
    if (std::holds_alternative<ipc::SendTlsReports>(question))
        co_return co_await ask_one(
            Role::policy, std::move(question),
            "policy does not answer: it is there when mail exchangers are relayed to");
    co_return co_await ask_one(Role::queue, std::move(question), "the queue does not answer");
}

// Kept first: whoever is started later knows it, whoever was started a moment ago is told when it
// connects, and the others are asked here.
Task<ipc::Answer> Desk::pause(ipc::Pause pause) {
    keep_(pause);
    pause.request = 0;
    pauses_[pause.subsystem] = pause;
    ipc::Question question = pause;
    co_return co_await command(peers_.of(obeying(pause.subsystem)), std::move(question));
}

Task<ipc::Answer> Desk::set_log_level(ipc::LogLevel level) {
    keep_(level);
    level.request = 0;
    level_ = level;
    log::set_verbose(level.verbose);
    ipc::Question question = level;
    co_return co_await command(peers_.all(), std::move(question));
}

Task<ipc::Answer> Desk::total(ipc::StatsQuery query) {
    std::map<std::string, uint64_t> sums;
    uint64_t away = 0;
    for (Peer* peer : peers_.all()) {
        std::optional<ipc::Answer> answer = co_await peer->ask(query);
        auto* stats = answer ? std::get_if<ipc::Stats>(&*answer) : nullptr;
        if (!stats) {
            ++away;
            continue;
        }
        for (const ipc::Counter& counter : stats->counters)
            sums[counter.name] += counter.value;
    }
    sums["control.processes.away"] = away;
    ipc::Stats result;
    for (auto& [name, value] : sums)
        result.counters.push_back({name, value});
    co_return ipc::Answer(std::move(result));
}

Task<ipc::Answer> Desk::command(std::vector<Peer*> peers, ipc::Question question) {
    constexpr const char* away =
        "not all processes could be reached; those that start from now on heed it";
    ipc::Done result;
    if (peers.empty())
        result = refusal(away);
    for (Peer* peer : peers) {
        std::optional<ipc::Answer> answer = co_await peer->ask(question);
        auto* done = answer ? std::get_if<ipc::Done>(&*answer) : nullptr;
        if (!done) {
            result.ok = false;
            result.error = away;
            continue;
        }
        result.affected += done->affected;
        if (!done->ok) {
            result.ok = false;
            result.error = done->error;
        }
    }
    co_return ipc::Answer(std::move(result));
}

Task<ipc::Answer> Desk::ask_one(Role role, ipc::Question question, std::string away) {
    std::vector<Peer*> peers = peers_.of(role);
    if (!peers.empty()) {
        std::optional<ipc::Answer> answer = co_await peers.front()->ask(std::move(question));
        if (answer)
            co_return std::move(*answer);
    }
    co_return ipc::Answer(refusal(std::move(away)));
}

} // namespace postern
