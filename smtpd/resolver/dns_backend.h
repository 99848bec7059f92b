// Who is asked: libunbound, or a test.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "smtpd/resolver/question.h"

namespace postern {

class DnsBackend {
  public:
    struct Reply {
        bool failed = true;      // there is no packet: SERVFAIL, or the question was refused
        std::string_view packet; // in wire form; valid during the call only
        bool secure = false;     // validated by DNSSEC
        bool bogus = false;      // validation failed: the packet is there, and must not be believed
        std::string_view reason; // of a bogus answer, for the log; may be empty
    };
    // Called once for each question, unless it is cancelled; also from inside ask(), when the
    // answer is known already.
    using OnReply = std::function<void(uint64_t id, const Reply& reply)>;

    virtual ~DnsBackend() = default;
    // `id` is the caller's, unique among the open questions.
    virtual void ask(uint64_t id, const DnsQuestion& question) = 0;
    virtual void cancel(uint64_t id) = 0;
};

} // namespace postern
