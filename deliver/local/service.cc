#include "deliver/local/service.h"

#include <algorithm>

#include "common/base/log.h"

namespace postern {

namespace {

uint32_t helper_count(const ipc::LocalSettings& settings) {
    return std::max<uint32_t>(settings.max_helpers, 1);
}

} // namespace

LocalService::LocalService(EventLoop& loop, const ipc::LocalSettings& settings,
                           std::function<void(ipc::ToSupervisor)> to_supervisor)
    : loop_(loop), operator_port_(loop, counters_,
                                  [this](Counters& counters) {
                                      counters["local.running"] = deliverer_.running();
                                  }),
      deliverer_(loop, counters_, {.helpers = helper_count(settings)},
                 {.to_supervisor = std::move(to_supervisor),
                  .to_queue = [this](ipc::DelivererToQueue message) {
                      if (queue_)
                          queue_->send(std::move(message));
                  }}) {}

void LocalService::configure(const ipc::LocalSettings& settings) {
    deliverer_.set_helpers(helper_count(settings));
}

void LocalService::connect(ipc::Connect connect) {
    if (connect.role == ipc::Role::control)
        return operator_port_.connect(std::move(connect.channel));
    if (connect.role != ipc::Role::queue)
        return log::error("a peer that local has no use for",
                          {{"peer", ipc::role_name(connect.role)}});
    queue_ = std::make_unique<Channel>(
        loop_, std::move(connect.channel),
        [this](ipc::QueueToDeliverer&& message) {
            std::visit(ipc::Overloaded{[this](ipc::Deliver& order) {
                           if (!deliverer_.deliver(std::move(order)))
                               lose_queue("it hands over more than it may");
                       }},
                       message);
        },
        [this](const std::string& reason) { lose_queue(reason); });
    deliverer_.queue_connected();
}

void LocalService::lose_queue(const std::string& reason) {
    ipc::log_closed_channel("queue", reason);
    queue_.reset();
    deliverer_.queue_lost();
}

void LocalService::drain(std::chrono::seconds limit, std::function<void()> on_drained) {
    on_drained_ = std::move(on_drained);
    arm(loop_, loop_.now() + limit);
    deliverer_.drain([this] {
        disarm();
        on_drained_();
    });
}

} // namespace postern
