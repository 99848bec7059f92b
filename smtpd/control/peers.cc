#include "smtpd/control/peers.h"

namespace postern {

namespace {

uint32_t& request_of(ipc::Question& question) {
    return std::visit([](auto& q) -> uint32_t& { return q.request; }, question);
}
uint32_t request_of(const ipc::Answer& answer) {
    return std::visit([](const auto& a) { return a.request; }, answer);
}

// Lets Requests number a question, whichever of the kinds it is.
struct Numbered {
    ipc::Question question;
    uint32_t request = 0;
};

} // namespace

void Peer::connect(FileDescriptor channel) {
    requests_.abandon();
    channel_ = std::make_unique<ipc::Channel<ipc::Answer, ipc::Question>>(
        loop_, std::move(channel),
        [this](ipc::Answer&& answer) {
            uint32_t request = request_of(answer);
            requests_.answer(request, std::move(answer));
        },
        [this](const std::string&) {
            channel_.reset();
            requests_.abandon();
        });
}

Task<std::optional<ipc::Answer>> Peer::ask(ipc::Question question) {
    if (!channel_)
        co_return std::nullopt;
    Numbered numbered{std::move(question), 0};
    auto send = [this](Numbered asked) {
        request_of(asked.question) = asked.request;
        channel_->send(std::move(asked.question));
    };
    co_return co_await requests_.ask(std::move(numbered), send, answer_limit);
}

// Its number, 0, is that of no question that is waited for.
void Peer::tell(ipc::Question question) {
    if (channel_)
        channel_->send(std::move(question));
}

Peer& Peers::connect(ipc::Role role, uint32_t index, FileDescriptor channel) {
    std::unique_ptr<Peer>& peer = peers_[{role, index}];
    if (!peer)
        peer = std::make_unique<Peer>(loop_);
    peer->connect(std::move(channel));
    return *peer;
}

std::vector<Peer*> Peers::all() {
    std::vector<Peer*> found;
    for (auto& [name, peer] : peers_)
        found.push_back(peer.get());
    return found;
}

std::vector<Peer*> Peers::of(ipc::Role role) {
    std::vector<Peer*> found;
    for (auto& [name, peer] : peers_)
        if (name.first == role)
            found.push_back(peer.get());
    return found;
}

} // namespace postern
