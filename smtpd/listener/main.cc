// postern-listener: the SMTP server. Several of them share the listening sockets.
//
// It receives the listening sockets and its settings from the supervisor, and channels to the
// queue, lookup, the resolver, the keyholder and control. It gives up its privileges before it
// reads anything from the network, and opens no sockets or files afterwards.
#include <openssl/async.h>
#include <openssl/ssl.h>

#include "common/process/operator_port.h"
#include "common/process/process.h"
#include "smtpd/listener/keyholder_client.h"
#include "smtpd/listener/listener.h"
#include "smtpd/listener/lookup_client.h"
#include "smtpd/listener/queue_client.h"
#include "smtpd/listener/resolver_peer.h"

using namespace postern;

namespace {

// Handshakes that wait for their signature at once; each has a stack of 32 KiB meanwhile. More wait
// for their turn.
constexpr size_t max_handshakes_signed_for = 512;

// False: the former settings stay in force.
bool take_settings(listener::Listener& listener, ipc::Configure configure) {
    auto settings = read_settings<ipc::ListenerSettings>(configure);
    if (!settings) {
        log::error("bad settings", {{"error", settings.error().message}});
        return false;
    }
    auto taken = listener.configure(*std::move(settings), std::move(configure.files));
    if (!taken)
        log::error("bad settings", {{"error", taken.error().message}});
    return taken.ok();
}

} // namespace

int main() {
    Process process(ipc::Role::listener);
    ipc::Configure first = process.first_configure();
    OPENSSL_init_ssl(OPENSSL_INIT_LOAD_CONFIG, nullptr); // the machine's openssl.cnf
    ASYNC_init_thread(max_handshakes_signed_for, 0);
    process.lock_in(first.identity, Sandbox{.network_server = true});

    EventLoop& loop = process.loop();
    listener::QueueClient queue(loop);
    listener::LookupClient lookup(loop);
    listener::ResolverPeer resolver(loop);
    listener::KeyholderClient keyholder(loop);
    listener::Listener listener(loop, queue, lookup, resolver, lookup, keyholder);
    queue.watch_files([&listener](uint32_t used, uint32_t limit) {
        listener.content_files_changed(used, limit);
    });
    Counters counters;
    OperatorPort operator_port(
        loop, counters, [&](Counters& current) { listener.counters().publish(current); },
        [&](ipc::Question& question) { return listener.answer(question); });

    listener.pause(first.orders.smtp_paused);
    if (!take_settings(listener, std::move(first)))
        return 78; // EX_CONFIG

    auto connect = [&](ipc::Connect peer) {
        switch (peer.role) {
        case ipc::Role::queue:
            return queue.connect(std::move(peer.channel));
        case ipc::Role::lookup:
            return lookup.connect(std::move(peer.channel));
        case ipc::Role::resolver:
            return resolver.connect(std::move(peer.channel));
        case ipc::Role::keyholder:
            return keyholder.connect(std::move(peer.channel));
        case ipc::Role::control:
            return operator_port.connect(std::move(peer.channel));
        case ipc::Role::listener:
        case ipc::Role::relay:
        case ipc::Role::local:
        case ipc::Role::pam:
        case ipc::Role::tables:
        case ipc::Role::policy:
            log::warning("a channel to nobody we know", {{"role", ipc::role_name(peer.role)}});
        }
    };
    Process::Handlers handlers;
    handlers.configure = [&](ipc::Configure again) { take_settings(listener, std::move(again)); };
    handlers.connect = connect;
    handlers.drain = [&](std::chrono::seconds limit) {
        listener.drain(limit, [&] { process.quit(); });
    };
    return process.run(std::move(handlers));
}
