// The policies that were fetched, in memory and on disk: a policy protects only who remembers it
// (RFC 8461 10.2), so it outlasts restarts.
//
// Owner: policy. One file a domain, with the domain's name, in a directory of its own: two lines of
// ours, then the policy as it was fetched. What cannot be written counts until the process ends.
// The directory has files of reports too (report_store.h), which are left alone.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "common/base/file_descriptor.h"
#include "common/base/result.h"
#include "common/ipc/transport_policy.h"

namespace postern::policy {

struct KeptPolicy {
    ipc::StsPolicy policy;
    int64_t fetched_at = 0; // seconds since the epoch
    int64_t expires_at() const { return fetched_at + policy.max_age; }
};

class PolicyStore {
  public:
    static constexpr size_t limit = 10'000; // domains; then those go that were fetched first

    // Reads what is there; files that are no policies, or of ones that are over, are deleted.
    PolicyStore(FileDescriptor directory, int64_t now);

    // What holds now; null if there is none.
    const KeptPolicy* find(const std::string& domain, int64_t now) const;

    // In place of the former. `text` is a policy (sts_policy.h) and `domain` a domain in lower
    // case. An error: it could not be written, and is forgotten with the process.
    Result<void> keep(const std::string& domain, const std::string& id, std::string_view text,
                      int64_t now);

    size_t size() const { return policies_.size(); }

  private:
    void read(const std::string& name, int64_t now);
    void remove(std::string domain);
    void make_room(int64_t now, size_t most);

    FileDescriptor directory_;
    std::map<std::string, KeptPolicy> policies_; // by domain
};

} // namespace postern::policy
