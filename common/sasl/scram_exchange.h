// The server's part of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677), message by
// message. Pure: the nonce and the secrets come from outside.
//
//     ScramExchange exchange(plus, bindings, nonce, find);
//     exchange.respond(client_first)      asking; challenge() is the server's first message
//     exchange.respond(client_final)      asking; challenge() is the server's own proof
//     exchange.respond("")                complete: RFC 4954 4 has the client agree to that
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "common/sasl/channel_bindings.h"
#include "common/smtp/scram_secret.h"

namespace postern {

class ScramExchange {
  public:
    enum class State : uint8_t {
        asking,
        complete,  // the client is user()
        failed,    // no such user, another password, another channel, or a user's name that is none
        malformed, // no message of SCRAM
    };
    struct Account {
        std::string user; // its name in rules and tables
        ScramSecret secret;
        bool exists = false; // false: nobody can have proof for it
    };
    // Called once, with what the client calls itself, after SASLprep.
    using Find = std::function<Account(std::string_view user)>;

    static constexpr size_t message_limit = 4096; // octets

    // `plus`: this is SCRAM-SHA-256-PLUS. It has been offered where there are any `bindings`.
    // `nonce` is printable, without commas, and new.
    ScramExchange(bool plus, ChannelBindings bindings, std::string nonce, Find find)
        : plus_(plus), bindings_(std::move(bindings)), nonce_(std::move(nonce)),
          find_(std::move(find)) {}

    State respond(std::string_view message);
    const std::string& challenge() const { return challenge_; } // while asking
    // In `complete` that of the account, before that the client's word; empty: it has not said it.
    const std::string& user() const { return user_; }

  private:
    enum class Step : uint8_t { first, final, agreement, over };
    State take_first(std::string_view message);
    State take_final(std::string_view message);
    State check_binding_flag(std::string_view flag);

    bool plus_;
    ChannelBindings bindings_;
    std::string nonce_; // with the client's before it, once that is known
    Find find_;
    Step step_ = Step::first;
    std::string binding_;      // of the type that the client has chosen
    std::string gs2_header_;   // as the client sent it
    std::string auth_message_; // RFC 5802 3, as far as it is known
    std::string challenge_;
    std::string user_;
    Account account_;
};

} // namespace postern
