// How many deliveries one destination gets at once: what it turns out to stand. Pure.
//
// It begins with a few and grows with every answer, so that a healthy host has all that it may
// within a few round trips. After a failure it is half as wide, and grows past that only by one for
// each windowful of answers, as TCP does after a loss (RFC 5681 3.1). Deliveries that were out when
// it shrank tell nothing of its new size: what fails together is one failure.
//
// A host that turns deliveries away gets one at a time in the end, and is not left alone: it may be
// the mail that it turns away, and others would wait for the sender of that. One that cannot be
// reached is left alone as soon as that is sure: at once, if nothing is known of it, or else when
// as many deliveries as were out have failed in a row.
#pragma once

#include <cstdint>

namespace postern {

class ConcurrencyWindow {
  public:
    static constexpr uint32_t first = 5;

    enum class Failure : uint8_t {
        unreachable,
        hindered, // it said "not now", or broke off
    };

    // What may be out at once: 1 to `most`, which is 1 at least.
    uint32_t size(uint32_t most) const { return size_ < most ? size_ : most; }
    // It has shrunk, and has not grown to `most` since.
    bool cautious(uint32_t most) const { return size_ < most && threshold_ != unknown; }

    // One of `out` deliveries, itself included, is back. False: nothing is to be sent for now.
    void answered(uint32_t out, uint32_t most);
    bool failed(Failure failure, uint32_t out, uint32_t most);
    // What is sent after that, or because an operator wants it, is the first.
    void reopen();

  private:
    static constexpr uint32_t unknown = UINT32_MAX;

    uint32_t size_ = first;
    uint32_t threshold_ = unknown; // below it, every answer is one more
    uint32_t answers_ = 0;         // since it grew, above the threshold
    uint32_t before_ = 0;          // deliveries still out that began before it shrank
    uint32_t failures_ = 0;        // since the last answer
    uint32_t together_ = 0;        // deliveries that were out at the first of these
    bool known_ = false;           // it answered since it was opened
};

} // namespace postern
