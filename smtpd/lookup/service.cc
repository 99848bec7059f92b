#include "smtpd/lookup/service.h"

#include "common/base/log.h"
#include "smtpd/lookup/users.h"

namespace postern {

namespace {

// Questions are answered as they come, so what a peer has open is what it has not read yet: with
// its credit, no more than so many answers of this size (bytes).
constexpr size_t largest_answer = 2048;
constexpr size_t unread_limit = ipc::routing_credit * largest_answer;

const char* counter_name(ipc::RouteVerdict verdict) {
    switch (verdict) {
    case ipc::RouteVerdict::accepted:
        return "lookup.accepted";
    case ipc::RouteVerdict::refused:
        return "lookup.refused";
    case ipc::RouteVerdict::no_rule:
        return "lookup.no_rule";
    case ipc::RouteVerdict::no_mailbox:
        return "lookup.no_mailbox";
    case ipc::RouteVerdict::temporary:
        return "lookup.temporary";
    }
    return "lookup.temporary";
}

Result<bool> user_exists(const std::string& name) {
    Result<bool> exists = system_user_exists(name);
    if (!exists)
        log::warning("user database", {{"reason", exists.error().message}});
    return exists;
}

} // namespace

LookupService::LookupService(EventLoop& loop, std::function<void()> on_drained)
    : loop_(loop), on_drained_(std::move(on_drained)), operator_port_(loop, counters_) {}

LookupService::~LookupService() = default;

Result<void> LookupService::configure(const ipc::LookupSettings& settings) {
    Result<Router> router = Router::prepare(settings);
    if (!router)
        return router.error();
    router_.emplace(std::move(*router));
    for (auto& [key, channel] : peers_)
        channel->send(ipc::RoutesChanged());
    return {};
}

void LookupService::connect(ipc::Connect connect) {
    if (connect.role == ipc::Role::control)
        return operator_port_.connect(std::move(connect.channel));
    const PeerKey key{connect.role, connect.index};
    peers_[key] = std::make_unique<Channel>(
        loop_, std::move(connect.channel),
        [this, key](ipc::ToLookup&& message) {
            std::visit(ipc::Overloaded{[&](const ipc::RouteQuery& query) { answer(key, query); }},
                       message);
        },
        [this, key](const std::string& reason) {
            ipc::log_closed_channel(ipc::role_name(key.first), reason);
            disconnect(key);
        });
}

void LookupService::answer(PeerKey key, const ipc::RouteQuery& query) {
    ipc::RouteAnswer answer = router_->route(query, user_exists);
    ++counters_["lookup.queries"];
    ++counters_[counter_name(answer.verdict)];
    Channel& channel = *peers_.at(key);
    channel.send(std::move(answer));
    if (channel.unsent() <= unread_limit)
        return;
    log::error("peer does not read its answers",
               {{"peer", ipc::role_name(key.first)}, {"index", key.second}});
    disconnect(key);
}

void LookupService::disconnect(PeerKey key) {
    peers_.erase(key);
    if (draining_ && peers_.empty())
        finish();
}

void LookupService::drain(std::chrono::seconds limit) {
    draining_ = true;
    if (peers_.empty())
        return finish();
    arm(loop_, loop_.now() + limit);
}

void LookupService::finish() {
    disarm();
    on_drained_();
}

} // namespace postern
