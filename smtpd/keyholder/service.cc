#include "smtpd/keyholder/service.h"

#include <stdexcept>

#include "common/base/log.h"

namespace postern::keyholder {

namespace {

constexpr Duration look_again = std::chrono::milliseconds(20);
// Questions are answered as they come, so what a listener has open is what it has not read yet:
// with its credit, no more than so many answers of this size (bytes).
constexpr size_t largest_answer = 1024;
constexpr size_t unread_limit = ipc::signing_credit * largest_answer;

const char* peer_name(Side side) { return side == Side::server ? "listener" : "relay"; }

} // namespace

Service::Service(EventLoop& loop, Duration former_key_life)
    : loop_(loop), former_key_life_(former_key_life), turn_(*this) {
    if (Result<void> made = tickets_.rotate(); !made)
        throw std::runtime_error(made.error().message);
    tasks_.spawn(rotate_tickets());
}

void Service::set_keys(Keys keys) {
    former_.push_front(std::exchange(present_, std::move(keys)));
    tasks_.spawn(forget(former_.begin()));
}

Task<void> Service::forget(std::list<Keys>::iterator former) {
    co_await loop_.sleep(former_key_life_);
    former_.erase(former);
}

void Service::connect(uint32_t index, FileDescriptor channel, Side side) {
    const std::pair key(side, index);
    clients_.erase(key);
    Client& client = clients_[key];
    client.side = side;
    client.channel =
        std::make_unique<ipc::Channel<ipc::ListenerToKeyholder, ipc::KeyholderToListener>>(
            loop_, std::move(channel),
            [this, &client](ipc::ListenerToKeyholder&& message) {
                std::visit([&](ipc::SignQuery& query) { on_query(client, std::move(query)); },
                           message);
            },
            [this, key](const std::string& reason) {
                ipc::log_closed_channel(peer_name(key.first), reason);
                clients_.erase(key);
            });
    if (side == Side::server)
        client.channel->send(tickets_.keys());
}

const Keys* Service::keys_with(const std::string& key_id) const {
    if (present_.has(key_id))
        return &present_;
    for (const Keys& keys : former_)
        if (keys.has(key_id))
            return &keys;
    return nullptr;
}

void Service::on_query(Client& client, ipc::SignQuery&& query) {
    if (!client.channel)
        return;
    if (client.questions.size() + client.waiting.size() >= ipc::signing_credit) {
        log::error("a peer asks more than it may", {{"peer", peer_name(client.side)}});
        client.channel.reset();
        return;
    }
    if (!keys_with(query.key_id))
        return client.waiting.spawn(answer_later(client, std::move(query)));
    client.questions.push_back(std::move(query));
    loop_.schedule(turn_);
}

void Service::take_turn() {
    bool more = false;
    for (auto& [key, client] : clients_) {
        if (client.questions.empty())
            continue;
        const ipc::SignQuery query = std::move(client.questions.front());
        client.questions.pop_front();
        answer(client, query);
        more = more || !client.questions.empty();
    }
    if (more)
        loop_.schedule(turn_);
}

void Service::answer(Client& client, const ipc::SignQuery& query) {
    if (!client.channel)
        return;
    const Keys* keys = keys_with(query.key_id);
    Result<std::string> signature = (keys ? *keys : present_).sign(query, client.side);
    ipc::Signature reply;
    reply.request = query.request;
    if (signature) {
        ++totals_.signatures;
        reply.signature = std::move(*signature);
    } else {
        refused(client.side, signature.error());
    }
    client.channel->send(std::move(reply));
    if (client.channel->unsent() <= unread_limit)
        return;
    log::error("a peer does not read its answers", {{"peer", peer_name(client.side)}});
    client.channel.reset();
}

// A process that somebody has taken over must not fill the log as well.
void Service::refused(Side side, const Error& why) {
    ++totals_.refused;
    if (loop_.now() < quiet_until_)
        return;
    quiet_until_ = loop_.now() + std::chrono::seconds(1);
    log::warning("a signature was refused", {{"peer", peer_name(side)},
                                            {"reason", why.message},
                                            {"so_far", totals_.refused}});
}

Task<void> Service::answer_later(Client& client, ipc::SignQuery query) {
    const TimePoint end = loop_.now() + unknown_key_patience;
    while (!keys_with(query.key_id) && loop_.now() < end)
        co_await loop_.sleep(look_again);
    answer(client, query);
}

Task<void> Service::rotate_tickets() {
    for (;;) {
        co_await loop_.sleep(ticket_key_life);
        if (Result<void> rotated = tickets_.rotate(); !rotated)
            log::error(rotated.error().message);
        for (auto& [key, client] : clients_)
            if (client.channel && client.side == Side::server)
                client.channel->send(tickets_.keys());
    }
}

} // namespace postern::keyholder
