#include "smtpd/listener/transaction.h"

#include <algorithm>
#include <bit>
#include <functional>

#include "common/smtp/remaining_time.h"

namespace postern::listener {

namespace {

constexpr size_t few = 16; // recipients that are compared one by one
// Of an address on the wire between processes: its length field.
constexpr size_t address_overhead = 4;
// Of one with parameters: its index, NOTIFY, and another length field.
constexpr size_t options_overhead = 9;
// The most that one takes. Those not decided yet count as such.
constexpr size_t longest_recipient = limits::path + address_overhead + 500 + options_overhead;

size_t wire_size(const std::string& address, const RecipientParameters& parameters) {
    return address.size() + address_overhead +
           (parameters.empty() ? 0 : parameters.original_recipient.size() + options_overhead);
}

} // namespace

Transaction::Transaction(const MailCommand& mail, uint32_t number, int64_t now)
    : number_(number), reverse_path_(mail.reverse_path.to_string()), parameters_(mail.parameters),
      began_at_(now) {
    if (mail.hold_for)
        release_at_ = now + *mail.hold_for;
    else if (mail.hold_until)
        release_at_ = std::max<int64_t>(*mail.hold_until, 0); // long over
}

bool Transaction::has_room(const std::string& address, const RecipientParameters& parameters,
                           size_t pending, uint32_t max_recipients) const {
    const size_t bytes =
        recipient_bytes_ + pending * longest_recipient + wire_size(address, parameters);
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

// If it is, its place is taken.
bool Transaction::is_new(const std::string& address) {
    if (recipients_.size() < few)
        return std::find(recipients_.begin(), recipients_.end(), address) == recipients_.end();
    if (places_.size() < 2 * recipients_.size())
        index();
    uint32_t* place = place_of(address);
    if (*place != 0)
        return false;
    *place = static_cast<uint32_t>(recipients_.size() + 1);
    return true;
}

// The same recipient again: who wants to hear more does.
void Transaction::join(const std::string& address, const RecipientParameters& parameters) {
    const auto place = std::find(recipients_.begin(), recipients_.end(), address);
    const auto index = static_cast<uint32_t>(place - recipients_.begin());
    const auto options =
        std::find_if(options_.begin(), options_.end(),
                     [index](const ipc::RecipientOptions& one) { return one.index >= index; });
    constexpr Notify usual = notify::failure | notify::delay; // of whom nothing is said
    const Notify wanted = parameters.notify == notify::unspecified ? usual : parameters.notify;
    if (options == options_.end() || options->index != index) {
        if ((wanted & notify::success) == 0)
            return;
        recipient_bytes_ += options_overhead;
        options_.insert(options, {index, {Notify(usual | wanted), {}}});
        return;
    }
    Notify& said = options->parameters.notify;
    if (said == notify::never)
        said = wanted;
    else if (wanted != notify::never)
        said = (said == notify::unspecified ? usual : said) | wanted;
}

void Transaction::add_recipient(std::string address, RecipientParameters parameters) {
    ++accepted_;
    if (!is_new(address))
        return join(address, parameters);
    recipient_bytes_ += wire_size(address, parameters);
    if (!parameters.empty()) {
        ipc::RecipientOptions& options = options_.emplace_back();
        options.index = static_cast<uint32_t>(recipients_.size());
        options.parameters = std::move(parameters);
    }
    recipients_.push_back(std::move(address));
}

size_t Transaction::memory() const {
    constexpr size_t allocation = 16; // what the allocator adds
    size_t bytes = sizeof *this + recipients_.capacity() * sizeof(std::string) + recipient_bytes_ +
                   recipients_.size() * allocation + places_.capacity() * sizeof(uint32_t) +
                   options_.capacity() * (sizeof(ipc::RecipientOptions) + allocation);
    if (chunks)
        bytes += sizeof *chunks + chunks->sink.memory();
    return bytes;
}

ipc::Envelope Transaction::take_envelope(const ipc::Origin& origin, int64_t accepted_at) {
    ipc::Envelope envelope;
    envelope.origin = origin;
    envelope.reverse_path = reverse_path_;
    envelope.recipients = std::move(recipients_);
    envelope.options = std::move(options_);
    envelope.parameters = std::move(parameters_);
    envelope.accepted_at = accepted_at;
    envelope.release_at = release_at_;
    // RFC 2852 4: what was said counts from MAIL on.
    if (std::optional<DeliverBy>& by = envelope.parameters.deliver_by)
        by->seconds = remaining_time(by->seconds, accepted_at - began_at_);
    return envelope;
}

} // namespace postern::listener
