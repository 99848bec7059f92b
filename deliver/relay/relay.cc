// See relay.h.
#include "deliver/relay/relay.h"

#include <algorithm>

#include "common/base/log.h"
#include "common/mail/message_id.h"

namespace postern::relay {

namespace {

constexpr uint32_t most_deliveries = 200;
// A delivery can hold its connection and its content's file, leave an idle connection behind, and
// have another one being closed.
constexpr size_t descriptors_per_delivery = 4;
constexpr size_t other_descriptors = 32;

constexpr std::chrono::milliseconds drain_poll{50};

uint32_t capacity_for(size_t descriptors) {
    const size_t usable = descriptors > other_descriptors ? descriptors - other_descriptors : 0;
    return static_cast<uint32_t>(
        std::clamp<size_t>(usable / descriptors_per_delivery, 1, most_deliveries));
}

Destinations::Limits limits_for(uint32_t capacity) {
    Destinations::Limits limits;
    limits.idle_connections = capacity;
    limits.closing_connections = std::max<size_t>(capacity / 2, 1);
    return limits;
}

} // namespace

Relay::Relay(EventLoop& loop, const ipc::RelaySettings& settings, size_t descriptors,
             std::function<void()> done)
    : loop_(loop), done_(std::move(done)), capacity_(capacity_for(descriptors)),
      generator_(std::random_device{}()), random_([this](uint64_t bound) {
          return std::uniform_int_distribution<uint64_t>(0, bound - 1)(generator_);
      }),
      network_(loop), destinations_(loop, limits_for(capacity_)),
      operator_(loop, counters_, [this](Counters& counters) { refresh_gauges(counters); }),
      drain_timer_(*this) {
    configure(settings);
}

void Relay::configure(const ipc::RelaySettings& settings) {
    auto identity = std::make_shared<Identity>();
    identity->hostname = settings.hostname;
    identity->ourselves.endpoints = settings.own_endpoints;
    identity->ourselves.names = settings.own_names;
    identity->ourselves.machine_addresses = settings.machine_addresses;
    identity_ = std::move(identity); // deliveries under way keep the former
    TlsAuthorities authorities;
    authorities.system = settings.system_authorities.bytes;
    for (const ipc::NamedCertificates& named : settings.authorities)
        authorities.named[named.name] = named.certificates.bytes;
    TlsCertificates certificates;
    for (const ipc::NamedCertificates& pki : settings.pkis)
        certificates[pki.name] = pki.certificates.bytes;
    network_.trust(std::move(authorities), std::move(certificates));
}

void Relay::connect(ipc::Connect connect) {
    switch (connect.role) {
    case ipc::Role::queue:
        return connect_queue(std::move(connect.channel));
    case ipc::Role::resolver:
        return network_.connect_resolver(std::move(connect.channel));
    case ipc::Role::policy:
        return network_.connect_policy(std::move(connect.channel));
    case ipc::Role::lookup:
        return network_.connect_lookup(std::move(connect.channel));
    case ipc::Role::keyholder:
        return network_.connect_keyholder(std::move(connect.channel));
    case ipc::Role::control:
        return operator_.connect(std::move(connect.channel));
    default:
        log::warning("a peer that a relay does not know", {{"role", ipc::role_name(connect.role)}});
    }
}

void Relay::connect_queue(FileDescriptor channel) {
    // What the former queue asked for is void: the new one sends it again.
    deliveries_.clear();
    queue_ = std::make_unique<QueueChannel>(
        loop_, std::move(channel),
        [this](ipc::QueueToDeliverer&& message) {
            std::visit(ipc::Overloaded{[this](ipc::Deliver& order) { take(std::move(order)); }},
                       message);
        },
        [this](const std::string& reason) {
            ipc::log_closed_channel("queue", reason);
            deliveries_.clear();
            queue_.reset();
        });
    ipc::Capacity capacity;
    capacity.deliveries = draining_ ? 0 : capacity_;
    queue_->send(capacity);
}

void Relay::take(ipc::Deliver order) {
    if (draining_)
        return; // the queue has it, and sees us go
    if (deliveries_.size() >= capacity_) {
        log::warning("the queue exceeds its credit",
                     {{"message", to_string(MessageId{order.message})}});
        ipc::Outcome nothing; // missing recipients are temporary
        nothing.delivery = order.delivery;
        queue_->send(std::move(nothing));
        return;
    }
    deliveries_.spawn(run_delivery(std::move(order)));
}

Task<void> Relay::run_delivery(ipc::Deliver order) {
    ++counters_["relay.deliveries.total"];
    const uint64_t message = order.message;
    Surroundings surroundings{network_, destinations_, slow_, tls_, random_};
    ipc::Outcome outcome = co_await deliver(surroundings, identity_, std::move(order));
    count(outcome);
    if (log::verbose())
        for (const ipc::RecipientOutcome& recipient : outcome.recipients)
            log::debug("delivery", {{"message", to_string(MessageId{message})},
                                    {"recipient", recipient.index},
                                    {"relay", recipient.remote},
                                    {"tls", recipient.tls},
                                    {"dsn", recipient.enhanced},
                                    {"stat", recipient.diagnostic}});
    if (queue_)
        queue_->send(std::move(outcome));
}

void Relay::count(const ipc::Outcome& outcome) {
    static constexpr const char* names[] = {
        "relay.recipients.delivered", "relay.recipients.temporary", "relay.recipients.permanent"};
    for (const ipc::RecipientOutcome& recipient : outcome.recipients) {
        ++counters_[names[static_cast<size_t>(recipient.status)]];
        // "relay.tls.verified": by how well encrypted a connection each was delivered.
        if (recipient.status == ipc::RecipientStatus::delivered)
            ++counters_["relay.tls." + recipient.tls.substr(recipient.tls.rfind(',') + 1)];
    }
    if (outcome.destination_down)
        ++counters_["relay.destinations.down"];
}

void Relay::refresh_gauges(Counters& counters) {
    counters["relay.deliveries"] = deliveries_.size();
    counters["relay.connections.busy"] = destinations_.leased();
    counters["relay.connections.idle"] = destinations_.idle();
    counters["relay.tls.handshakes"] = tls_.handshakes;
    counters["relay.tls.resumed"] = tls_.resumed;
    counters["relay.tls.failures"] = tls_.failures;
    counters["relay.tls.fallbacks"] = tls_.fallbacks;
    counters["relay.tls.unmet"] = tls_.unmet;
}

void Relay::drain(std::chrono::seconds limit) {
    if (std::exchange(draining_, true))
        return;
    if (queue_) {
        ipc::Capacity none;
        queue_->send(none);
    }
    destinations_.stop_keeping();
    // A little earlier, to be gone before the supervisor loses its patience.
    drain_timer_.arm(loop_, loop_.now() + Duration(limit) * 9 / 10);
    ending_.spawn(finish());
}

Task<void> Relay::finish() {
    while (!deliveries_.empty() || destinations_.closing() > 0 || (queue_ && queue_->unsent() > 0))
        co_await loop_.sleep(drain_poll);
    drain_timer_.disarm();
    done_();
}

} // namespace postern::relay
