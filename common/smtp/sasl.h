// The mechanisms by which a client of SMTP AUTH (RFC 4954) says who it is, and the server's part of
// those that send a password: PLAIN (RFC 4616) and LOGIN (which has no RFC: two questions, two
// answers). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/secret.h"

namespace postern {

// The better ones first: EHLO names them in this order.
enum class SaslMechanism : uint8_t {
    scram_sha_256_plus, // RFC 7677, bound to the TLS connection
    scram_sha_256,
    oauthbearer, // RFC 7628
    xoauth2,     // the same before it had an RFC
    plain,
    login,
};
constexpr SaslMechanism last_enumerator(SaslMechanism) { return SaslMechanism::login; }

// By its name, in any case.
std::optional<SaslMechanism> find_sasl_mechanism(std::string_view name);
std::string_view to_string(SaslMechanism mechanism);
// The client sends the password, which SaslExchange takes. All others begin with a message of the
// client too, and the rest is between it and who knows the secrets.
constexpr bool sends_password(SaslMechanism mechanism) {
    return mechanism == SaslMechanism::plain || mechanism == SaslMechanism::login;
}

// Credentials are those of a table, which is given by name, or those that a Dovecot knows: then
// they are called "dovecot:" and the path of its authentication socket, which is what this returns.
std::optional<std::string> dovecot_socket(std::string_view credentials);
// The same of those that PAM knows, which are called "pam:" and the name of a service.
std::optional<std::string> pam_service(std::string_view credentials);
std::string pam_credentials(std::string_view service);

// Octets. RFC 4616 2 wants 255 of each accepted; crypt(3) takes passwords of up to 511.
inline constexpr size_t user_name_limit = 255;
inline constexpr size_t password_limit = 511;

// What a user's name can be, wherever it comes from: neither empty nor too long, and without
// control characters.
bool is_user_identity(std::string_view name);

// The same for what programs that were not made for the network may get to see: UTF-8 that neither
// looks like an option nor names a file elsewhere.
bool is_system_user_name(std::string_view name);

// Neither empty nor too long, and without NUL.
bool is_password(std::string_view password);

struct SaslCredentials {
    std::string user;
    Secret password;
};

// Who the client is, by PLAIN or LOGIN, step by step:
//
//     SaslExchange exchange(SaslMechanism::login);
//     if there was an initial response: exchange.respond(it)
//     while (exchange.state() == SaslExchange::State::asking)
//         send exchange.challenge(), exchange.respond(what came back)
//
// All octets here are decoded already: base64 is the business of the SMTP session.
class SaslExchange {
  public:
    enum class State : uint8_t {
        asking,    // challenge() is to be sent
        complete,  // credentials() are there, to be checked
        malformed, // not what the mechanism says (501)
        refused,   // well-formed, but cannot be anybody's: too long, or on behalf of somebody else
    };

    // One that sends_password().
    explicit SaslExchange(SaslMechanism mechanism) : mechanism_(mechanism) {}

    State state() const { return state_; }
    std::string_view challenge() const;
    // The client's next answer, or its initial response (RFC 4954 4).
    void respond(Secret response);
    // Valid in `complete`; in `refused` the user's name may be there, for the log.
    SaslCredentials& credentials() { return credentials_; }

  private:
    void take_plain(std::string_view message);
    void take_login(Secret response);
    void finish();

    SaslMechanism mechanism_;
    State state_ = State::asking;
    bool user_known_ = false; // LOGIN: the first question is answered
    SaslCredentials credentials_;
};

} // namespace postern
