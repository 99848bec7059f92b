// See authentication.h.
#include "deliver/relay/authentication.h"

#include <openssl/rand.h>

#include "common/base/base64.h"
#include "common/sasl/scram_client.h"
#include "common/smtp/limits.h"

namespace postern::relay {

namespace {

constexpr auto auth_limit = limits::client_mail; // RFC 4954 names none

class Authentication {
  public:
    Authentication(ClientSession& session, const SaslCredentials& credentials, std::string nonce)
        : session_(session), credentials_(credentials), nonce_(std::move(nonce)) {}
    Task<bool> run();

  private:
    enum class Outcome { done, refused, failed };

    Task<Outcome> scram(std::string mechanism, scram::Hash hash, ScramClient::Binding binding);
    Task<Outcome> plain();
    Task<Outcome> login();
    Task<std::optional<std::string>> challenge(const char* awaited);
    Task<Outcome> verdict();
    void say(std::string line);
    void begin(const std::string& mechanism, std::string_view response);
    void nonsense();
    std::string exporter() const {
        return session_.tls() ? session_.tls()->bindings.tls_exporter : std::string();
    }
    bool offers(const char* mechanism) const {
        return session_.capabilities().has_auth(mechanism);
    }

    ClientSession& session_;
    const SaslCredentials& credentials_;
    std::string nonce_;
    std::optional<Reply> refusal_; // what the server says that is no challenge
};

// `line` is overwritten.
void Authentication::say(std::string line) {
    session_.secret_command(line);
    wipe(line);
    session_.command("\r\n");
}

// With the first response where it fits into a command (RFC 4954 4); else the server asks for it.
void Authentication::begin(const std::string& mechanism, std::string_view response) {
    session_.command("AUTH " + mechanism + (response.empty() ? "" : " "));
    say(encode_base64(response));
}

void Authentication::nonsense() {
    session_.give_up(Diagnosis(status::other_protocol.as(4),
                               "the server's side of the authentication makes no sense",
                               session_.remote()));
}

// Decoded. Nothing: the session has failed, or the server said what is in refusal_.
Task<std::optional<std::string>> Authentication::challenge(const char* awaited) {
    refusal_ = co_await session_.reply(awaited, auth_limit);
    if (!refusal_ || refusal_->code != 334)
        co_return std::nullopt;
    const std::string text = std::exchange(refusal_, std::nullopt)->text;
    std::optional<std::string> decoded = decode_base64(text);
    if (!decoded)
        nonsense();
    co_return decoded;
}

// The last reply, unless challenge() has had it.
Task<Authentication::Outcome> Authentication::verdict() {
    if (!refusal_)
        refusal_ = co_await session_.reply("the reply to AUTH", auth_limit);
    if (session_.failed())
        co_return Outcome::failed;
    if (refusal_->is_positive())
        co_return Outcome::done;
    if (refusal_->is_intermediate()) {
        nonsense();
        co_return Outcome::failed;
    }
    co_return Outcome::refused;
}

Task<Authentication::Outcome> Authentication::scram(std::string mechanism, scram::Hash hash,
                                                    ScramClient::Binding binding) {
    ScramClient client(hash, binding, exporter(), nonce_);
    refusal_.reset();
    const std::optional<std::string> first = client.first(credentials_);
    if (!first) {
        session_.give_up(Diagnosis(status::misconfigured.as(4),
                                   "the user's name or the password is none that SASL knows",
                                   session_.remote()));
        co_return Outcome::failed;
    }
    begin(mechanism, *first);
    std::optional<std::string> said = co_await challenge("the reply to AUTH");
    if (!said)
        co_return co_await verdict();
    const std::optional<std::string> proof = client.answer(*said);
    if (!proof) {
        nonsense();
        co_return Outcome::failed;
    }
    say(encode_base64(*proof));
    said = co_await challenge("the reply to the proof");
    // Success without the server's own proof is not to be believed (RFC 5802 5).
    if (!said) {
        const Outcome outcome = co_await verdict();
        if (outcome == Outcome::done)
            nonsense();
        co_return outcome == Outcome::done ? Outcome::failed : outcome;
    }
    if (!client.is_server(*said)) {
        session_.give_up(Diagnosis(status::bad_credentials.as(4),
                                   "the server does not know the password itself",
                                   session_.remote()));
        co_return Outcome::failed;
    }
    session_.command("\r\n");
    co_return co_await verdict();
}

Task<Authentication::Outcome> Authentication::plain() {
    std::string message = std::string(1, '\0') + credentials_.user + std::string(1, '\0');
    message.reserve(message.size() + credentials_.password.size());
    message += credentials_.password.view();
    const Secret response = Secret::take(message);
    refusal_.reset();
    constexpr size_t longest = (limits::command_line - sizeof "AUTH PLAIN \r\n") / 4 * 3;
    if (response.size() <= longest) {
        begin("PLAIN", response.view());
        co_return co_await verdict();
    }
    begin("PLAIN", "");
    const std::optional<std::string> asked = co_await challenge("the reply to AUTH");
    if (asked)
        say(encode_base64(response.view()));
    co_return co_await verdict();
}

Task<Authentication::Outcome> Authentication::login() {
    refusal_.reset();
    begin("LOGIN", "");
    std::optional<std::string> asked = co_await challenge("the reply to AUTH");
    if (asked) {
        say(encode_base64(credentials_.user));
        asked = co_await challenge("the reply to the user's name");
    }
    if (asked)
        say(encode_base64(credentials_.password.view()));
    co_return co_await verdict();
}

Task<bool> Authentication::run() {
    using Binding = ScramClient::Binding;
    session_.begin_stage();
    const bool can_bind = !exporter().empty();
    const bool plus = can_bind && offers("SCRAM-SHA-256-PLUS");
    std::optional<Outcome> outcome;
    if (plus)
        outcome =
            co_await scram("SCRAM-SHA-256-PLUS", scram::Hash::sha256, Binding::tls_exporter);
    // It may know other bindings only, and says so in no other way.
    const bool again = !outcome || (*outcome == Outcome::refused && refusal_->code != 454);
    const bool plus_offered = offers("SCRAM-SHA-256-PLUS") || offers("SCRAM-SHA-1-PLUS");
    const Binding binding = plus_offered || !can_bind ? Binding::none : Binding::not_offered;
    if (again && offers("SCRAM-SHA-256"))
        outcome = co_await scram("SCRAM-SHA-256", scram::Hash::sha256, binding);
    else if (again && offers("SCRAM-SHA-1"))
        outcome = co_await scram("SCRAM-SHA-1", scram::Hash::sha1, binding);
    else if (again && offers("PLAIN"))
        outcome = co_await plain();
    else if (again && offers("LOGIN"))
        outcome = co_await login();
    if (!outcome)
        session_.give_up(Diagnosis(status::security_not_supported.as(4),
                                   "the server offers no way to authenticate that we know",
                                   session_.remote()));
    else if (*outcome == Outcome::refused)
        session_.give_up(Diagnosis(*refusal_, 4, session_.remote()));
    co_return outcome && *outcome == Outcome::done;
}

} // namespace

Task<bool> authenticate(ClientSession& session, const SaslCredentials& credentials,
                        std::string nonce) {
    Authentication authentication(session, credentials, std::move(nonce));
    co_return co_await authentication.run();
}

std::string make_nonce() {
    unsigned char octets[18];
    RAND_bytes(octets, sizeof octets);
    return encode_base64({reinterpret_cast<const char*>(octets), sizeof octets});
}

} // namespace postern::relay
