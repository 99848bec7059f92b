// The file of the spool in which the operators' standing orders are kept.
//
// It is written anew as a whole, and takes the place of the one before when it is on disk: after a
// crash there is the one or the other. A checksum tells that it is what was written.
#pragma once

#include <cstdint>
#include <tuple>
#include <vector>

#include "common/base/result.h"
#include "common/ipc/administration.h"
#include "queue/spool/file_system.h"

namespace postern {

struct SavedOrders {
    uint8_t format = 1;
    uint32_t next_number = 1; // so that none is given twice
    std::vector<ipc::StandingOrder> orders;
    static constexpr auto fields(auto& m) { return std::tie(m.format, m.next_number, m.orders); }
};

// Without a file there are none. EBADMSG: it is damaged, or of a format that is not known, and has
// been set aside in corrupt/ as far as that was possible.
Result<SavedOrders> read_orders(FileSystem& files);

// They are on disk when it succeeds; else those from before may be, or these.
Result<void> write_orders(FileSystem& files, const SavedOrders& orders);

} // namespace postern
