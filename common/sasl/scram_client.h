// The client's part of SCRAM (RFC 5802, RFC 7677), message by message. Pure: the nonce comes from
// outside.
//
//     send client.first()
//     std::optional<std::string> final = client.answer(what came back); send it
//     client.is_server(what came back then)
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/secret.h"
#include "common/sasl/scram_keys.h"
#include "common/smtp/sasl.h"

namespace postern {

class ScramClient {
  public:
    // RFC 5802 6: what the client says of channel binding.
    enum class Binding : uint8_t {
        none,        // it does without
        not_offered, // it could, but the server offered no -PLUS: if it did, it is to say no
        tls_exporter,
    };
    // A server that wants more is refused: its arithmetic would keep the event loop. So many take
    // some 50 ms.
    static constexpr uint32_t most_iterations = 100'000;
    static constexpr uint32_t least_iterations = 4096; // RFC 7677 4

    // `nonce` is printable, without commas, and new. `exporter`: that of the connection.
    ScramClient(scram::Hash hash, Binding binding, std::string exporter, std::string nonce)
        : hash_(hash), binding_(binding), exporter_(std::move(exporter)), nonce_(std::move(nonce)) {
    }

    // Nothing: SASLprep refuses the user's name or the password.
    std::optional<std::string> first(const SaslCredentials& credentials);
    // Nothing: it is no message of SCRAM to this client, or asks too much.
    std::optional<std::string> answer(std::string_view server_first);
    // Whether the server knows the password too, by its last message.
    bool is_server(std::string_view server_final) const;

  private:
    std::string gs2_header() const;

    scram::Hash hash_;
    Binding binding_;
    std::string exporter_;
    std::string nonce_;
    Secret password_;
    std::string bare_;             // of the first message
    std::string server_signature_; // that the server has to have
};

} // namespace postern
