// See order.h.
#include "deliver/relay/order.h"

#include <algorithm>

#include "common/smtp/address.h"

namespace postern::relay {

namespace {

// All texts of an outcome together, so that it fits into a packet (packet_channel.h).
constexpr size_t texts_limit = 300 * 1024;

std::string recipient_address(const ipc::Route& route, const std::string& forward_path) {
    if (route.kind != ActionKind::lmtp || route.lmtp_rcpt_to)
        return forward_path;
    if (!route.user.empty())
        return Mailbox(route.user, "").to_string();
    std::optional<Mailbox> mailbox =
        parse_mailbox(forward_path, nullptr, Internationalized::accepted);
    return mailbox ? Mailbox(mailbox->local_part(), "").to_string() : forward_path;
}

} // namespace

std::optional<Diagnosis> order_error(const ipc::Deliver& order) {
    const ipc::Route& route = order.route;
    if (route.kind != ActionKind::relay && (route.kind != ActionKind::lmtp || !route.host))
        return Diagnosis(status::misconfigured.as(4), "the action names no host to relay to");
    return std::nullopt;
}

bool may_do_without_tls(const ipc::Deliver& order) {
    return !order.parameters.require_tls || order.reverse_path.empty() ||
           (order.route.host && !order.route.host->unix_path.empty());
}

std::unique_ptr<ContentSource> open_content(ipc::Deliver& order) {
    if (order.file.empty())
        return std::make_unique<MemoryContent>(std::move(order.content.bytes));
    return std::make_unique<FileContent>(std::move(order.file.front()), order.file_offset,
                                         order.file_length);
}

Message read_message(const ipc::Deliver& order, ContentSource& content, TimePoint now) {
    Message message(content);
    message.reverse_path = order.reverse_path;
    message.parameters = order.parameters;
    message.parameters.require_tls = !may_do_without_tls(order);
    message.as_of = now;
    message.eight_bit = order.traits.eight_bit;
    message.utf8_header = order.parameters.smtp_utf8 && order.traits.eight_bit &&
                          is_eight_bit(content, order.traits.header_length);
    return message;
}

std::vector<Recipient> read_recipients(const ipc::Deliver& order) {
    std::vector<Recipient> recipients;
    const size_t count = std::min(order.recipients.size(), recipients_limit);
    recipients.reserve(count);
    for (size_t i = 0; i < count; ++i) {
        recipients.emplace_back(recipient_address(order.route, order.recipients[i].address));
        recipients.back().parameters = order.recipients[i].parameters;
    }
    return recipients;
}

ipc::Outcome make_outcome(const ipc::Deliver& order, const std::vector<Recipient>& recipients,
                          bool destination_down) {
    ipc::Outcome result;
    result.delivery = order.delivery;
    result.destination_down = destination_down;
    const size_t room = texts_limit / std::max<size_t>(recipients.size(), 1);
    for (size_t i = 0; i < recipients.size(); ++i) {
        const Diagnosis& diagnosis = recipients[i].diagnosis;
        ipc::RecipientOutcome entry;
        entry.index = order.recipients[i].index;
        entry.status = recipients[i].verdict == Verdict::delivered ? ipc::RecipientStatus::delivered
                       : recipients[i].verdict == Verdict::permanent
                           ? ipc::RecipientStatus::permanent
                           : ipc::RecipientStatus::temporary;
        entry.handover = recipients[i].handover;
        entry.deliver_by = recipients[i].deliver_by;
        entry.enhanced = to_string(diagnosis.status);
        entry.diagnostic = diagnosis.text.substr(0, room - std::min(room, diagnosis.remote.size()));
        entry.from_remote = diagnosis.from_remote;
        entry.remote = diagnosis.remote;
        entry.tls = recipients[i].tls;
        result.recipients.push_back(std::move(entry));
    }
    return result;
}

} // namespace postern::relay
