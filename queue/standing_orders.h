// What operators want of mail that waits and of mail to come: what is suspended, and what goes to
// another host than the rules say.
//
// Owner: the queue. They are in a file of the spool (orders_file.h) and outlive the process. They
// are looked at whenever a recipient is routed, so that what has no order yet to wait for is found
// as late as that; the first order that means a recipient decides.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/ipc/administration.h"
#include "queue/spool/file_system.h"

namespace postern {

class StandingOrders {
  public:
    static constexpr size_t most = 100;
    using Order = ipc::StandingOrder;

    // Reads them. Damaged ones are reported in the log, and are as if they had never been.
    explicit StandingOrders(FileSystem& files);
    // They could not be read at all: none can be given, and mail goes where it is not to go.
    const std::optional<Error>& unread() const { return unread_; }

    // The order as it stands: with its number, and on disk. Waits for the disk.
    Result<Order> give(Order order, int64_t now);
    // ENOENT: there is none of this number. Waits for the disk.
    Result<void> end(uint32_t number, int64_t now);
    // Those that are not over; `now` in seconds since the epoch.
    std::vector<Order> standing(int64_t now) const;

    struct Mail {
        uint64_t message = 0;
        std::string_view reverse_path; // in wire form
        std::string_view recipient;
        std::string_view next_hop; // empty: it has none
    };
    // Valid until one is given or ended.
    const Order* find(ipc::OrderKind kind, const Mail& mail, int64_t now) const;

  private:
    Result<void> change(std::vector<Order> orders, uint32_t next_number);

    FileSystem& files_;
    std::optional<Error> unread_;
    bool numbers_lost_ = false;
    std::vector<Order> orders_; // in order of their numbers
    uint32_t next_number_ = 1;
};

} // namespace postern
