#include "smtpd/listener/transaction.h"

#include <algorithm>

namespace postern::listener {

namespace {

constexpr size_t few = 16; // recipients that are compared one by one
// Of an address on the wire between processes: its length field.
constexpr size_t address_overhead = 4;

} // namespace

Transaction::Transaction(const MailCommand& mail, uint32_t number)
    : number_(number), reverse_path_(mail.reverse_path.to_string()),
      body_(mail.body == BodyType::eight_bit_mime ? ipc::Body::eight_bit_mime
                                                  : ipc::Body::seven_bit) {}

bool Transaction::has_room(const std::string& address, size_t pending,
                           uint32_t max_recipients) const {
    // Those pending are not longer than a path may be.
    const size_t bytes = recipient_bytes_ + pending * (limits::path + address_overhead) +
                         address.size() + address_overhead;
    return bytes <= max_recipient_bytes &&
           (max_recipients == 0 || recipients_.size() + pending < max_recipients);
}

void Transaction::add_recipient(std::string address) {
    if (recipients_.size() < few) {
        if (std::find(recipients_.begin(), recipients_.end(), address) != recipients_.end())
            return;
    } else {
        if (known_.empty())
            known_.insert(recipients_.begin(), recipients_.end());
        if (!known_.insert(address).second)
            return;
    }
    recipient_bytes_ += address.size() + address_overhead;
    recipients_.push_back(std::move(address));
}

ipc::Envelope Transaction::take_envelope(const ipc::Origin& origin, int64_t accepted_at) {
    ipc::Envelope envelope;
    envelope.origin = origin;
    envelope.reverse_path = reverse_path_;
    envelope.recipients = std::move(recipients_);
    envelope.body = body_;
    envelope.accepted_at = accepted_at;
    return envelope;
}

} // namespace postern::listener
