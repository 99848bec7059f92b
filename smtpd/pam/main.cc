// postern-pam: has the passwords of the system's users checked by PAM.
//
// Receives questions (common/ipc/pam.h) from lookup, and from nobody else. It never calls PAM,
// whose modules want to be root, open files and talk to servers: for each question it has the
// supervisor run a helper (postern-pam-check), to which it can give nothing but a user, a password,
// an address, and the name of a service that the configuration has too. It can reach neither
// network nor files.
#include "common/ipc/pam_settings.h"
#include "common/process/process.h"
#include "smtpd/pam/service.h"

namespace {

using namespace postern;

constexpr int bad_settings = 78; // EX_CONFIG

// At the start without settings there is nothing to serve; later the former ones stay.
bool apply(pam::Service& service, const ipc::Configure& configure) {
    Result<ipc::PamSettings> settings = read_settings<ipc::PamSettings>(configure);
    if (!settings)
        log::error("cannot use the settings", {{"reason", settings.error().message}});
    else
        service.configure(*settings);
    return settings.ok();
}

} // namespace

int main() {
    Process process(ipc::Role::pam);
    const ipc::Configure first = process.first_configure();
    process.lock_in(first.identity, Sandbox{.has_secrets = true});

    pam::Service service(process.loop(),
                         [&](ipc::ToSupervisor message) { process.send(std::move(message)); });
    if (!apply(service, first))
        return bad_settings;
    return process.run({
        .configure = [&](ipc::Configure configure) { apply(service, configure); },
        .connect = [&](ipc::Connect connect) { service.connect(std::move(connect)); },
        .drain = [&](std::chrono::seconds limit) { service.drain(limit, [&] { process.quit(); }); },
        .exited = [&](ipc::Exited exited) { service.exited(exited); },
    });
}
