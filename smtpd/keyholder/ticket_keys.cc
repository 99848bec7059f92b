#include "smtpd/keyholder/ticket_keys.h"

#include <openssl/rand.h>

#include "common/tls/openssl.h"

namespace postern::keyholder {

namespace {

constexpr size_t keys_kept = 2;

bool fill(std::string& bytes, size_t size) {
    bytes.resize(size);
    return RAND_priv_bytes(reinterpret_cast<unsigned char*>(bytes.data()),
                           static_cast<int>(size)) == 1;
}

} // namespace

Result<void> TicketKeyRing::rotate() {
    ipc::TicketKey key;
    if (!fill(key.name, 16) || !fill(key.encryption, 32) || !fill(key.authentication, 32))
        return openssl_error("no randomness for a ticket key");
    keys_.keys.insert(keys_.keys.begin(), std::move(key));
    if (keys_.keys.size() > keys_kept)
        keys_.keys.resize(keys_kept);
    return {};
}

} // namespace postern::keyholder
