// libunbound on our event loop: it caches, validates, retries, and asks several servers at once.
//
// One context, built whole from a DnsSetup. It is given no file to read, so that it can be built
// anew after the process has locked itself in.
#pragma once

#include <memory>
#include <unordered_map>

#include "common/base/result.h"
#include "common/loop/event_loop.h"
#include "smtpd/resolver/dns_backend.h"
#include "smtpd/resolver/dns_setup.h"

struct ub_ctx;

namespace postern {

class UnboundBackend final : public DnsBackend {
  public:
    // The context is complete when this returns: wrong settings are found here, not later.
    static Result<std::unique_ptr<UnboundBackend>> open(EventLoop& loop, const DnsSetup& setup,
                                                        OnReply on_reply);
    // Drops the open questions without a reply.
    ~UnboundBackend() override;

    void ask(uint64_t id, const DnsQuestion& question) override;
    void cancel(uint64_t id) override;

  private:
    // What libunbound gives back with the reply.
    struct Slot {
        UnboundBackend* backend;
        uint64_t id;
        int handle; // libunbound's number of the question
    };
    struct ContextDeleter {
        void operator()(ub_ctx* context) const;
    };

    UnboundBackend(ub_ctx* context, OnReply on_reply)
        : context_(context), on_reply_(std::move(on_reply)) {}
    static void replied(void* slot, int rcode, void* packet, int length, int security,
                        char* why_bogus, int rate_limited);

    std::unique_ptr<ub_ctx, ContextDeleter> context_;
    OnReply on_reply_;
    std::unordered_map<uint64_t, std::unique_ptr<Slot>> slots_;
};

} // namespace postern
