// postern-queue: the mail that was answered for.
//
// It receives:  its settings and the spool's directory from the supervisor; messages from the
//               listeners; routes from lookup; outcomes from the relays and from local; questions
//               from control.
// It gives:     Durable, once a message is on disk; deliveries, with their content, to the relays
//               and to local.
// It drops:     its user, its root directory, and the network before it reads the spool.
// It ends:      when the supervisor says so, with the spool closed in order; or when it is gone.
#include <cstdlib>
#include <random>

#include "common/ipc/queue_settings.h"
#include "common/process/process.h"
#include "queue/admin.h"
#include "queue/peers.h"
#include "queue/queue.h"
#include "queue/spool/posix_file_system.h"

using namespace postern;

namespace {

constexpr int settings_wrong = 78;                        // EX_CONFIG
constexpr int spool_unusable = 73;                        // EX_CANTCREAT
constexpr auto closing_reserve = std::chrono::seconds(1); // of the time to drain

[[noreturn]] void fail(int status, const std::string& what, const Error& error) {
    log::error(what, {{"reason", error.message}});
    std::exit(status);
}

template <class T> T value_or_end(Result<T> result, int status, const std::string& what) {
    if (!result)
        fail(status, what, result.error());
    return std::move(*result);
}

void report(const SpoolEvent& event) {
    const bool harmless = event.kind == SpoolEvent::Kind::TornTail;
    log::write(harmless ? log::Level::info : log::Level::error, "spool",
               {{"event", event.message}});
}

} // namespace

int main() {
    Process process(ipc::Role::queue);
    ipc::Configure first = process.first_configure();
    const auto settings = value_or_end(read_settings<ipc::QueueSettings>(first), settings_wrong,
                                       "the settings cannot be read");
    if (first.files.size() != 1)
        fail(settings_wrong, "the settings cannot be read", Error{"no spool directory came along"});

    auto files = value_or_end(PosixFileSystem::adopt(std::move(first.files[0])), spool_unusable,
                              "the spool cannot be used");
    process.lock_in(first.identity, Sandbox{.open_files = true});
    SpoolOptions options;
    options.report = report;
    auto spool = value_or_end(Spool::open(*files, std::move(options)), spool_unusable,
                              "the spool cannot be opened");

    std::mt19937_64 random(std::random_device{}());
    Counters counters;
    Queue queue(process.loop(), *spool, counters, settings, [&random] { return random(); });
    if (const std::optional<Error>& unread = queue.orders().unread())
        fail(spool_unusable, "the operators' orders cannot be read", *unread);
    OperatorPort* port = nullptr;
    Admin admin(queue, [&port](ipc::Answer answer) { port->answer(std::move(answer)); });
    OperatorPort operators(
        process.loop(), counters, [&queue](Counters&) { queue.refresh_counters(); },
        [&admin](ipc::Question& question) { return admin.ask(question); });
    port = &operators;
    Peers peers(process.loop(), queue, operators);
    Watch commits(process.loop(), spool->completion_fd(), [&](short) {
        queue.collect();
        admin.collect();
    });
    commits.want(Watch::readable);
    queue.scheduler().pause_relays(first.orders.mta_paused);
    queue.scheduler().pause_local(first.orders.mda_paused);
    queue.load();

    const int status = process.run({
        .configure =
            [&queue](ipc::Configure configure) {
                Result<ipc::QueueSettings> changed = read_settings<ipc::QueueSettings>(configure);
                if (changed)
                    queue.configure(*changed);
                else
                    log::error("new settings are ignored", {{"reason", changed.error().message}});
            },
        .connect = [&peers](ipc::Connect connect) { peers.connect(std::move(connect)); },
        .drain =
            [&](std::chrono::seconds limit) {
                queue.drain(std::max<Duration>(limit - closing_reserve, Duration(0)), [&] {
                    commits.want(Watch::none);
                    process.quit();
                });
            },
    });
    // Without a drain, when the supervisor or a peer has gone, what is known of deliveries is kept.
    if (Result<void> closed = spool->close(); !closed)
        log::error("the spool was not closed in order", {{"reason", closed.error().message}});
    return status;
}
