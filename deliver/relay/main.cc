// postern-relay: hands mail to other hosts by SMTP and LMTP.
//
// It receives settings and channels from the supervisor, deliveries from the queue, and addresses
// from the resolver. It keeps the right to make connections, and nothing else: no files, no spool.
#include <algorithm>
#include <openssl/ssl.h>
#include <sys/resource.h>

#include "common/process/process.h"
#include "deliver/relay/relay.h"

using namespace postern;

namespace {

// As many descriptors as the system grants.
size_t raise_descriptor_limit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 256;
    limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 4096);
    setrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_NOFILE, &limit);
    return static_cast<size_t>(limit.rlim_cur);
}

} // namespace

int main() {
    Process process(ipc::Role::relay);
    ipc::Configure first = process.first_configure();
    Result<ipc::RelaySettings> settings = read_settings<ipc::RelaySettings>(first);
    if (!settings) {
        log::error("no usable settings", {{"reason", settings.error().message}});
        return 70; // EX_SOFTWARE
    }
    OPENSSL_init_ssl(OPENSSL_INIT_LOAD_CONFIG, nullptr); // the machine's openssl.cnf
    size_t descriptors = raise_descriptor_limit();
    relay::Relay relay(process.loop(), *settings, descriptors, [&process] { process.quit(); });
    Sandbox sandbox;
    sandbox.network_client = true;
    process.lock_in(first.identity, sandbox);

    return process.run({
        .configure =
            [&relay](ipc::Configure next) {
                Result<ipc::RelaySettings> changed = read_settings<ipc::RelaySettings>(next);
                if (changed)
                    relay.configure(*changed);
                else
                    log::error("the new settings are not usable, the old ones stay",
                               {{"reason", changed.error().message}});
            },
        .connect = [&relay](ipc::Connect connect) { relay.connect(std::move(connect)); },
        .drain = [&relay](std::chrono::seconds limit) { relay.drain(limit); },
    });
}
