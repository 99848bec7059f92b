// See parameters.h.
#include "deliver/relay/parameters.h"

#include <algorithm>

#include "common/base/utf8.h"
#include "common/smtp/parameters.h"
#include "common/smtp/remaining_time.h"
#include "common/smtp/utf8_address.h"

namespace postern::relay {

namespace {

// RFC 6531 3.5: of the header, where non_ascii_address is of the envelope.
constexpr EnhancedStatusCode utf8_header_refused{5, 6, 9};
// RFC 3461 4.2: what stands behind ORCPT=.
constexpr size_t longest_original_recipient = 500;

// What may stand in a command line between angle brackets, whoever wrote it: anything else could
// end the path, or the command, and begin something else.
bool is_sendable(std::string_view path) {
    bool quoted = false;
    while (!path.empty()) {
        const Utf8Character character = first_character(path);
        if (character.length == 0 || is_control(character.code) ||
            (!quoted && std::string_view(" <>").find(path.front()) != std::string_view::npos))
            return false;
        if (quoted && path.front() == '\\')
            path.remove_prefix(1); // what follows is no quote
        else if (path.front() == '"')
            quoted = !quoted;
        path.remove_prefix(std::min(path.size(), character.length));
    }
    return !quoted;
}

std::int64_t seconds_left(const Message& message, TimePoint now) {
    const auto passed = std::chrono::duration_cast<std::chrono::seconds>(now - message.as_of);
    return remaining_time(message.parameters.deliver_by->seconds, passed.count());
}

std::optional<Diagnosis> find_utf8_obstacle(const Message& message, const Abilities& next_hop) {
    if (next_hop.offered.smtp_utf8)
        return std::nullopt;
    if (!is_ascii(message.reverse_path))
        return Diagnosis(status::non_ascii_address,
                         "the reverse-path needs SMTPUTF8 and the next hop does not offer it");
    if (message.utf8_header)
        return Diagnosis(utf8_header_refused,
                         "the header needs SMTPUTF8 and the next hop does not offer it");
    return std::nullopt;
}

std::optional<Diagnosis> find_content_obstacle(const Message& message,
                                               const EhloCapabilities& offered) {
    if (message.parameters.body == Body::binary_mime && !(offered.binary_mime && offered.chunking))
        return Diagnosis(status::conversion_not_supported,
                         "the content is binary and the next hop does not offer BINARYMIME");
    if (message.parameters.body != Body::binary_mime && message.eight_bit &&
        !offered.eight_bit_mime)
        return Diagnosis(status::conversion_not_supported,
                         "the content is 8-bit and the next hop does not offer 8BITMIME");
    if (offered.max_size != 0 && message.content.size() > offered.max_size)
        return Diagnosis(status::message_too_big,
                         "the content has " + std::to_string(message.content.size()) +
                             " octets and the next hop takes " + std::to_string(offered.max_size) +
                             " at most");
    return std::nullopt;
}

// RFC 2852: mode R does not go where nobody would watch the time, nor where it would be too late.
std::optional<Diagnosis> find_time_obstacle(const Message& message, const Abilities& next_hop,
                                            TimePoint now) {
    if (!message.parameters.deliver_by || !message.parameters.deliver_by->give_up)
        return std::nullopt;
    const std::int64_t left = seconds_left(message, now);
    if (left <= 0)
        return Diagnosis(status::delivery_time_expired,
                         "the time that the sender gave for delivery is over");
    if (next_hop.lmtp)
        return std::nullopt;
    if (!next_hop.offered.deliver_by)
        return Diagnosis(status::delivery_time_expired,
                         "the sender limited the time for delivery and the next hop does not "
                         "offer DELIVERBY");
    if (static_cast<std::uint64_t>(left) < next_hop.offered.min_by_time)
        return Diagnosis(status::delivery_time_expired,
                         "the sender left " + std::to_string(left) +
                             " seconds for delivery and the next hop wants " +
                             std::to_string(next_hop.offered.min_by_time) + " at least");
    return std::nullopt;
}

// ORCPT as it came (RFC 3461 5.2.1 (d)), or where SMTPUTF8 is not said, as that allows it (RFC 6533
// 3). Empty: it cannot be said.
std::string original_recipient(const RecipientParameters& parameters, bool utf8) {
    const std::string& original = parameters.original_recipient;
    if (utf8 || is_ascii(original))
        return original;
    const size_t behind_type = original.find(';') + 1;
    const auto mailbox = parse_utf8_addr(original.substr(behind_type));
    if (!mailbox)
        return {};
    std::string ascii = original.substr(0, behind_type) + to_utf8_addr_xtext(*mailbox);
    return ascii.size() <= longest_original_recipient ? ascii : std::string();
}

} // namespace

std::optional<Diagnosis> find_obstacle(const Message& message, const Abilities& next_hop,
                                       TimePoint now) {
    if (!is_sendable(message.reverse_path))
        return Diagnosis(status::bad_sender_syntax, "the reverse-path is no mailbox");
    if (!is_valid(message.parameters))
        return Diagnosis(status::invalid_arguments, "the parameters of MAIL make no sense");
    std::optional<Diagnosis> obstacle = find_utf8_obstacle(message, next_hop);
    if (!obstacle)
        obstacle = find_content_obstacle(message, next_hop.offered);
    if (!obstacle)
        obstacle = find_time_obstacle(message, next_hop, now);
    return obstacle;
}

std::optional<Diagnosis> find_obstacle(const Recipient& recipient, const Abilities& next_hop) {
    if (recipient.address.empty() || !is_sendable(recipient.address))
        return Diagnosis(status::bad_recipient_syntax, "the forward-path is no mailbox");
    if (!is_valid(recipient.parameters))
        return Diagnosis(status::invalid_arguments, "the parameters of RCPT make no sense");
    if (!next_hop.offered.smtp_utf8 && needs_utf8(recipient))
        return Diagnosis(status::non_ascii_address,
                         "the forward-path needs SMTPUTF8 and the next hop does not offer it");
    return std::nullopt;
}

bool needs_utf8(const Message& message) {
    return message.utf8_header || !is_ascii(message.reverse_path);
}

bool needs_utf8(const Recipient& recipient) { return !is_ascii(recipient.address); }

std::string mail_parameters(const Message& message, const Abilities& next_hop, bool utf8,
                            TimePoint now) {
    const EhloCapabilities& offered = next_hop.offered;
    const MailParameters& parameters = message.parameters;
    std::string text;
    if (offered.size)
        text += " SIZE=" + std::to_string(message.content.size());
    if (parameters.body == Body::binary_mime)
        text += " BODY=BINARYMIME";
    else if (offered.eight_bit_mime &&
             (message.eight_bit || parameters.body == Body::eight_bit_mime))
        text += " BODY=8BITMIME";
    if (utf8)
        text += " SMTPUTF8";
    if (parameters.require_tls)
        text += " REQUIRETLS";
    if (offered.dsn && !next_hop.lmtp) {
        if (parameters.returned != Returned::unspecified)
            text += parameters.returned == Returned::all ? " RET=FULL" : " RET=HDRS";
        if (!parameters.envelope_id.empty())
            text += " ENVID=" + parameters.envelope_id;
    }
    if (offered.priority && parameters.priority != 0)
        text += " MT-PRIORITY=" + std::to_string(parameters.priority);
    if (offered.deliver_by && parameters.deliver_by) {
        DeliverBy left = *parameters.deliver_by;
        left.seconds = seconds_left(message, now);
        text += " BY=" + to_string(left);
    }
    return text;
}

std::string recipient_parameters(const Recipient& recipient, const Abilities& next_hop, bool utf8) {
    std::string text;
    if (!next_hop.offered.dsn)
        return text;
    // Over LMTP the message is delivered, and the report of that is ours: no second one.
    const RecipientParameters& parameters = recipient.parameters;
    if (!next_hop.lmtp && parameters.notify != notify::unspecified)
        text += " NOTIFY=" + notify_to_string(parameters.notify);
    // None is made up (RFC 3461 5.2.1 (d)).
    if (const std::string original = original_recipient(parameters, utf8); !original.empty())
        text += " ORCPT=" + original;
    return text;
}

ipc::Handover handover_to(const Abilities& next_hop) {
    return next_hop.lmtp          ? ipc::Handover::delivered
           : next_hop.offered.dsn ? ipc::Handover::relayed_aware
                                  : ipc::Handover::relayed;
}

} // namespace postern::relay
