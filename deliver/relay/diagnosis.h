// Why something did not work, in the form that ends up in the queue, the log and the bounce.
#pragma once

#include <string>
#include <string_view>

#include "common/smtp/enhanced_status.h"
#include "common/smtp/reply.h"

namespace postern::relay {

// The longest text of a diagnosis, in bytes. What a next hop says is cut off there.
inline constexpr size_t diagnosis_limit = 1000;

struct Diagnosis {
    EnhancedStatusCode status; // class 2, 4 or 5; always there in what is reported
    std::string text;          // one line of printable ASCII
    bool from_remote = false;  // `text` is an SMTP reply of `remote`
    std::string remote;        // "mx1.example[192.0.2.1]:25"; empty: nobody was reached

    Diagnosis() = default;
    Diagnosis(EnhancedStatusCode status, std::string text, std::string remote = {})
        : status(status), text(std::move(text)), remote(std::move(remote)) {}
    // A reply, read as one of the class `status_class`: a 552 that counts as 452 is 4.x.x.
    Diagnosis(const Reply& reply, int status_class, std::string remote)
        : status(reply.status.present() ? reply.status.as(status_class)
                                        : status::undefined.as(status_class)),
          text(to_line(reply, diagnosis_limit)), from_remote(true), remote(std::move(remote)) {}
};

} // namespace postern::relay
