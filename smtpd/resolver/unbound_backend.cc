#include "smtpd/resolver/unbound_backend.h"

#include <unbound-event.h>
#include <unbound.h>

#include <algorithm>
#include <sys/resource.h>

namespace postern {

namespace {

constexpr int class_in = 1;
constexpr int bogus = 1;
constexpr int secure = 2;
constexpr size_t dns_message_limit = 65535;
// Sockets that libunbound may have open at once, each for a question of its own; others wait.
constexpr rlim_t most_sockets = 1024;
constexpr rlim_t other_descriptors = 256; // channels to peers, TCP

// A failed call of libunbound, with what it was about.
Result<void> checked(int code, const std::string& what) {
    if (code == 0)
        return {};
    return Error{what + ": " + ub_strerror(code)};
}

Result<void> set(ub_ctx* context, const char* option, const std::string& value) {
    return checked(ub_ctx_set_option(context, option, value.c_str()), option);
}

std::string socket_count() {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    rlim_t count = limit.rlim_cur > 2 * other_descriptors ? limit.rlim_cur - other_descriptors : 64;
    return std::to_string(std::min(count, most_sockets));
}

Result<void> set_options(ub_ctx* context, const DnsSetup& setup) {
    const std::pair<const char*, std::string> options[] = {
        // The library's defaults are those of a program that asks now and then.
        {"outgoing-range:", socket_count()},
        {"num-queries-per-thread:", "4096"},
        {"outgoing-num-tcp:", "32"},
        {"msg-cache-size:", "16m"},
        {"rrset-cache-size:", "32m"},
        {"key-cache-size:", "4m"},
        {"neg-cache-size:", "4m"},
        // Not fragmented (DNS flag day 2020).
        {"edns-buffer-size:", "1232"},
        // A server that was away is found again soon: mail waits for it.
        {"infra-host-ttl:", "60"},
        {"infra-keep-probing:", "yes"},
        {"module-config:", setup.anchors.empty() ? "iterator" : "validator iterator"},
    };
    for (const auto& [option, value] : options)
        if (Result<void> done = set(context, option, value); !done)
            return done;
    return {};
}

// Whoever names servers means them, also where they are on this machine and for names of the
// private network.
Result<void> set_servers(ub_ctx* context, const std::vector<Endpoint>& servers) {
    for (const Endpoint& server : servers) {
        std::string where = server.address.to_string() + "@" + std::to_string(server.port);
        if (Result<void> done = checked(ub_ctx_set_fwd(context, where.c_str()), where); !done)
            return done;
    }
    if (Result<void> done = set(context, "do-not-query-localhost:", "no"); !done)
        return done;
    return set(context, "unblock-lan-zones:", "yes");
}

// Completes the context: nothing can be set after this, and mistakes come to light. libunbound
// answers these zones by itself, which is right only where nobody was named to ask.
Result<void> finalize(ub_ctx* context, const DnsSetup& setup) {
    static constexpr const char* own_zones[] = {
        "test.", "invalid.", "home.arpa.", "127.in-addr.arpa.",
        "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa."};
    // Removing a zone that is not there does nothing else.
    if (setup.servers.empty())
        return checked(ub_ctx_zone_remove(context, "finalize.invalid."), "libunbound");
    for (const char* zone : own_zones)
        if (Result<void> done = checked(ub_ctx_zone_remove(context, zone), "libunbound"); !done)
            return done;
    return {};
}

} // namespace

void UnboundBackend::ContextDeleter::operator()(ub_ctx* context) const { ub_ctx_delete(context); }

Result<std::unique_ptr<UnboundBackend>> UnboundBackend::open(EventLoop& loop, const DnsSetup& setup,
                                                             OnReply on_reply) {
    std::unique_ptr<UnboundBackend> backend(
        new UnboundBackend(ub_ctx_create_event(loop.base()), std::move(on_reply)));
    ub_ctx* context = backend->context_.get();
    if (!context)
        return Error{"libunbound cannot start"};
    ub_ctx_debugout(context, nullptr); // it would write to standard error in its own manner
    if (Result<void> done = set_options(context, setup); !done)
        return done.error();
    if (!setup.servers.empty())
        if (Result<void> done = set_servers(context, setup.servers); !done)
            return done.error();
    for (const std::string& anchor : setup.anchors)
        if (Result<void> done = checked(ub_ctx_add_ta(context, anchor.c_str()), "trust anchor");
            !done)
            return done.error();
    if (Result<void> done = finalize(context, setup); !done)
        return done.error();
    return backend;
}

UnboundBackend::~UnboundBackend() {
    // Deleting a context replies to what is open: with nothing, once it is cancelled.
    for (const auto& [id, slot] : slots_)
        ub_cancel(context_.get(), slot->handle);
    context_.reset();
}

void UnboundBackend::ask(uint64_t id, const DnsQuestion& question) {
    auto owned = std::make_unique<Slot>(Slot{this, id, 0});
    Slot* slot = owned.get();
    slots_.emplace(id, std::move(owned));
    int handle = 0;
    const int code = ub_resolve_event(context_.get(), question.name.c_str(),
                                      type_number(question.type), class_in, slot, replied, &handle);
    // It may have been answered by now, and the slot be gone.
    auto found = slots_.find(id);
    if (found == slots_.end())
        return;
    if (code != 0) {
        slots_.erase(found);
        on_reply_(id, Reply{});
        return;
    }
    found->second->handle = handle;
}

void UnboundBackend::cancel(uint64_t id) {
    auto found = slots_.find(id);
    if (found == slots_.end())
        return;
    // A question that libunbound does not know any more has no use for its slot either.
    ub_cancel(context_.get(), found->second->handle);
    slots_.erase(found);
}

void UnboundBackend::replied(void* data, int rcode, void* packet, int length, int security,
                             char* why_bogus, int) {
    Slot* slot = static_cast<Slot*>(data);
    UnboundBackend& backend = *slot->backend;
    const uint64_t id = slot->id;
    backend.slots_.erase(id);
    Reply reply;
    // A bogus answer comes with rcode 0 and its packet: `security` alone tells.
    reply.bogus = security == bogus;
    if (reply.bogus && why_bogus)
        reply.reason = why_bogus;
    if (rcode == 0 && packet && length > 0 && static_cast<size_t>(length) <= dns_message_limit) {
        reply.failed = false;
        reply.packet = {static_cast<const char*>(packet), static_cast<size_t>(length)};
        reply.secure = security == secure;
    }
    backend.on_reply_(id, reply);
}

} // namespace postern
