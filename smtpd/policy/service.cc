#include "smtpd/policy/service.h"

#include <fcntl.h>

#include "common/base/log.h"
#include "common/mail/domain.h"
#include "common/smtp/text.h"

namespace postern::policy {

namespace {

constexpr size_t reason_limit = 197; // octets, and three for "..."

FileDescriptor copy_of(const FileDescriptor& directory) {
    return FileDescriptor(openat(directory.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

} // namespace

Service::Service(EventLoop& loop, const ipc::PolicySettings& settings, FileDescriptor directory,
                 std::function<void()> on_drained)
    : loop_(loop), on_drained_(std::move(on_drained)),
      operator_port_(
          loop, counters_,
          [this](Counters& counters) {
              counters["policy.kept"] = store_.size();
              counters["policy.fetching"] = policies_.fetching();
              counters["policy.reports.open"] = reporter_.open();
          },
          [this](ipc::Question& question) { return obey(question); }),
      resolver_(loop, ipc::Role::resolver, ipc::resolution_credit), queue_(loop, settings.hostname),
      https_(loop, settings.system_authorities.bytes), directory_(std::move(directory)),
      store_(copy_of(directory_), loop.wall_seconds()),
      policies_(loop, store_,
                {.resolve = [this](ipc::ResolveQuery query,
                                   Duration limit) { return resolve(std::move(query), limit); },
                 .send = [this](HttpsRequest request) { return https_.send(std::move(request)); },
                 .report = [this](const std::string& domain, ipc::TlsResult how,
                                  const std::string& why) { note_no_policy(domain, how, why); }},
                counters_),
      random_(std::random_device{}()),
      reporter_(loop, settings.hostname,
                {.resolve = [this](ipc::ResolveQuery query,
                                   Duration limit) { return resolve(std::move(query), limit); },
                 .send = [this](HttpsRequest request) { return https_.send(std::move(request)); },
                 .mail =
                     [this](std::string mailbox, std::string message) {
                         return queue_.submit(std::move(mailbox), std::move(message));
                     },
                 .random = [this] { return random_(); }},
                ReportStore(copy_of(directory_)), counters_) {}

// Nobody is there any more for the last answers.
Service::~Service() { relays_.clear(); }

void Service::configure(const ipc::PolicySettings& settings) {
    https_.trust(settings.system_authorities.bytes);
    reporter_.set_hostname(settings.hostname);
    queue_.set_hostname(settings.hostname);
}

std::optional<ipc::Answer> Service::obey(ipc::Question& question) {
    ipc::Done done;
    std::visit([&](auto& asked) { done.request = asked.request; }, question);
    if (auto* order = std::get_if<ipc::SendTlsReports>(&question)) {
        done.affected = reporter_.send_now(normalize_domain(order->domain));
    } else {
        done.ok = false;
        done.error = "not a question for policy";
    }
    return done;
}

// There was no connection, but there should have been one under that policy.
void Service::note_no_policy(const std::string& domain, ipc::TlsResult how,
                             const std::string& why) {
    ipc::SessionResult session;
    session.domain = domain;
    session.type = ipc::PolicyType::sts;
    session.result = how;
    session.reason = sanitize(why, reason_limit);
    reporter_.add(session);
}

void Service::connect(ipc::Connect connect) {
    if (connect.role == ipc::Role::control)
        return operator_port_.connect(std::move(connect.channel));
    if (connect.role == ipc::Role::resolver)
        return resolver_.connect(std::move(connect.channel));
    if (connect.role == ipc::Role::queue)
        return queue_.connect(std::move(connect.channel));
    if (connect.role != ipc::Role::relay)
        return log::error("a peer that policy has no use for",
                          {{"peer", ipc::role_name(connect.role)}});
    const uint32_t index = connect.index;
    Relay relay;
    relay.life = next_life_++;
    relay.channel = std::make_unique<Channel>(
        loop_, std::move(connect.channel),
        [this, index](ipc::ToPolicy&& message) {
            std::visit(ipc::Overloaded{
                           [&](ipc::PolicyQuery& query) { ask(index, std::move(query)); },
                           [&](ipc::SessionResult& session) { reporter_.add(session); },
                       },
                       message);
        },
        [this, index](const std::string& reason) {
            ipc::log_closed_channel("relay", reason);
            disconnect(index);
        });
    relays_.insert_or_assign(index, std::move(relay));
}

Task<ipc::ResolveAnswer> Service::resolve(ipc::ResolveQuery query, Duration limit) {
    std::optional<ipc::ResolveAnswer> answer = co_await resolver_.ask(std::move(query), limit);
    co_return answer ? std::move(*answer) : ipc::ResolveAnswer(); // temporary
}

// More than it may ask is not known.
void Service::ask(uint32_t index, ipc::PolicyQuery query) {
    Relay& relay = relays_.at(index);
    if (relay.open < ipc::policy_credit) {
        ++relay.open;
        return tasks_.spawn(answer(index, relay.life, std::move(query)));
    }
    ipc::PolicyAnswer unknown;
    unknown.request = query.request;
    relay.channel->send(std::move(unknown));
}

// The relay may have gone meanwhile, and another one have its place.
Task<void> Service::answer(uint32_t index, uint64_t life, ipc::PolicyQuery query) {
    ipc::PolicyAnswer answer = co_await policies_.find(std::move(query.domain));
    answer.request = query.request;
    const auto relay = relays_.find(index);
    if (relay == relays_.end() || relay->second.life != life)
        co_return;
    --relay->second.open;
    relay->second.channel->send(std::move(answer));
}

void Service::disconnect(uint32_t index) {
    relays_.erase(index);
    if (draining_ && relays_.empty())
        finish();
}

void Service::drain(std::chrono::seconds limit) {
    draining_ = true;
    if (relays_.empty())
        return finish();
    arm(loop_, loop_.now() + limit);
}

void Service::finish() {
    disarm();
    reporter_.save();
    on_drained_();
}

} // namespace postern::policy
