// See destination.h.
#include "deliver/relay/destination.h"

#include <algorithm>

#include "common/mail/domain.h"

namespace postern::relay {

std::string destination_key(const ipc::Route& route, const std::string& helo) {
    // No field can hold a line feed's neighbour by accident: each is preceded by its length.
    std::string key;
    auto add = [&key](std::string_view field) {
        key += std::to_string(field.size());
        key += ':';
        key += field;
    };
    add(helo);
    add(route.source ? route.source->to_string() : std::string());
    if (route.host) {
        add(std::to_string(static_cast<unsigned>(route.host->scheme)));
        add(normalize_domain(route.host->host));
        add(std::to_string(route.host->port));
        add(route.host->unix_path);
    } else {
        add(normalize_domain(route.domain));
    }
    return key;
}

struct Destinations::Waiter {
    Waiter(Destinations& destinations, std::string key)
        : destinations(destinations), key(std::move(key)), granted(destinations.executor_) {
        destinations.destinations_[this->key].waiters.push_back(this);
    }
    ~Waiter() {
        if (in_line)
            destinations.destinations_[key].waiters.remove(this);
        else if (!taken)
            destinations.release(key, std::move(connection));
        destinations.forget_if_unused(key);
    }
    Waiter(const Waiter&) = delete;

    Destinations& destinations;
    std::string key;
    bool in_line = true;
    bool taken = false;
    std::unique_ptr<Connection> connection;
    Completion<bool> granted;
};

Destinations::Destinations(Executor& executor, Limits limits)
    : executor_(executor), limits_(limits), sweep_(*this) {}

Destinations::~Destinations() = default;

Destinations::Lease::Lease(Lease&& other) noexcept
    : destinations_(std::exchange(other.destinations_, nullptr)), key_(std::move(other.key_)),
      connection_(std::move(other.connection_)) {}

Destinations::Lease::~Lease() {
    if (destinations_)
        destinations_->release(key_, nullptr);
}

void Destinations::Lease::keep(std::unique_ptr<Connection> connection) {
    if (destinations_)
        std::exchange(destinations_, nullptr)->release(key_, std::move(connection));
}

Task<std::optional<Destinations::Lease>> Destinations::lease(std::string key) {
    Destination& destination = destinations_[key];
    if (destination.leased < limits_.connections) {
        ++destination.leased;
        ++leased_;
        co_return Lease(*this, key, take_idle(destination));
    }
    Waiter waiter(*this, key);
    std::optional<bool> granted = co_await waiter.granted.wait(limits_.lease_wait);
    if (!granted)
        co_return std::nullopt;
    waiter.taken = true;
    co_return Lease(*this, key, std::move(waiter.connection));
}

// The one used last: the others may run out, so that few are kept busy.
std::unique_ptr<Connection> Destinations::take_idle(Destination& destination) {
    while (!destination.idle.empty()) {
        IdleList::iterator last = destination.idle.back();
        destination.idle.pop_back();
        std::unique_ptr<Connection> connection = std::move(last->connection);
        idle_.erase(last);
        if (worth_keeping(*connection))
            return connection;
        close(std::move(connection));
    }
    return nullptr;
}

void Destinations::release(const std::string& key, std::unique_ptr<Connection> connection) {
    Destination& destination = destinations_[key];
    if (connection && !worth_keeping(*connection))
        close(std::move(connection));
    if (!destination.waiters.empty()) {
        // The lease goes on to the first in line, with the connection if there is one.
        Waiter& next = *destination.waiters.front();
        destination.waiters.pop_front();
        next.in_line = false;
        next.connection = std::move(connection);
        next.granted.complete(true);
        return;
    }
    --destination.leased;
    --leased_;
    if (connection)
        put_aside(key, std::move(connection));
    forget_if_unused(key);
}

void Destinations::forget_if_unused(const std::string& key) {
    auto found = destinations_.find(key);
    if (found != destinations_.end() && found->second.leased == 0 && found->second.idle.empty() &&
        found->second.waiters.empty())
        destinations_.erase(found);
}

bool Destinations::worth_keeping(const Connection& connection) const {
    return connection.session.usable() && connection.messages < limits_.messages &&
           executor_.now() - connection.opened < limits_.lifetime;
}

void Destinations::put_aside(const std::string& key, std::unique_ptr<Connection> connection) {
    if (!keeping_)
        return close(std::move(connection));
    if (idle_.size() >= limits_.idle_connections)
        remove_first_idle();
    idle_.push_back({key, std::move(connection), executor_.now() + limits_.idle});
    destinations_[key].idle.push_back(std::prev(idle_.end()));
    if (!sweep_.armed())
        sweep_.arm(executor_, idle_.front().until);
}

void Destinations::close(std::unique_ptr<Connection> connection) {
    if (connection->session.usable() && closing_.size() < limits_.closing_connections)
        closing_.spawn(say_quit(std::move(connection)));
}

Task<void> Destinations::say_quit(std::unique_ptr<Connection> connection) {
    co_await connection->session.quit();
}

void Destinations::sweep() {
    while (!idle_.empty() && idle_.front().until <= executor_.now())
        remove_first_idle();
    if (!idle_.empty())
        sweep_.arm(executor_, idle_.front().until);
}

void Destinations::remove_first_idle() {
    IdleList::iterator first = idle_.begin();
    std::erase(destinations_[first->key].idle, first);
    std::string key = std::move(first->key);
    std::unique_ptr<Connection> connection = std::move(first->connection);
    idle_.erase(first);
    forget_if_unused(key);
    close(std::move(connection));
}

void Destinations::stop_keeping() {
    keeping_ = false;
    while (!idle_.empty())
        remove_first_idle();
}

} // namespace postern::relay
