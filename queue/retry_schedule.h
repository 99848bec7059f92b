// When mail that failed is tried again: `queue retry-delay`, `queue retry-max` and `queue retry` of
// smtpd.conf(5). Pure.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "common/ipc/queue_settings.h"
#include "common/mail/domain_set.h"
#include "queue/backoff.h"

namespace postern {

class RetrySchedule {
  public:
    RetrySchedule() = default;
    explicit RetrySchedule(const ipc::QueueSettings& settings);

    // The first rule that is for this decides.
    Backoff backoff(std::string_view domain, FailureClass failure) const;
    // However mail fails, it does not wait for longer.
    std::chrono::seconds longest() const;

  private:
    struct Rule {
        std::optional<DomainSet> domains;  // none: all
        std::vector<FailureClass> classes; // none: all
        Backoff backoff;
    };
    Backoff otherwise_;
    std::vector<Rule> rules_;
};

} // namespace postern
