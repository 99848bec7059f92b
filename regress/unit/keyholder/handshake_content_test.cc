// What a key may sign: handshakes of a TLS server, and nothing that looks like something else.
#include "smtpd/keyholder/handshake_content.h"

#include <gtest/gtest.h>

#include <string>

namespace postern::keyholder::test {
namespace {

using namespace std::string_literals;

const std::string spaces(64, ' ');
const std::string context = "TLS 1.3, server CertificateVerify";
const std::string randoms(64, 'r');
const std::string sha256(32, 'h');
const std::string sha384(48, 'h');
// The base point of P-256 (SEC 2 2.4.2), and one that is not on the curve.
const std::string point =
    "\x04\x6b\x17\xd1\xf2\xe1\x2c\x42\x47\xf8\xbc\xe6\xe5\x63\xa4\x40\xf2\x77\x03\x7d\x81"
    "\x2d\xeb\x33\xa0\xf4\xa1\x39\x45\xd8\x98\xc2\x96\x4f\xe3\x42\xe2\xfe\x1a\x7f\x9b\x8e"
    "\xe7\xeb\x4a\x7c\x0f\x9e\x16\x2b\xce\x33\x57\x6b\x31\x5e\xce\xcb\xb6\x40\x68\x37\xbf"
    "\x51\xf5"s;
const std::string beside = point.substr(0, 64) + "x";

TEST(HandshakeContent, OnlyThatOfAServer) {
    struct Row {
        const char* what;
        std::string content;
        bool allowed;
    } rows[] = {
        {"TLS 1.3, SHA-256", spaces + context + "\0"s + sha256, true},
        {"TLS 1.3, SHA-384", spaces + context + "\0"s + sha384, true},
        {"nothing", "", false},
        {"a client's", spaces + "TLS 1.3, client CertificateVerify\0"s + sha256, false},
        {"a space too few", std::string(63, ' ') + context + "\0"s + sha256, false},
        {"a space too many", spaces + " " + context + "\0"s + sha256, false},
        {"no zero byte", spaces + context + sha256, false},
        {"no hash", spaces + context + "\0"s, false},
        {"more than a hash", spaces + context + "\0"s + sha384 + "x", false},
        {"delegated credentials (RFC 9345)",
         spaces + "TLS, server delegated credentials\0"s + sha256, false},
        {"TLS 1.2, P-256", randoms + "\x03\x00\x17\x41"s + point, true},
        {"TLS 1.2, X25519", randoms + "\x03\x00\x1d\x20"s + sha256, true},
        {"the curve is explicit", randoms + "\x01\x00\x17\x41"s + point, false},
        {"a point that is cut short", randoms + "\x03\x00\x17\x41"s + sha256, false},
        {"something behind the point", randoms + "\x03\x00\x17\x41"s + point + "x", false},
        {"a point that is not on the curve", randoms + "\x03\x00\x17\x41"s + beside, false},
        {"a compressed point", randoms + "\x03\x00\x17\x21\x02"s + point.substr(1, 32), false},
        {"a length that is not the curve's", randoms + "\x03\x00\x17\x20"s + sha256, false},
        {"a curve that is not offered", randoms + "\x03\x00\x16\x41"s + point, false},
        {"the point of another curve", randoms + "\x03\x00\x18\x41"s + point, false},
        {"no point", randoms + "\x03\x00\x17\x00"s, false},
        {"only a curve", randoms + "\x03\x00\x17"s, false},
        {"only randoms", randoms, false},
        {"TLS 1.2, DHE", randoms + "\x00\x02pp\x00\x01g\x00\x03yyy"s, false},
        // Certificates and requests, with what is asked for in the right place.
        {"a certificate whose serial number has the marks of a curve",
         "\x30\x81\x82"s + std::string(61, 's') + "\x03\x00\x17\x41"s + point, false},
        {"a short one", "\x30\x62"s + std::string(62, 's') + "\x03\x00\x1d\x20"s + sha256, false},
        // A client's proof of TLS 1.2 is over all that was said, which is longer than any of ours.
        {"a client's transcript",
         "\x01\x00\x01\x00\x03\x03"s + std::string(58, 'c') + "\x03\x00\x17\x41"s + point +
             std::string(2000, 't'),
         false},
        // What a stolen signature would be worth something for.
        {"a certificate request", "\x30\x82\x01\x0a\x30\x81\xf3\x02\x01\x00"s + randoms, false},
        {"a header of a mail", "from:postmaster@example.org\r\nsubject:pay me\r\n" + randoms,
         false},
        {"a JSON web token", "eyJhbGciOiJFUzI1NiJ9." + randoms + randoms, false},
    };
    for (const Row& row : rows)
        EXPECT_EQ(is_server_handshake(row.content), row.allowed) << row.what;
}

// TLS 1.3 only: what a client of TLS 1.2 signs could be anything.
TEST(HandshakeContent, OnlyThatOfAClient) {
    const std::string clients = "TLS 1.3, client CertificateVerify";
    EXPECT_TRUE(is_client_handshake(spaces + clients + "\0"s + sha256));
    EXPECT_TRUE(is_client_handshake(spaces + clients + "\0"s + sha384));
    EXPECT_FALSE(is_client_handshake(spaces + context + "\0"s + sha256));
    EXPECT_FALSE(is_client_handshake(randoms + "\x03\x00\x1d\x20"s + sha256));
    EXPECT_FALSE(is_client_handshake(""));
}

TEST(HandshakeContent, NoPrefixOfOneIsOne) {
    for (const std::string& whole :
         {spaces + context + "\0"s + sha256, randoms + "\x03\x00\x17\x41"s + point,
          randoms + "\x03\x00\x1d\x20"s + sha256})
        for (size_t length = 0; length < whole.size(); ++length)
            EXPECT_FALSE(is_server_handshake(whole.substr(0, length))) << length;
}

} // namespace
} // namespace postern::keyholder::test
