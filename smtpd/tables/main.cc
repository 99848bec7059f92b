// postern-tables: asks data bases, directories and servers what they have for a key.
//
// Receives questions (common/ipc/tables.h) from lookup, and from nobody else. The libraries that it
// asks with block, and bring much along: here they may hang or die without taking anything else
// with them. It knows the passwords of these servers, and the hashes that pass through it, but no
// mail and no client; it opens files for reading, and makes connections.
#include <cstdlib>
#include <unistd.h>

#include "common/process/process.h"
#include "smtpd/tables/service.h"

namespace {

using namespace postern;

constexpr int bad_settings = 78;  // EX_CONFIG
constexpr int stuck_library = 70; // EX_SOFTWARE

// At the start without settings there is nothing to serve; later the former ones stay.
bool apply(tables::Service& service, const ipc::Configure& configure) {
    Result<ipc::TablesSettings> settings = read_settings<ipc::TablesSettings>(configure);
    if (!settings)
        log::error("cannot use the settings", {{"reason", settings.error().message}});
    else
        service.configure(*settings);
    return settings.ok();
}

} // namespace

int main() {
    Process process(ipc::Role::tables);
    const ipc::Configure first = process.first_configure();
    process.lock_in(first.identity, Sandbox{.network_client = true,
                                            .read_files = true,
                                            .resolve_names = true,
                                            .has_secrets = true});

    // That of whoever has started the server: libraries look for their files there, and take it
    // amiss that they may not.
    unsetenv("HOME");
    // getaddrinfo() has no limit of its own, and there are no threads yet.
    setenv("RES_OPTIONS", "timeout:1 attempts:2", 1);
    tables::Service service(process.loop(), [&] { process.quit(stuck_library); });
    if (!apply(service, first))
        return bad_settings;
    const int status = process.run({
        .configure = [&](ipc::Configure configure) { apply(service, configure); },
        .connect = [&](ipc::Connect connect) { service.connect(std::move(connect)); },
        .drain = [&](std::chrono::seconds) { process.quit(); },
    });
    // Threads that a library keeps are not waited for, and destructors are not for them to meet.
    _exit(status);
}
