// postern-keyholder: has the private keys, and signs handshakes with them.
//
// It receives the keys as memory files from the supervisor, which does not look into them, and
// channels to the listeners, the relays and control. It can reach neither network nor files.
#include <algorithm>
#include <openssl/crypto.h>

#include "common/ipc/keyholder_settings.h"
#include "common/process/operator_port.h"
#include "common/process/process.h"
#include "smtpd/keyholder/service.h"

using namespace postern;

namespace {

Result<keyholder::Keys> load_keys(const ipc::Configure& configure) {
    auto settings = read_settings<ipc::KeyholderSettings>(configure);
    if (!settings)
        return settings.error();
    if (settings->names.size() != configure.files.size())
        return Error{"keys and their names differ in number"};
    keyholder::Keys keys;
    for (size_t i = 0; i < configure.files.size(); ++i) {
        Result<std::string> pem = read_memory_file(configure.files[i]);
        if (!pem)
            return pem.error();
        const bool for_relays = std::find(settings->for_relays.begin(), settings->for_relays.end(),
                                          settings->names[i]) != settings->for_relays.end();
        Result<void> added = keys.add(*pem, for_relays);
        OPENSSL_cleanse(pem->data(), pem->size());
        if (!added)
            return Error{"pki " + settings->names[i] + ": " + added.error().message};
    }
    return keys;
}

// False: the former keys stay.
bool take_keys(keyholder::Service& service, const ipc::Configure& configure) {
    Result<keyholder::Keys> keys = load_keys(configure);
    if (!keys) {
        log::error("bad settings", {{"error", keys.error().message}});
        return false;
    }
    service.set_keys(*std::move(keys));
    return true;
}

} // namespace

int main() {
    Process process(ipc::Role::keyholder);
    ipc::Configure first = process.first_configure();
    OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
    process.lock_in(first.identity, Sandbox{.has_secrets = true});

    EventLoop& loop = process.loop();
    keyholder::Service service(loop);
    Counters counters;
    OperatorPort operator_port(loop, counters, [&](Counters& current) {
        current["keyholder.keys"] = service.keys();
        current["keyholder.signatures"] = service.totals().signatures;
        current["keyholder.refused"] = service.totals().refused;
    });

    if (!take_keys(service, first))
        return 78; // EX_CONFIG
    first = {};

    Process::Handlers handlers;
    handlers.configure = [&](ipc::Configure again) { take_keys(service, again); };
    handlers.connect = [&](ipc::Connect peer) {
        if (peer.role == ipc::Role::listener)
            service.connect(peer.index, std::move(peer.channel));
        else if (peer.role == ipc::Role::relay)
            service.connect(peer.index, std::move(peer.channel), keyholder::Side::client);
        else if (peer.role == ipc::Role::control)
            operator_port.connect(std::move(peer.channel));
        else
            log::warning("a channel to nobody we know", {{"role", ipc::role_name(peer.role)}});
    };
    handlers.drain = [&](std::chrono::seconds) { process.quit(); };
    return process.run(std::move(handlers));
}
