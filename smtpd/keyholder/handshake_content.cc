#include "smtpd/keyholder/handshake_content.h"

#include <algorithm>
#include <memory>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>

#include "common/tls/openssl.h"

namespace postern::keyholder {

namespace {

constexpr size_t randoms = 2 * 32; // the client's and the server's, in TLS 1.2

// 64 spaces, the context, a zero byte and the hash of what was said so far.
bool is_certificate_verify(std::string_view context, std::string_view content) {
    constexpr size_t spaces = 64;
    if (content.substr(0, spaces).find_first_not_of(' ') != std::string_view::npos ||
        content.substr(0, spaces).size() != spaces)
        return false;
    content.remove_prefix(spaces);
    if (!content.starts_with(context))
        return false;
    content.remove_prefix(context.size());
    const bool zero = content.starts_with('\0');
    const size_t hash = content.size() - (zero ? 1 : 0);
    return zero && (hash == 32 || hash == 48); // the cipher suites of TLS 1.3: SHA-256, SHA-384
}

// The groups that listeners offer (common/tls/groups.h): curve type "named curve", the curve's
// number, and the length of a public value.
struct Group {
    std::string_view parameters;
    int curve; // NID; NID_undef: any value will do
};
constexpr Group groups[] = {
    {{"\x03\x00\x1d\x20", 4}, NID_undef}, // X25519
    {{"\x03\x00\x17\x41", 4}, NID_X9_62_prime256v1},
    {{"\x03\x00\x18\x61", 4}, NID_secp384r1},
    {{"\x03\x00\x19\x85", 4}, NID_secp521r1},
};

// An uncompressed point of the curve. Of its octets somebody who wants something else signed can
// choose no more than half.
bool is_point(int curve, std::string_view octets) {
    constexpr char uncompressed = 4;
    std::unique_ptr<EC_GROUP, OpensslDeleter<EC_GROUP_free>> group(
        EC_GROUP_new_by_curve_name(curve));
    std::unique_ptr<EC_POINT, OpensslDeleter<EC_POINT_free>> point(EC_POINT_new(group.get()));
    return octets.starts_with(uncompressed) && point &&
           EC_POINT_oct2point(group.get(), point.get(),
                              reinterpret_cast<const unsigned char*>(octets.data()), octets.size(),
                              nullptr) == 1;
}

bool is_ecdh_parameters(std::string_view rest) {
    const auto group = std::find_if(std::begin(groups), std::end(groups), [&](const Group& one) {
        return rest.starts_with(one.parameters);
    });
    if (group == std::end(groups))
        return false;
    const auto length = static_cast<unsigned char>(group->parameters.back());
    rest.remove_prefix(group->parameters.size());
    return rest.size() == length && (group->curve == NID_undef || is_point(group->curve, rest));
}

// All of it is one SEQUENCE in DER: a certificate, or a request for one. Random values look like
// this once in 65,536 times, and then the client has to try again.
bool is_der_sequence(std::string_view content) {
    constexpr char sequence = 0x30;
    if (content.size() < 3 || content[0] != sequence)
        return false;
    const auto length = static_cast<unsigned char>(content[1]);
    if (length < 0x80)
        return length + 2u == content.size();
    return length == 0x81 && static_cast<unsigned char>(content[2]) + 3u == content.size();
}

bool is_server_key_exchange(std::string_view content) {
    return content.size() > randoms && !is_der_sequence(content) &&
           is_ecdh_parameters(content.substr(randoms));
}

} // namespace

bool is_server_handshake(std::string_view content) {
    return is_certificate_verify("TLS 1.3, server CertificateVerify", content) ||
           is_server_key_exchange(content);
}

bool is_client_handshake(std::string_view content) {
    return is_certificate_verify("TLS 1.3, client CertificateVerify", content);
}

} // namespace postern::keyholder
