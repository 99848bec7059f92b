// postern-control: serves smtpctl. It passes questions to the processes that can answer them, and
// holds no mail itself.
#include <algorithm>

#include "common/ipc/control_settings.h"
#include "common/process/process.h"
#include "smtpd/control/desk.h"
#include "smtpd/control/peers.h"

int main() {
    using namespace postern;
    Process process(ipc::Role::control);
    Peers peers(process.loop());
    Desk desk(process.loop(), peers,
              [&process](ipc::ToSupervisor order) { process.send(std::move(order)); });

    auto configure = [&](ipc::Configure message) {
        Result<ipc::ControlSettings> settings = read_settings<ipc::ControlSettings>(message);
        if (!settings || message.files.size() != 1) {
            log::error("control got settings that it cannot use");
            process.quit(70);
            return;
        }
        desk.open(std::move(message.files[0]), settings->allowed_user);
    };
    ipc::Configure first = process.first_configure();
    process.lock_in(first.identity, Sandbox{.network_server = true});
    desk.begin_with(first.orders);
    configure(std::move(first));
    return process.run({
        .configure = configure,
        .connect = [&](ipc::Connect connect) { desk.connect(std::move(connect)); },
        .drain =
            [&](std::chrono::seconds) {
                desk.close();
                process.quit();
            },
    });
}
