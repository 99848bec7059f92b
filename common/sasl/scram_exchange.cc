#include "common/sasl/scram_exchange.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/base/base64.h"
#include "common/sasl/saslprep.h"
#include "common/sasl/scram_keys.h"
#include "common/smtp/sasl.h"
#include "common/smtp/text.h"

namespace postern {

namespace {

// Takes the text before the next comma off `rest`, and the comma. Nothing: there is no comma.
std::optional<std::string_view> take_field(std::string_view& rest) {
    const size_t comma = rest.find(',');
    if (comma == rest.npos)
        return std::nullopt;
    const std::string_view field = rest.substr(0, comma);
    rest.remove_prefix(comma + 1);
    return field;
}

// RFC 5802 7 saslname: a comma is written "=2C" and an equals sign "=3D".
std::optional<std::string> parse_name(std::string_view text) {
    std::string name;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '=') {
            name += text[i];
            continue;
        }
        const std::string_view code = text.substr(i, 3);
        if (code != "=2C" && code != "=3D")
            return std::nullopt;
        name += code == "=2C" ? ',' : '=';
        i += 2;
    }
    if (name.empty())
        return std::nullopt;
    return name;
}

// RFC 5802 7 printable, without the comma.
bool is_nonce(std::string_view text) {
    return !text.empty() && text.size() <= 256 && std::all_of(text.begin(), text.end(),
                                        [](char c) { return c > 0x20 && c < 0x7f && c != ','; });
}

// RFC 5802 7 attr-val. "m" stands for an extension that one must know, and none is known.
bool is_extension(std::string_view text) {
    return text.size() >= 3 && is_ascii_letter(text[0]) && text[0] != 'm' && text[1] == '=';
}

bool are_extensions(std::string_view rest) {
    while (const auto field = take_field(rest))
        if (!is_extension(*field))
            return false;
    return is_extension(rest);
}

bool is_too_long(std::string_view name) { return name.size() > user_name_limit; }

} // namespace

ScramExchange::State ScramExchange::respond(std::string_view message) {
    const Step step = std::exchange(step_, Step::over);
    challenge_.clear();
    if (message.size() > message_limit || message.find('\0') != message.npos)
        return State::malformed;
    switch (step) {
    case Step::first:
        return take_first(message);
    case Step::final:
        return take_final(message);
    case Step::agreement:
        return message.empty() ? State::complete : State::malformed;
    case Step::over:
        break;
    }
    return State::malformed;
}

// RFC 5802 6: whether client and server have the same idea of channel binding.
ScramExchange::State ScramExchange::check_binding_flag(std::string_view flag) {
    if (flag == "n")
        return plus_ ? State::failed : State::asking;
    // The client believes that we offer none. If we did, somebody has changed what we said.
    if (flag == "y")
        return plus_ || bindings_.any() ? State::failed : State::asking;
    if (!flag.starts_with("p="))
        return State::malformed;
    if (flag == "p=tls-exporter")
        binding_ = bindings_.tls_exporter;
    else if (flag == "p=tls-server-end-point")
        binding_ = bindings_.tls_server_end_point;
    else if (flag == "p=tls-unique")
        binding_ = bindings_.tls_unique;
    return plus_ && !binding_.empty() ? State::asking : State::failed;
}

// gs2-cbind-flag "," [authzid] "," username "," nonce ["," extensions]
ScramExchange::State ScramExchange::take_first(std::string_view message) {
    std::string_view rest = message;
    const auto flag = take_field(rest);
    const auto on_behalf_of = flag ? take_field(rest) : std::nullopt;
    if (!on_behalf_of)
        return State::malformed;
    const std::string_view bare = rest;
    const auto name = take_field(rest);
    if (!name || !name->starts_with("n="))
        return State::malformed;
    const auto user = parse_name(name->substr(2));
    const auto before_extensions = take_field(rest);
    const std::string_view nonce = before_extensions.value_or(rest);
    if (!user || !nonce.starts_with("r=") || !is_nonce(nonce.substr(2)) ||
        (before_extensions && !are_extensions(rest)))
        return State::malformed;
    user_ = is_too_long(*user) ? std::string() : *user;
    if (const State state = check_binding_flag(*flag); state != State::asking)
        return state;
    std::optional<Secret> prepared = saslprep(user_, Prepared::for_comparison);
    if (!prepared || is_too_long(prepared->view()))
        return State::failed;
    user_ = prepared->view(); // failures count for the account, however it was spelt
    // Nobody acts for somebody else here.
    if (!on_behalf_of->empty()) {
        if (!on_behalf_of->starts_with("a="))
            return State::malformed;
        const auto other = parse_name(on_behalf_of->substr(2));
        if (!other || !equal_ignoring_case(*other, *user))
            return other ? State::failed : State::malformed;
    }
    account_ = find_(prepared->view());
    gs2_header_ = message.substr(0, message.size() - bare.size());
    nonce_.insert(0, nonce.substr(2));
    challenge_ = "r=" + nonce_ + ",s=" + encode_base64(account_.secret.salt) +
                 ",i=" + std::to_string(account_.secret.iterations);
    auth_message_ = std::string(bare) + "," + challenge_ + ",";
    step_ = Step::final;
    return State::asking;
}

// channel-binding "," nonce ["," extensions] "," proof
ScramExchange::State ScramExchange::take_final(std::string_view message) {
    const size_t last = message.rfind(',');
    if (last == message.npos || !message.substr(last).starts_with(",p="))
        return State::malformed;
    const std::string_view without_proof = message.substr(0, last);
    std::string_view rest = without_proof;
    const auto binding = take_field(rest);
    const auto before_extensions = take_field(rest);
    const std::string_view nonce = before_extensions.value_or(rest);
    if (!binding || !binding->starts_with("c=") || !nonce.starts_with("r=") ||
        (before_extensions && !are_extensions(rest)))
        return State::malformed;
    const auto channel = decode_base64(binding->substr(2));
    const auto proof = decode_base64(message.substr(last + 3));
    if (!channel || !proof)
        return State::malformed;
    auth_message_ += without_proof;
    // Whoever does not exist costs the same arithmetic.
    const bool proven = scram::is_proof(*proof, account_.secret.stored_key, auth_message_);
    if (!proven || !account_.exists || nonce.substr(2) != nonce_ ||
        !scram::same_octets(*channel, gs2_header_ + binding_))
        return State::failed;
    challenge_ = "v=" + encode_base64(scram::hmac(account_.secret.server_key, auth_message_));
    user_ = account_.user;
    step_ = Step::agreement;
    return State::asking;
}

} // namespace postern
