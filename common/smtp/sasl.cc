#include "common/smtp/sasl.h"

#include <algorithm>

#include "common/base/utf8.h"
#include "common/smtp/text.h"

namespace postern {

namespace {

constexpr std::string_view names[] = {
    "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "OAUTHBEARER", "XOAUTH2", "PLAIN", "LOGIN"};

constexpr std::string_view pam_prefix = "pam:";

bool has_control(std::string_view text) {
    return std::any_of(text.begin(), text.end(),
                       [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

} // namespace

std::optional<SaslMechanism> find_sasl_mechanism(std::string_view name) {
    for (size_t i = 0; i < std::size(names); ++i)
        if (equal_ignoring_case(name, names[i]))
            return static_cast<SaslMechanism>(i);
    return std::nullopt;
}

std::string_view to_string(SaslMechanism mechanism) {
    return names[static_cast<size_t>(mechanism)];
}

std::optional<std::string> dovecot_socket(std::string_view credentials) {
    constexpr std::string_view prefix = "dovecot:";
    if (!credentials.starts_with(prefix))
        return std::nullopt;
    return std::string(credentials.substr(prefix.size()));
}

std::optional<std::string> pam_service(std::string_view credentials) {
    if (!credentials.starts_with(pam_prefix))
        return std::nullopt;
    return std::string(credentials.substr(pam_prefix.size()));
}

std::string pam_credentials(std::string_view service) {
    return std::string(pam_prefix) + std::string(service);
}

bool is_user_identity(std::string_view name) {
    return !name.empty() && name.size() <= user_name_limit && !has_control(name);
}

bool is_system_user_name(std::string_view name) {
    return is_user_identity(name) && name[0] != '-' && name.find('/') == name.npos && is_utf8(name);
}

bool is_password(std::string_view password) {
    return !password.empty() && password.size() <= password_limit &&
           password.find('\0') == password.npos;
}

std::string_view SaslExchange::challenge() const {
    if (mechanism_ == SaslMechanism::plain)
        return {};
    // Some clients compare these texts.
    return user_known_ ? "Password:" : "Username:";
}

void SaslExchange::respond(Secret response) {
    if (mechanism_ == SaslMechanism::plain)
        take_plain(response.view());
    else
        take_login(std::move(response));
}

// RFC 4616 2: [authzid] NUL authcid NUL passwd
void SaslExchange::take_plain(std::string_view message) {
    const size_t first = message.find('\0');
    const size_t second = first == message.npos ? first : message.find('\0', first + 1);
    if (second == message.npos || message.find('\0', second + 1) != message.npos) {
        state_ = State::malformed;
        return;
    }
    const std::string_view on_behalf_of = message.substr(0, first);
    credentials_.user = message.substr(first + 1, second - first - 1);
    credentials_.password = Secret(message.substr(second + 1));
    finish();
    // Nobody acts for somebody else here.
    if (state_ == State::complete && !on_behalf_of.empty() &&
        !equal_ignoring_case(on_behalf_of, credentials_.user))
        state_ = State::refused;
}

void SaslExchange::take_login(Secret response) {
    if (response.view().find('\0') != std::string_view::npos) {
        state_ = State::malformed;
    } else if (!user_known_) {
        user_known_ = true;
        credentials_.user = response.view();
    } else {
        credentials_.password = std::move(response);
        finish();
    }
}

// RFC 4616 2: neither may be empty.
void SaslExchange::finish() {
    const size_t password = credentials_.password.size();
    if (credentials_.user.empty() || password == 0)
        state_ = State::malformed;
    else if (!is_user_identity(credentials_.user) || password > password_limit)
        state_ = State::refused;
    else
        state_ = State::complete;
}

} // namespace postern
