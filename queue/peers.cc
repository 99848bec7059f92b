#include "queue/peers.h"

#include "common/base/log.h"

namespace postern {

namespace {

// Among those who submit mail: no listener has this number.
constexpr uint32_t policy_submitter = ~uint32_t{0};

constexpr uint32_t relay_limit = 1000; // processes; more is a mistake

std::string deliverer_name(uint16_t number) {
    return number == Scheduler::local_deliverer ? "local" : "relay " + std::to_string(number - 1);
}

constexpr const char* protocol_broken = "it broke the protocol";

} // namespace

Peers::Peers(EventLoop& loop, Queue& queue, OperatorPort& operators)
    : loop_(loop), queue_(queue), operators_(operators) {}

void Peers::connect(ipc::Connect connect) {
    switch (connect.role) {
    case ipc::Role::listener:
        return connect_listener(connect.index, std::move(connect.channel));
    case ipc::Role::relay:
        if (connect.index < relay_limit)
            return connect_deliverer(static_cast<uint16_t>(1 + connect.index),
                                     std::move(connect.channel));
        break;
    case ipc::Role::local:
        return connect_deliverer(Scheduler::local_deliverer, std::move(connect.channel));
    case ipc::Role::lookup:
        return connect_lookup(std::move(connect.channel));
    case ipc::Role::policy:
        return connect_listener(policy_submitter, std::move(connect.channel));
    case ipc::Role::control:
        return operators_.connect(std::move(connect.channel));
    case ipc::Role::keyholder:
    case ipc::Role::resolver:
    case ipc::Role::queue:
    case ipc::Role::pam:
    case ipc::Role::tables:
        break;
    }
    log::warning("a channel to nobody the queue talks to",
                 {{"role", ipc::role_name(connect.role)}, {"index", connect.index}});
}

void Peers::connect_listener(uint32_t index, FileDescriptor channel) {
    auto& listener = listeners_[index];
    listener = std::make_unique<Listener>(
        loop_, std::move(channel),
        [this, index](ipc::ListenerToQueue&& message) {
            if (!queue_.intake().handle(index, std::move(message)))
                lose_listener(index, protocol_broken);
        },
        [this, index](const std::string& reason) { lose_listener(index, reason); });
    queue_.intake().connect(
        index,
        [&channel = *listener](ipc::QueueToListener message) { channel.send(std::move(message)); },
        index == policy_submitter ? Intake::Submitter::policy : Intake::Submitter::listener);
}

void Peers::lose_listener(uint32_t index, const std::string& reason) {
    ipc::log_closed_channel(
        index == policy_submitter ? "policy" : "listener " + std::to_string(index), reason);
    queue_.intake().disconnect(index);
    listeners_.erase(index);
}

void Peers::connect_deliverer(uint16_t number, FileDescriptor channel) {
    queue_.disconnect_deliverer(number);
    auto& deliverer = deliverers_[number];
    deliverer = std::make_unique<Deliverer>(
        loop_, std::move(channel),
        [this, number](ipc::DelivererToQueue&& message) {
            if (!from_deliverer(number, std::move(message)))
                lose_deliverer(number, protocol_broken);
        },
        [this, number](const std::string& reason) { lose_deliverer(number, reason); });
    queue_.connect_deliverer(number, [&channel = *deliverer](ipc::Deliver message) {
        channel.send(std::move(message));
    });
}

bool Peers::from_deliverer(uint16_t number, ipc::DelivererToQueue&& message) {
    return std::visit(
        ipc::Overloaded{
            [&](ipc::Outcome& outcome) { return queue_.outcome(number, std::move(outcome)); },
            [&](ipc::Capacity& capacity) {
                queue_.capacity(number, capacity);
                return true;
            },
        },
        message);
}

void Peers::lose_deliverer(uint16_t number, const std::string& reason) {
    ipc::log_closed_channel(deliverer_name(number), reason);
    queue_.disconnect_deliverer(number);
    deliverers_.erase(number);
}

void Peers::connect_lookup(FileDescriptor channel) {
    queue_.routing().disconnect();
    lookup_ = std::make_unique<Lookup>(
        loop_, std::move(channel),
        [this](ipc::FromLookup&& message) {
            if (!from_lookup(std::move(message)))
                lose_lookup(protocol_broken);
        },
        [this](const std::string& reason) { lose_lookup(reason); });
    queue_.routing().connect(
        [&channel = *lookup_](ipc::RouteQuery query) { channel.send(std::move(query)); });
}

bool Peers::from_lookup(ipc::FromLookup&& message) {
    return std::visit(
        ipc::Overloaded{
            [&](ipc::RouteAnswer& answer) { return queue_.routing().answer(std::move(answer)); },
            [&](ipc::RoutesChanged&) {
                queue_.routing().changed();
                return true;
            },
        },
        message);
}

void Peers::lose_lookup(const std::string& reason) {
    ipc::log_closed_channel("lookup", reason);
    queue_.routing().disconnect();
    lookup_.reset();
}

} // namespace postern
