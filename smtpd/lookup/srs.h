// The Sender Rewriting Scheme: mail that we forward leaves with a reverse-path of ours, so that it
// is we who are asked whether it may come from us (SPF, RFC 7208), and what comes back finds its
// way to the original sender. Pure.
//
//     bob@a.example          SRS0=hash=day=a.example=bob@us.example
//     SRS0=x=y=z=w@b.example SRS1=hash=b.example==x=y=z=w@us.example
//
// Each hash is one of ours (HMAC-SHA-256 with a secret key) over the tag and what stands behind, so
// that nobody can have us send his mail to whom he likes. The day is that of the rewriting, so that
// an old address is good for nothing; the second form has that of the first forwarder. Case does
// not count, since some hosts change it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace postern {

class SenderRewriting {
  public:
    struct Keys {
        std::string present;             // that we rewrite by; empty: nothing is rewritten
        std::vector<std::string> former; // that what comes back may be by as well
    };
    // `domain`: ours, where what comes back arrives; where it is no domain that an address can have
    // nothing is rewritten. `lifetime`: days, at most 500.
    SenderRewriting(Keys keys, std::string domain, uint32_t lifetime);

    bool enabled() const { return enabled_; }

    // The reverse-path that forwarded mail leaves with, both in wire form without brackets. The
    // same one, for the null path, for one of our domain, for one that is quoted or of no domain
    // name, and for one that would become longer than a local part or a path may be (RFC 5321
    // 4.5.3.1). `now`: seconds since the epoch.
    std::string forward(const std::string& reverse_path, int64_t now) const;

    // Whether a recipient is such an address of ours, whoever has made it.
    bool is_ours(std::string_view recipient) const;
    // Whom it stands for. An error: it is forged, or too old `now`, if that is given.
    Result<std::string> reverse(std::string_view recipient, std::optional<int64_t> now) const;

  private:
    // Empty: there is no memory.
    std::string hash(std::string_view key, std::string_view text) const;
    bool is_hash_of(std::string_view hash, std::string_view text) const;

    Keys keys_;
    std::string domain_; // in lower case
    uint32_t lifetime_;
    bool enabled_;
};

} // namespace postern
