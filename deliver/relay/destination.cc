// See destination.h.
#include "deliver/relay/destination.h"

#include <algorithm>

#include "common/ipc/codec.h"
#include "common/mail/domain.h"

namespace postern::relay {

std::string destination_key(const ipc::Route& route, const std::string& helo, bool require_tls) {
    // No field can hold a line feed's neighbour by accident: each is preceded by its length.
    std::string key;
    auto add = [&key](std::string_view field) {
        key += std::to_string(field.size());
        key += ':';
        key += field;
    };
    add(helo);
    add(ipc::encode_bytes(route.sources));
    add(ipc::encode_bytes(route.tls));
    add(ipc::encode_bytes(route.proxy));
    add(require_tls ? "requiretls" : "");
    add(route.label);
    add(route.label.empty() && !route.proxy ? "" : route.credentials);
    add(normalize_domain(route.backup_name));
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

Destinations::Lease Destinations::lease(const std::string& key) {
    ++leased_;
    return Lease(*this, key, take_idle(key));
}

Destinations::Lease Destinations::lease_anew(const std::string& key) {
    ++leased_;
    return Lease(*this, key, nullptr);
}

// The one used last: the others may run out, so that few are kept busy.
std::unique_ptr<Connection> Destinations::take_idle(const std::string& key) {
    for (auto found = by_destination_.find(key); found != by_destination_.end();
         found = by_destination_.find(key)) {
        IdleList::iterator last = found->second.back();
        found->second.pop_back();
        if (found->second.empty())
            by_destination_.erase(found);
        std::unique_ptr<Connection> connection = std::move(last->connection);
        idle_.erase(last);
        if (worth_keeping(*connection))
            return connection;
        close(std::move(connection));
    }
    return nullptr;
}

void Destinations::release(const std::string& key, std::unique_ptr<Connection> connection) {
    --leased_;
    if (!connection)
        return;
    if (worth_keeping(*connection))
        put_aside(key, std::move(connection));
    else
        close(std::move(connection));
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
    by_destination_[key].push_back(std::prev(idle_.end()));
    if (!sweep_.armed())
        sweep_.arm(executor_, idle_.front().until);
}

void Destinations::close(std::unique_ptr<Connection> connection) {
    if (connection->session.owes_quit() && closing_.size() < limits_.closing_connections)
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
    auto found = by_destination_.find(first->key);
    std::erase(found->second, first);
    if (found->second.empty())
        by_destination_.erase(found);
    std::unique_ptr<Connection> connection = std::move(first->connection);
    idle_.erase(first);
    close(std::move(connection));
}

void Destinations::stop_keeping() {
    keeping_ = false;
    while (!idle_.empty())
        remove_first_idle();
}

} // namespace postern::relay
