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
const std::string point(65, 'p');

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
        {"no point", randoms + "\x03\x00\x17\x00"s, false},
        {"only a curve", randoms + "\x03\x00\x17"s, false},
        {"only randoms", randoms, false},
        {"TLS 1.2, DHE", randoms + "\x00\x02pp\x00\x01g\x00\x03yyy"s, true},
        {"DHE without a public value", randoms + "\x00\x02pp\x00\x01g"s, false},
        {"DHE with a length too large", randoms + "\x00\x02pp\x00\x01g\x01\x03yyy"s, false},
        {"DHE and more", randoms + "\x00\x02pp\x00\x01g\x00\x03yyyz"s, false},
        // What a stolen signature would be worth something for.
        {"a certificate request", "\x30\x82\x01\x0a\x30\x81\xf3\x02\x01\x00"s + randoms, false},
        {"a header of a mail", "from:postmaster@example.org\r\nsubject:pay me\r\n" + randoms,
         false},
        {"a JSON web token", "eyJhbGciOiJFUzI1NiJ9." + randoms + randoms, false},
    };
    for (const Row& row : rows)
        EXPECT_EQ(is_server_handshake(row.content), row.allowed) << row.what;
}

TEST(HandshakeContent, NoPrefixOfOneIsOne) {
    for (const std::string& whole :
         {spaces + context + "\0"s + sha256, randoms + "\x03\x00\x17\x41"s + point,
          randoms + "\x00\x02pp\x00\x01g\x00\x03yyy"s})
        for (size_t length = 0; length < whole.size(); ++length)
            EXPECT_FALSE(is_server_handshake(whole.substr(0, length))) << length;
}

} // namespace
} // namespace postern::keyholder::test
