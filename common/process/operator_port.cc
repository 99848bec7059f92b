#include "common/process/operator_port.h"

#include "common/base/log.h"

namespace postern {

OperatorPort::OperatorPort(EventLoop& loop, Counters& counters, Refresh refresh, Handler handler)
    : loop_(loop), counters_(counters), refresh_(std::move(refresh)), handler_(std::move(handler)) {
}

void OperatorPort::connect(FileDescriptor channel) {
    channel_ = std::make_unique<ipc::Channel<ipc::Question, ipc::Answer>>(
        loop_, std::move(channel),
        [this](ipc::Question&& question) { dispatch(std::move(question)); },
        [this](const std::string&) { channel_.reset(); });
}

void OperatorPort::answer(ipc::Answer answer) {
    if (channel_)
        channel_->send(std::move(answer));
}

ipc::Stats OperatorPort::stats(uint32_t request) {
    if (refresh_)
        refresh_(counters_);
    ipc::Stats stats;
    stats.request = request;
    for (const auto& [name, value] : counters_.values())
        stats.counters.push_back({name, value});
    return stats;
}

void OperatorPort::dispatch(ipc::Question&& question) {
    if (auto* query = std::get_if<ipc::StatsQuery>(&question))
        return answer(stats(query->request));
    if (auto* level = std::get_if<ipc::LogLevel>(&question)) {
        log::set_verbose(level->verbose);
        ipc::Done done;
        done.request = level->request;
        return answer(std::move(done));
    }
    std::optional<ipc::Answer> reply;
    if (handler_)
        reply = handler_(question);
    else
        reply = std::visit(
            [](auto& asked) -> ipc::Answer {
                ipc::Done done;
                done.request = asked.request;
                done.ok = false;
                done.error = "not a question for this process";
                return done;
            },
            question);
    if (reply)
        answer(std::move(*reply));
}

} // namespace postern
