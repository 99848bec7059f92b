#include "smtpd/keyholder/handshake_content.h"

#include <cstddef>
#include <cstdint>

namespace postern::keyholder {

namespace {

// 64 spaces, the context, a zero byte and the hash of what was said so far.
bool is_certificate_verify(std::string_view content) {
    constexpr std::string_view context = "TLS 1.3, server CertificateVerify";
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

// Takes a value with its length in front, which has `length_size` bytes. False: it is not there.
bool take_counted(std::string_view& rest, size_t length_size) {
    if (rest.size() < length_size)
        return false;
    size_t length = 0;
    for (char c : rest.substr(0, length_size))
        length = length << 8 | static_cast<uint8_t>(c);
    rest.remove_prefix(length_size);
    if (length == 0 || length > rest.size())
        return false;
    rest.remove_prefix(length);
    return true;
}

// A named curve and a point on it.
bool is_ecdh_parameters(std::string_view rest) {
    constexpr char named_curve = 3;
    if (rest.size() < 3 || rest[0] != named_curve)
        return false;
    rest.remove_prefix(3);
    return take_counted(rest, 1) && rest.empty();
}

// Prime, generator, public value.
bool is_dh_parameters(std::string_view rest) {
    return take_counted(rest, 2) && take_counted(rest, 2) && take_counted(rest, 2) && rest.empty();
}

bool is_server_key_exchange(std::string_view content) {
    constexpr size_t randoms = 2 * 32; // the client's and the server's
    if (content.size() <= randoms)
        return false;
    content.remove_prefix(randoms);
    return is_ecdh_parameters(content) || is_dh_parameters(content);
}

} // namespace

bool is_server_handshake(std::string_view content) {
    return is_certificate_verify(content) || is_server_key_exchange(content);
}

} // namespace postern::keyholder
