#include "smtpd/listener/transaction.h"

#include <algorithm>
#include <bit>
#include <functional>

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

// Where `address` is, or would be.
uint32_t* Transaction::place_of(const std::string& address) {
    size_t at = std::hash<std::string>()(address);
    for (;; ++at) {
        uint32_t& place = places_[at & (places_.size() - 1)];
        if (place == 0 || recipients_[place - 1] == address)
            return &place;
    }
}

// Makes room for as many recipients again.
void Transaction::index() {
    places_.assign(std::bit_ceil(4 * recipients_.size()), 0);
    for (size_t i = 0; i < recipients_.size(); ++i)
        *place_of(recipients_[i]) = static_cast<uint32_t>(i + 1);
}

void Transaction::add_recipient(std::string address) {
    if (recipients_.size() < few) {
        if (std::find(recipients_.begin(), recipients_.end(), address) != recipients_.end())
            return;
    } else {
        if (places_.size() < 2 * recipients_.size())
            index();
        uint32_t* place = place_of(address);
        if (*place != 0)
            return;
        *place = static_cast<uint32_t>(recipients_.size() + 1);
    }
    recipient_bytes_ += address.size() + address_overhead;
    recipients_.push_back(std::move(address));
}

size_t Transaction::memory() const {
    constexpr size_t allocation = 16; // what the allocator adds
    size_t bytes = sizeof *this + recipients_.capacity() * sizeof(std::string) + recipient_bytes_ +
                   recipients_.size() * allocation + places_.capacity() * sizeof(uint32_t);
    if (chunks)
        bytes += sizeof *chunks + chunks->sink.memory();
    return bytes;
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
