#include "common/sasl/scram_client.h"

#include "common/base/base64.h"
#include "common/base/decimal.h"
#include "common/sasl/saslprep.h"

namespace postern {

namespace {

constexpr size_t longest_salt = 256; // octets

// RFC 5802 7 saslname.
std::string quoted_name(std::string_view name) {
    std::string quoted;
    for (const char c : name) {
        if (c == ',')
            quoted += "=2C";
        else if (c == '=')
            quoted += "=3D";
        else
            quoted += c;
    }
    return quoted;
}

// Takes "x=value" off the front of `rest`, and the comma behind it. Nothing: something else is
// there.
std::optional<std::string_view> take_attribute(std::string_view& rest, char name) {
    if (rest.size() < 3 || rest[0] != name || rest[1] != '=')
        return std::nullopt;
    const std::string_view value = rest.substr(2, rest.find(',') - 2);
    rest.remove_prefix(std::min(rest.size(), value.size() + 3));
    return value;
}

} // namespace

std::string ScramClient::gs2_header() const {
    return binding_ == Binding::tls_exporter  ? "p=tls-exporter,,"
           : binding_ == Binding::not_offered ? "y,,"
                                              : "n,,";
}

std::optional<std::string> ScramClient::first(const SaslCredentials& credentials) {
    const std::optional<Secret> user = saslprep(credentials.user, Prepared::for_comparison);
    std::optional<Secret> password =
        saslprep(credentials.password.view(), Prepared::for_comparison);
    if (!user || !password)
        return std::nullopt;
    password_ = std::move(*password);
    bare_ = "n=" + quoted_name(user->view()) + ",r=" + nonce_;
    return gs2_header() + bare_;
}

std::optional<std::string> ScramClient::answer(std::string_view server_first) {
    std::string_view rest = server_first;
    const auto nonce = take_attribute(rest, 'r');
    const auto salt_text = take_attribute(rest, 's');
    const auto count_text = take_attribute(rest, 'i'); // extensions may follow
    if (!nonce || !salt_text || !count_text || nonce->size() <= nonce_.size() ||
        !nonce->starts_with(nonce_))
        return std::nullopt;
    const auto salt = decode_base64(*salt_text);
    const auto iterations = parse_decimal<uint32_t>(*count_text);
    if (!salt || salt->empty() || salt->size() > longest_salt || !iterations ||
        *iterations < least_iterations || *iterations > most_iterations)
        return std::nullopt;
    const auto salted = scram::salted_password(hash_, password_.view(), *salt, *iterations);
    if (!salted)
        return std::nullopt;
    const std::string bound =
        gs2_header() + (binding_ == Binding::tls_exporter ? exporter_ : std::string());
    const std::string without_proof = "c=" + encode_base64(bound) + ",r=" + std::string(*nonce);
    const std::string auth_message = bare_ + "," + std::string(server_first) + "," + without_proof;
    std::string key_text = scram::hmac(hash_, salted->view(), "Client Key");
    const Secret client_key = Secret::take(key_text);
    std::string proof = scram::hmac(hash_, scram::digest(hash_, client_key.view()), auth_message);
    server_signature_ =
        scram::hmac(hash_, scram::hmac(hash_, salted->view(), "Server Key"), auth_message);
    if (client_key.empty() || proof.size() != client_key.size() || server_signature_.empty())
        return std::nullopt;
    for (size_t i = 0; i < proof.size(); ++i)
        proof[i] = static_cast<char>(proof[i] ^ client_key.view()[i]);
    return without_proof + ",p=" + encode_base64(proof);
}

bool ScramClient::is_server(std::string_view server_final) const {
    std::string_view rest = server_final;
    const auto verifier = take_attribute(rest, 'v');
    const auto signature = verifier ? decode_base64(*verifier) : std::nullopt;
    return signature && !server_signature_.empty() &&
           scram::same_octets(*signature, server_signature_);
}

} // namespace postern
