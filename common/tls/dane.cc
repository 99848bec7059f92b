#include "common/tls/dane.h"

#include <openssl/err.h>

namespace postern {

namespace {

constexpr size_t header = 3; // usage, selector, matching type

const unsigned char* bytes_of(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

// The whole of what is selected, in DER, with nothing behind it.
bool is_whole(uint8_t selector, std::string_view data) {
    const unsigned char* at = bytes_of(data);
    const unsigned char* end = at + data.size();
    const long length = static_cast<long>(data.size());
    ERR_clear_error();
    bool whole = false;
    if (selector == 0) {
        X509Certificate certificate(d2i_X509(nullptr, &at, length));
        whole = certificate && at == end && X509_get0_pubkey(certificate.get());
    } else {
        EvpKey key(d2i_PUBKEY(nullptr, &at, length));
        whole = key && at == end;
    }
    ERR_clear_error();
    return whole;
}

} // namespace

bool is_usable_tlsa(std::string_view record) {
    if (record.size() <= header)
        return false;
    const uint8_t usage = bytes_of(record)[0];
    const uint8_t selector = bytes_of(record)[1];
    const std::string_view data = record.substr(header);
    if ((usage != 2 && usage != 3) || selector > 1)
        return false;
    switch (bytes_of(record)[2]) {
    case 0:
        return is_whole(selector, data);
    case 1:
        return data.size() == 32; // SHA-256
    case 2:
        return data.size() == 64; // SHA-512
    }
    return false;
}

bool add_tlsa(SSL& ssl, std::string_view record) {
    if (record.size() <= header)
        return false;
    const unsigned char* bytes = bytes_of(record);
    ERR_clear_error();
    const int added = SSL_dane_tlsa_add(&ssl, bytes[0], bytes[1], bytes[2], bytes + header,
                                        record.size() - header);
    ERR_clear_error();
    return added == 1;
}

} // namespace postern
