// The deliveries that are open: what was handed to whom, and what came back.
//
// Owner: the queue. A deliverer is not believed more than it must be: an outcome has to be about
// recipients that it was given, and the text in it is made harmless. A job that was handed over
// comes back exactly once, by `settled` or, when the deliverer is gone, by `lost`.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/result.h"
#include "common/ipc/delivery.h"
#include "queue/fresh_contents.h"
#include "queue/mail_table.h"
#include "queue/spool/spool.h"

namespace postern {

class Dispatch {
  public:
    using Send = std::function<void(ipc::Deliver)>;
    struct Handlers {
        // Exactly one outcome for each recipient that the job has.
        std::function<void(Job&, bool down, std::vector<ipc::RecipientOutcome>)> settled;
        std::function<void(Job&)> lost;
    };
    Dispatch(Spool& spool, FreshContents& fresh, MailTable& table, Handlers handlers);

    void connect(uint16_t deliverer, Send send);
    void disconnect(uint16_t deliverer);
    bool connected(uint16_t deliverer) const;

    // Hands the job, which names its deliverer, over. Fails when the content cannot be read.
    Result<void> deliver(Job& job, WallTime now);
    // False: the deliverer says what it cannot know, and is not to be talked to any more.
    bool outcome(uint16_t deliverer, ipc::Outcome outcome);

    size_t open() const { return open_.size(); }

  private:
    struct Delivery {
        Job* job = nullptr;
        uint16_t deliverer = 0;
    };
    Result<void> add_content(const QueuedMessage& message, ipc::Deliver& deliver);

    Spool& spool_;
    FreshContents& fresh_;
    MailTable& table_;
    Handlers handlers_;
    std::vector<Send> deliverers_;
    std::unordered_map<uint64_t, Delivery> open_;
    uint64_t next_delivery_ = 1;
};

// The outcomes that hold for `expected` (indexes), made harmless; a missing one is temporary. Pure.
// An error if one is for somebody else, twice for the same, or forwards where that cannot be.
// `forwarder`: the user whose .forward may count, of a job that `local` has; nothing: no relay
// forwards. Commands, files and mailboxes that it names are to be this user's.
Result<std::vector<ipc::RecipientOutcome>>
check_outcomes(const std::vector<uint32_t>& expected, std::vector<ipc::RecipientOutcome> outcomes,
               const std::optional<std::string>& forwarder);

} // namespace postern
