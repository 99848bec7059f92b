// Enhanced mail system status codes (RFC 3463), as used in replies (RFC 2034) and in delivery
// status notifications (RFC 3464 2.3.4). A value type; header only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace postern {

struct EnhancedStatusCode {
    std::uint8_t status_class = 0; // 2 success, 4 persistent transient, 5 permanent; 0: no code
    std::uint16_t subject = 0;     // 0..999
    std::uint16_t detail = 0;      // 0..999

    constexpr bool present() const { return status_class != 0; }
    // The same condition in another class: full_mailbox.as(4) is 4.2.2.
    constexpr EnhancedStatusCode as(int other_class) const {
        return {static_cast<std::uint8_t>(other_class), subject, detail};
    }
    friend constexpr bool operator==(EnhancedStatusCode, EnhancedStatusCode) = default;
};

// "5.1.1"; empty if there is no code.
inline std::string to_string(EnhancedStatusCode code) {
    if (!code.present())
        return {};
    std::string out = std::to_string(code.status_class);
    out += '.';
    out += std::to_string(code.subject);
    out += '.';
    out += std::to_string(code.detail);
    return out;
}

// Takes a code off the front of `text`, with the space behind it. It must be followed by a space or
// the end of the text (RFC 2034 4); otherwise `text` stays as it was and there is no code.
inline std::optional<EnhancedStatusCode> take_enhanced_status(std::string_view& text) {
    if (text.size() < 5 || (text[0] != '2' && text[0] != '4' && text[0] != '5'))
        return std::nullopt;
    EnhancedStatusCode code;
    code.status_class = static_cast<std::uint8_t>(text[0] - '0');
    std::size_t at = 1;
    for (std::uint16_t* part : {&code.subject, &code.detail}) {
        if (at >= text.size() || text[at] != '.')
            return std::nullopt;
        const std::size_t start = ++at;
        unsigned number = 0;
        while (at < text.size() && text[at] >= '0' && text[at] <= '9' && at - start < 3)
            number = number * 10 + static_cast<unsigned>(text[at++] - '0');
        // RFC 3463 2: no leading zeros.
        if (at == start || (text[start] == '0' && at - start > 1))
            return std::nullopt;
        *part = static_cast<std::uint16_t>(number);
    }
    if (at < text.size() && text[at] != ' ')
        return std::nullopt;
    text.remove_prefix(at < text.size() ? at + 1 : at);
    return code;
}

// Reads exactly one code: "4.2.2".
inline std::optional<EnhancedStatusCode> parse_enhanced_status(std::string_view text) {
    if (text.find(' ') != std::string_view::npos)
        return std::nullopt;
    return take_enhanced_status(text);
}

// The codes that this system says itself (RFC 3463 3, RFC 7505 4.2, RFC 6531 3.5, RFC 7372). The
// class is the usual one; `.as(4)` gives the transient form.
namespace status {
inline constexpr EnhancedStatusCode none{};
inline constexpr EnhancedStatusCode success{2, 0, 0};
inline constexpr EnhancedStatusCode sender_valid{2, 1, 0};
inline constexpr EnhancedStatusCode recipient_valid{2, 1, 5};
inline constexpr EnhancedStatusCode priority_changed{2, 3, 6}; // RFC 6710 9
inline constexpr EnhancedStatusCode content_accepted{2, 6, 0};
inline constexpr EnhancedStatusCode undefined{5, 0, 0};
inline constexpr EnhancedStatusCode bad_mailbox{5, 1, 1};
inline constexpr EnhancedStatusCode bad_system{5, 1, 2};
inline constexpr EnhancedStatusCode bad_recipient_syntax{5, 1, 3};
inline constexpr EnhancedStatusCode mailbox_moved{5, 1, 6};
inline constexpr EnhancedStatusCode bad_sender_syntax{5, 1, 7};
inline constexpr EnhancedStatusCode bad_sender_system{5, 1, 8};
inline constexpr EnhancedStatusCode recipient_null_mx{5, 1, 10};
inline constexpr EnhancedStatusCode mailbox_disabled{5, 2, 1};
inline constexpr EnhancedStatusCode mailbox_full{5, 2, 2};
inline constexpr EnhancedStatusCode message_exceeds_mailbox_limit{5, 2, 3};
inline constexpr EnhancedStatusCode other_system{5, 3, 0};
inline constexpr EnhancedStatusCode system_full{4, 3, 1};
inline constexpr EnhancedStatusCode not_accepting_mail{4, 3, 2};
inline constexpr EnhancedStatusCode message_too_big{5, 3, 4};
inline constexpr EnhancedStatusCode misconfigured{5, 3, 5};
inline constexpr EnhancedStatusCode no_answer{4, 4, 1};
inline constexpr EnhancedStatusCode bad_connection{4, 4, 2};
inline constexpr EnhancedStatusCode directory_failure{4, 4, 3};
inline constexpr EnhancedStatusCode unroutable{5, 4, 4};
inline constexpr EnhancedStatusCode congestion{4, 4, 5};
inline constexpr EnhancedStatusCode routing_loop{5, 4, 6};
inline constexpr EnhancedStatusCode delivery_time_expired{5, 4, 7};
inline constexpr EnhancedStatusCode other_protocol{5, 5, 0};
inline constexpr EnhancedStatusCode invalid_command{5, 5, 1};
inline constexpr EnhancedStatusCode syntax_error{5, 5, 2};
inline constexpr EnhancedStatusCode too_many_recipients{4, 5, 3};
inline constexpr EnhancedStatusCode invalid_arguments{5, 5, 4};
inline constexpr EnhancedStatusCode wrong_protocol_version{5, 5, 5};
inline constexpr EnhancedStatusCode content_refused{5, 6, 0};
inline constexpr EnhancedStatusCode conversion_not_supported{5, 6, 3};
inline constexpr EnhancedStatusCode non_ascii_address{5, 6, 7};
inline constexpr EnhancedStatusCode utf8_reply_refused{2, 6, 8}; // RFC 6531 3.7.4.2
inline constexpr EnhancedStatusCode auth_line_too_long{5, 5, 6}; // RFC 4954 6, as those of 5.7
inline constexpr EnhancedStatusCode other_security{5, 7, 0};
inline constexpr EnhancedStatusCode security_success{2, 7, 0};
inline constexpr EnhancedStatusCode not_authorized{5, 7, 1};
inline constexpr EnhancedStatusCode security_not_supported{5, 7, 4};
inline constexpr EnhancedStatusCode cryptographic_failure{5, 7, 5};
inline constexpr EnhancedStatusCode bad_credentials{5, 7, 8};
inline constexpr EnhancedStatusCode requiretls_needed{5, 7, 30}; // RFC 8689 5
inline constexpr EnhancedStatusCode encryption_needed{5, 7, 11};
} // namespace status

} // namespace postern
