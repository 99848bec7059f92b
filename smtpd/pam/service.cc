#include "smtpd/pam/service.h"

#include "common/base/log.h"

namespace postern::pam {

Service::Service(EventLoop& loop, std::function<void(ipc::ToSupervisor)> to_supervisor,
                 Checks::Limits limits)
    : loop_(loop), checks_(loop, limits,
                           {.to_supervisor = std::move(to_supervisor),
                            .to_lookup = [this](ipc::PamToLookup message) {
                                if (lookup_)
                                    lookup_->send(std::move(message));
                            }}) {}

void Service::connect(ipc::Connect connect) {
    if (connect.role != ipc::Role::lookup)
        return log::error("a peer that pam has no use for",
                          {{"peer", ipc::role_name(connect.role)}});
    if (lookup_)
        lose_lookup(ipc::peer_closed);
    lookup_ = std::make_unique<ipc::Channel<ipc::LookupToPam, ipc::PamToLookup>>(
        loop_, std::move(connect.channel),
        [this](ipc::LookupToPam&& message) {
            std::visit(ipc::Overloaded{[this](ipc::CheckPassword& question) {
                           if (!checks_.check(std::move(question)))
                               lose_lookup("it asks more than it may");
                       }},
                       message);
        },
        [this](const std::string& reason) { lose_lookup(reason); });
    lookup_->wipe_packets();
}

void Service::lose_lookup(const std::string& reason) {
    ipc::log_closed_channel("lookup", reason);
    lookup_.reset();
    checks_.forget();
}

void Service::drain(std::chrono::seconds limit, std::function<void()> on_drained) {
    on_drained_ = std::move(on_drained);
    arm(loop_, loop_.now() + limit);
    checks_.drain([this] {
        disarm();
        on_drained_();
    });
}

} // namespace postern::pam
