// postern-local: delivers into mailboxes and to commands, each time by a helper that the supervisor
// runs as the recipient's user (postern-deliver).
//
// Receives mail from the queue (common/ipc/delivery.h). Holds neither files nor sockets: it may
// name an action and a user to the supervisor, and hand over the content.
#include "common/process/process.h"
#include "deliver/local/service.h"

namespace {

using namespace postern;

constexpr int bad_settings = 78; // EX_CONFIG

std::optional<ipc::LocalSettings> settings_of(const ipc::Configure& configure) {
    Result<ipc::LocalSettings> settings = read_settings<ipc::LocalSettings>(configure);
    if (settings)
        return *settings;
    log::error("cannot use the settings", {{"reason", settings.error().message}});
    return std::nullopt;
}

} // namespace

int main() {
    Process process(ipc::Role::local);
    const ipc::Configure first = process.first_configure();
    process.lock_in(first.identity, Sandbox{});

    std::optional<ipc::LocalSettings> settings = settings_of(first);
    if (!settings)
        return bad_settings;
    LocalService service(process.loop(), *settings,
                         [&](ipc::ToSupervisor message) { process.send(std::move(message)); });
    return process.run({
        .configure =
            [&](ipc::Configure configure) {
                if (std::optional<ipc::LocalSettings> changed = settings_of(configure))
                    service.configure(*changed);
            },
        .connect = [&](ipc::Connect connect) { service.connect(std::move(connect)); },
        .drain = [&](std::chrono::seconds limit) { service.drain(limit, [&] { process.quit(); }); },
        .exited = [&](ipc::Exited exited) { service.exited(std::move(exited)); },
    });
}
