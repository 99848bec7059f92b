// A client of SCRAM-SHA-256 that a test can have do it wrong.
#pragma once

#include <openssl/evp.h>

#include <string>

#include "common/base/base64.h"
#include "common/sasl/scram_keys.h"

namespace postern::test {

struct ScramClient {
    std::string password = "pencil";
    std::string gs2_header = "n,,";
    std::string bare = "n=user,r=rOprNGfwEbeRWgbNEkqO";
    std::string binding; // data of the channel

    std::string first() const { return gs2_header + bare; }

    // The last message, to a server's first one.
    std::string final(const std::string& server_first) const {
        const std::string nonce = field(server_first, "r=");
        return final_with("c=" + encode_base64(gs2_header + binding) + ",r=" + nonce, server_first);
    }
    // The same with proof of this.
    std::string final_with(const std::string& without_proof,
                           const std::string& server_first) const {
        const std::string salt = *decode_base64(field(server_first, "s="));
        std::string salted(32, '\0');
        PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()),
                          reinterpret_cast<const unsigned char*>(salt.data()),
                          static_cast<int>(salt.size()), std::stoi(field(server_first, "i=")),
                          EVP_sha256(), 32, reinterpret_cast<unsigned char*>(salted.data()));
        const std::string client_key = scram::hmac(salted, "Client Key");
        std::string stored_key(32, '\0');
        EVP_Digest(client_key.data(), client_key.size(),
                   reinterpret_cast<unsigned char*>(stored_key.data()), nullptr, EVP_sha256(),
                   nullptr);
        std::string proof =
            scram::hmac(stored_key, bare + "," + server_first + "," + without_proof);
        for (size_t i = 0; i < proof.size(); ++i)
            proof[i] = static_cast<char>(proof[i] ^ client_key[i]);
        return without_proof + ",p=" + encode_base64(proof);
    }
    static std::string field(const std::string& message, const std::string& name) {
        const size_t at = ("," + message).find("," + name);
        if (at == message.npos)
            return "";
        const size_t begin = at + name.size();
        return message.substr(begin, message.find(',', begin) - begin);
    }
};

} // namespace postern::test
