// One message on its way to a next hop, and those whom it is for.
#pragma once

#include <string>
#include <utility>

#include "common/ipc/delivery.h"
#include "common/loop/executor.h"
#include "deliver/relay/content.h"
#include "deliver/relay/diagnosis.h"
#include "deliver/relay/tls_policy.h"

namespace postern::relay {

struct Message {
    explicit Message(ContentSource& content) : content(content) {}
    std::string reverse_path;  // in wire form without brackets; empty: the null path
    MailParameters parameters; // require_tls: of the next hop, too, which is sure to offer it
    TimePoint as_of{};         // BY of `parameters` is what was left then
    bool eight_bit = false;    // a byte over 127 occurs in the content
    bool utf8_header = false;  // and in the header section of a message with SMTPUTF8
    ContentSource& content;
};

enum class Verdict : uint8_t { open, delivered, temporary, permanent };

struct Recipient {
    explicit Recipient(std::string address) : address(std::move(address)) {}
    std::string address; // what stands between the brackets of RCPT
    RecipientParameters parameters;
    Verdict verdict = Verdict::open;
    ipc::Handover handover = ipc::Handover::relayed; // if delivered
    bool deliver_by = false;                         // the same: the next hop keeps to BY
    std::string tls = no_tls; // how the connection was encrypted by which there is a verdict
    Diagnosis diagnosis;      // why; while `open`: what went wrong last
};

inline void decide(Recipient& recipient, Verdict verdict, Diagnosis diagnosis) {
    recipient.verdict = verdict;
    recipient.diagnosis = std::move(diagnosis);
}

} // namespace postern::relay
