// postern-policy: finds out what domains ask of those who send mail to them (MTA-STS, RFC 8461).
//
// It receives:  its settings and the directory of the policies from the supervisor; questions and
//               results of sessions from relays (common/ipc/transport_policy.h); DNS answers from
//               the resolver.
// It gives:     the policy of a domain, fetched over HTTPS from the domain's server, or kept from
//               before; to domains that ask for it, a report a day on how TLS with them went
//               (TLSRPT, RFC 8460), by HTTPS or through the queue.
// It drops:     its user, and its root directory for that of the policies, before it connects to
//               anybody. It never sees mail, or who writes to whom.
#include "common/process/process.h"
#include "smtpd/policy/service.h"

namespace {

using namespace postern;

constexpr int bad_settings = 78; // EX_CONFIG

} // namespace

int main() {
    Process process(ipc::Role::policy);
    ipc::Configure first = process.first_configure();
    const Result<ipc::PolicySettings> settings = read_settings<ipc::PolicySettings>(first);
    if (!settings || first.files.size() != 1) {
        log::error("no usable settings",
                   {{"reason", settings ? "no directory came along" : settings.error().message}});
        return bad_settings;
    }
    process.lock_in(first.identity, Sandbox{.network_client = true, .open_files = true});

    policy::Service service(process.loop(), *settings, std::move(first.files.front()),
                            [&] { process.quit(); });
    return process.run({
        .configure =
            [&](ipc::Configure configure) {
                const auto changed = read_settings<ipc::PolicySettings>(configure);
                if (changed)
                    service.configure(*changed);
                else
                    log::error("cannot use the settings", {{"reason", changed.error().message}});
            },
        .connect = [&](ipc::Connect connect) { service.connect(std::move(connect)); },
        .drain = [&](std::chrono::seconds limit) { service.drain(limit); },
    });
}
