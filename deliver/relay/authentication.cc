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
    Authentication(ClientSession& session, const SaslCredentials& credentials,
                   std::string (*make_nonce)())
        : session_(session), credentials_(credentials), make_nonce_(make_nonce) {}
    Task<bool> run();

  private:
    enum class Outcome { done, refused, failed, cancelled };

    Task<Outcome> scram(std::string mechanism, scram::Hash hash, ScramClient::Binding binding);
    Task<Outcome> plain();
    Task<Outcome> login();
    Task<std::optional<std::string>> challenge(const char* awaited);
    Task<Outcome> verdict();
    Task<Outcome> cancel();
    Task<Outcome> bound();
    Task<Outcome> unbound(std::optional<Outcome> before);
    bool may_go_on(Outcome before) const;
    void explain(std::optional<Outcome> outcome);
    void say(std::string line);
    void begin(const std::string& mechanism, std::string_view response);
    void nonsense();
    std::string exporter() const {
        return session_.tls() ? session_.tls()->bindings.tls_exporter : std::string();
    }
    bool offers(const char* mechanism) const { return session_.capabilities().has_auth(mechanism); }

    ClientSession& session_;
    const SaslCredentials& credentials_;
    std::string (*make_nonce_)();
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
    ScramClient client(hash, binding, exporter(), make_nonce_());
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
    if (!proof)
        co_return co_await cancel();
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

// What the server asks for is nonsense, or too much (RFC 4954 4).
Task<Authentication::Outcome> Authentication::cancel() {
    session_.command("*\r\n");
    refusal_ = co_await session_.reply("the reply to the end of AUTH", auth_limit);
    if (session_.failed())
        co_return Outcome::failed;
    if (refusal_->is_permanent_failure() || refusal_->is_transient_failure())
        co_return Outcome::cancelled;
    nonsense();
    co_return Outcome::failed;
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

// SCRAM. Refused: with a reply, which may be for the mechanism.
Task<Authentication::Outcome> Authentication::bound() {
    using Binding = ScramClient::Binding;
    const bool can_bind = !exporter().empty();
    const bool plus = offers("SCRAM-SHA-256-PLUS");
    Outcome outcome = Outcome::refused;
    if (plus && can_bind) {
        outcome = co_await scram("SCRAM-SHA-256-PLUS", scram::Hash::sha256, Binding::tls_exporter);
        // It may know other bindings only, and says so in no other way.
        if (outcome != Outcome::refused || refusal_->code == 454)
            co_return outcome;
    }
    const Binding binding =
        plus || offers("SCRAM-SHA-1-PLUS") || !can_bind ? Binding::none : Binding::not_offered;
    if (offers("SCRAM-SHA-256"))
        outcome = co_await scram("SCRAM-SHA-256", scram::Hash::sha256, binding);
    else if (offers("SCRAM-SHA-1"))
        outcome = co_await scram("SCRAM-SHA-1", scram::Hash::sha1, binding);
    co_return outcome;
}

// Whether the password itself may be said now: SCRAM is not possible with it here, and the server
// is who it should be.
bool Authentication::may_go_on(Outcome before) const {
    if (session_.tls()->proof == TlsProof::none)
        return false;
    return before == Outcome::cancelled ||
           (before == Outcome::refused && refusal_->code != 454 && refusal_->code != 535);
}

// By the password itself, after SCRAM ended in `before`; nothing: it is not offered.
Task<Authentication::Outcome> Authentication::unbound(std::optional<Outcome> before) {
    if (before && !may_go_on(*before))
        co_return *before;
    if (offers("PLAIN"))
        co_return co_await plain();
    if (offers("LOGIN"))
        co_return co_await login();
    co_return before.value_or(Outcome::failed);
}

void Authentication::explain(std::optional<Outcome> outcome) {
    if (!refusal_ && (!outcome || *outcome != Outcome::done))
        return session_.give_up(Diagnosis(status::security_not_supported.as(4),
                                          "the server offers no way to authenticate that we know",
                                          session_.remote()));
    if (*outcome == Outcome::cancelled)
        return session_.give_up(Diagnosis(status::other_protocol.as(4),
                                          "the server asks for more than SCRAM needs, or for too "
                                          "many iterations",
                                          session_.remote()));
    if (*outcome != Outcome::refused)
        return;
    const EnhancedStatusCode code =
        refusal_->status.present() ? refusal_->status.as(4) : status::undefined.as(4);
    session_.give_up(Diagnosis(
        code,
        "the server does not let us log in: " + std::to_string(refusal_->code) +
            (refusal_->status.present() ? " " + to_string(refusal_->status) : std::string()),
        session_.remote()));
}

Task<bool> Authentication::run() {
    if (!session_.tls()) {
        session_.give_up(Diagnosis(status::misconfigured.as(4),
                                   "no password is said over a connection that is not encrypted",
                                   session_.remote()));
        co_return false;
    }
    session_.begin_stage();
    std::optional<Outcome> outcome;
    if (offers("SCRAM-SHA-256") || offers("SCRAM-SHA-1") ||
        (offers("SCRAM-SHA-256-PLUS") && !exporter().empty()))
        outcome = co_await bound();
    outcome = co_await unbound(outcome);
    if (!session_.failed())
        explain(outcome);
    co_return *outcome == Outcome::done;
}

} // namespace

Task<bool> authenticate(ClientSession& session, const SaslCredentials& credentials,
                        std::string (*make_nonce)()) {
    Authentication authentication(session, credentials, make_nonce);
    co_return co_await authentication.run();
}

Diagnosis without_credentials(const Error& error) {
    return Diagnosis(error.code ? status::directory_failure : status::misconfigured.as(4),
                     error.message);
}

std::string make_nonce() {
    unsigned char octets[18];
    RAND_bytes(octets, sizeof octets);
    return encode_base64({reinterpret_cast<const char*>(octets), sizeof octets});
}

} // namespace postern::relay
