// postern-resolver: DNS for all the other processes, cached, and validated where there is a trust
// anchor.
//
// Receives questions (common/ipc/resolution.h) from listeners and relays, and the answers of DNS
// servers. Holds sockets to those, and nothing else: no files, no mail.
#include <cstdio>
#include <memory>
#include <sys/resource.h>

#include "common/process/process.h"
#include "smtpd/resolver/service.h"

namespace {

using namespace postern;

constexpr int bad_settings = 78; // EX_CONFIG
constexpr size_t resolv_conf_limit = 64 * 1024;

// Empty if there is none.
std::string read_resolv_conf() {
    std::unique_ptr<FILE, decltype(&std::fclose)> file(std::fopen("/etc/resolv.conf", "re"),
                                                       &std::fclose);
    std::string text(resolv_conf_limit, '\0');
    text.resize(file ? std::fread(text.data(), 1, text.size(), file.get()) : 0);
    return text;
}

// Each question under way takes a socket.
void raise_descriptor_limit() {
    constexpr rlim_t wanted = 4096;
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = std::min(wanted, limit.rlim_max);
    setrlimit(RLIMIT_NOFILE, &limit); // without it, fewer at once
}

// At the start without settings there is nothing to serve; later the former ones stay.
bool apply(ResolverService& service, const ipc::Configure& configure) {
    Result<ipc::ResolverSettings> settings = read_settings<ipc::ResolverSettings>(configure);
    Result<void> done = settings ? service.configure(*settings) : settings.error();
    if (!done)
        log::error("cannot use the settings", {{"reason", done.error().message}});
    return done.ok();
}

} // namespace

int main() {
    Process process(ipc::Role::resolver);
    const ipc::Configure first = process.first_configure();
    // The last look at the machine's files: a reload keeps to these name servers.
    const std::vector<Endpoint> system_servers = parse_name_servers(read_resolv_conf());
    raise_descriptor_limit();
    process.lock_in(first.identity, Sandbox{.network_client = true});

    ResolverService service(process.loop(), system_servers, [&] { process.quit(); });
    if (!apply(service, first))
        return bad_settings;
    return process.run({
        .configure = [&](ipc::Configure configure) { apply(service, configure); },
        .connect = [&](ipc::Connect connect) { service.connect(std::move(connect)); },
        .drain = [&](std::chrono::seconds limit) { service.drain(limit); },
    });
}
