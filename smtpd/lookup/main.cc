// postern-lookup: says what a recipient is, and how it is delivered, by the `match` rules; and
// whether a password is that of a user, and an address his.
//
// Receives questions (common/ipc/routing.h, authentication.h) from listeners and the queue. Holds
// the rules and the tables, and may read files, for the user database, and connect to local
// sockets, for the same and for Dovecot; never sees the content of a mail. Passwords are checked on
// threads of their own, or by postern-pam, and wiped.
#include "common/process/process.h"
#include "smtpd/lookup/service.h"

namespace {

using namespace postern;

constexpr int bad_settings = 78; // EX_CONFIG

// At the start without settings there is nothing to serve; later the former ones stay.
bool apply(LookupService& service, const ipc::Configure& configure) {
    Result<ipc::LookupSettings> settings = read_settings<ipc::LookupSettings>(configure);
    Result<void> done = settings ? service.configure(*settings) : settings.error();
    if (settings) {
        RelaySecrets::wipe_tables(*settings);
        wipe(settings->srs.key);
        for (std::string& key : settings->srs.former)
            wipe(key);
    }
    if (!done)
        log::error("cannot use the settings", {{"reason", done.error().message}});
    return done.ok();
}

} // namespace

int main() {
    Process process(ipc::Role::lookup);
    ipc::Configure first = process.first_configure();
    process.lock_in(first.identity, Sandbox{.read_files = true, .ask_services = true});

    LookupService service(process.loop(), [&] { process.quit(); });
    if (!apply(service, first))
        return bad_settings;
    first = {}; // there are passwords in it
    return process.run({
        .configure = [&](ipc::Configure configure) { apply(service, configure); },
        .connect = [&](ipc::Connect connect) { service.connect(std::move(connect)); },
        .drain = [&](std::chrono::seconds limit) { service.drain(limit); },
    });
}
