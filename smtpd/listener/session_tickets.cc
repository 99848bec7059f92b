#include "smtpd/listener/session_tickets.h"

#include <algorithm>
#include <cstring>
#include <openssl/core_names.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include "common/tls/bindings.h"

namespace postern::listener {

namespace {

constexpr size_t name_size = 16;
constexpr size_t key_size = 32;

int tickets_index() {
    static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return index;
}

bool set_authentication(EVP_MAC_CTX* mac, const std::string& key) {
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, const_cast<char*>(key.data()),
                                          key.size()),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, const_cast<char*>("SHA256"), 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_MAC_CTX_set_params(mac, parameters) == 1;
}

const unsigned char* bytes_of(const std::string& text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

int encrypt(const SessionTickets& tickets, unsigned char* name, unsigned char* iv,
            EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac) {
    const ipc::TicketKey* key = tickets.current();
    if (!key)
        return -1;
    std::memcpy(name, key->name.data(), name_size);
    const bool ready = RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) == 1 &&
                       EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), nullptr,
                                          bytes_of(key->encryption), iv) == 1 &&
                       set_authentication(mac, key->authentication);
    return ready ? 1 : -1;
}

// 0: not our ticket, so there is a full handshake. 2: it is, and deserves a fresh one.
int decrypt(const SessionTickets& tickets, const unsigned char* name, unsigned char* iv,
            EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac) {
    const ipc::TicketKey* key =
        tickets.find(std::string_view(reinterpret_cast<const char*>(name), name_size));
    if (!key)
        return 0;
    const bool ready =
        set_authentication(mac, key->authentication) &&
        EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), nullptr, bytes_of(key->encryption), iv) == 1;
    if (!ready)
        return -1;
    return key == tickets.current() ? 1 : 2;
}

int on_ticket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
              EVP_MAC_CTX* mac, int encrypting) {
    const auto* tickets = static_cast<const SessionTickets*>(
        SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), tickets_index()));
    if (!tickets)
        return -1;
    return encrypting ? encrypt(*tickets, name, iv, cipher, mac)
                      : decrypt(*tickets, name, iv, cipher, mac);
}

} // namespace

void SessionTickets::set(ipc::TicketKeys keys) {
    std::erase_if(keys.keys, [](const ipc::TicketKey& key) {
        return key.name.size() != name_size || key.encryption.size() != key_size ||
               key.authentication.size() != key_size;
    });
    if (!keys.keys.empty())
        keys_ = std::move(keys);
}

const ipc::TicketKey* SessionTickets::find(std::string_view name) const {
    const auto found = std::find_if(keys_.keys.begin(), keys_.keys.end(),
                                    [&](const ipc::TicketKey& key) { return key.name == name; });
    return found == keys_.keys.end() ? nullptr : &*found;
}

void SessionTickets::attach(SSL_CTX* context, std::string_view terms) const {
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256(reinterpret_cast<const unsigned char*>(terms.data()), terms.size(), digest);
    SSL_CTX_set_session_id_context(context, digest, sizeof digest);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(context, ticket_life.count());
    SSL_CTX_set_num_tickets(context, 1);
    SSL_CTX_set_ex_data(context, tickets_index(), const_cast<SessionTickets*>(this));
    SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket);
    keep_end_point_in_tickets(context);
}

} // namespace postern::listener
