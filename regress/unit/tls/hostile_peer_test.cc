// A client that has shaken hands and then does to TLS 1.3 what no client does: its records are made
// by hand.
#include "common/tls/tls_layer.h"

#include <gtest/gtest.h>

#include <csignal>
#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/tls/handshake.h"
#include "regress/support/test_certificate.h"

namespace postern::test {
namespace {

constexpr char handshake = 22; // content types (RFC 8446 5.1)
constexpr char application_data = 23;
const std::string key_update("\x18\x00\x00\x01\x00", 5); // update not requested (4.6.3)

std::string secret_of_client; // CLIENT_TRAFFIC_SECRET_0, from the key log

void keep_secret(const SSL*, const char* line) {
    const std::string_view text(line);
    if (!text.starts_with("CLIENT_TRAFFIC_SECRET_0 "))
        return;
    const std::string_view digits = text.substr(text.rfind(' ') + 1);
    secret_of_client.clear();
    for (size_t i = 0; i + 1 < digits.size(); i += 2)
        secret_of_client +=
            static_cast<char>(std::stoi(std::string(digits.substr(i, 2)), nullptr, 16));
}

// HKDF-Expand-Label (RFC 8446 7.1).
std::string expand(const std::string& label, size_t length) {
    const std::string full = "tls13 " + label;
    std::string info{'\0', static_cast<char>(length), static_cast<char>(full.size())};
    info += full + '\0';
    EVP_KDF* kdf = EVP_KDF_fetch(nullptr, "HKDF", nullptr);
    EVP_KDF_CTX* context = EVP_KDF_CTX_new(kdf);
    int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, const_cast<char*>("SHA256"), 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, secret_of_client.data(),
                                          secret_of_client.size()),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info.data(), info.size()),
        OSSL_PARAM_construct_end()};
    std::string out(length, '\0');
    EXPECT_EQ(
        EVP_KDF_derive(context, reinterpret_cast<unsigned char*>(out.data()), length, parameters),
        1);
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
    return out;
}

// A record of TLS_AES_128_GCM_SHA256 (5.2), the number `sequence` of its direction.
std::string record(std::string content, char type, uint64_t sequence) {
    content += type;
    std::string key = expand("key", 16), nonce = expand("iv", 12);
    for (int i = 0; i < 8; ++i)
        nonce[4 + i] =
            static_cast<char>(nonce[4 + i] ^ static_cast<char>(sequence >> (56 - 8 * i)));
    std::string header("\x17\x03\x03", 3);
    header += '\0';
    header += static_cast<char>(content.size() + 16);
    const auto bytes = [](std::string& text) {
        return reinterpret_cast<unsigned char*>(text.data());
    };
    EVP_CIPHER_CTX* cipher = EVP_CIPHER_CTX_new();
    std::string sealed(content.size(), '\0'), tag(16, '\0');
    int length = 0;
    EVP_EncryptInit_ex(cipher, EVP_aes_128_gcm(), nullptr, bytes(key), bytes(nonce));
    EVP_EncryptUpdate(cipher, nullptr, &length, bytes(header), static_cast<int>(header.size()));
    EVP_EncryptUpdate(cipher, bytes(sealed), &length, bytes(content),
                      static_cast<int>(content.size()));
    EVP_EncryptFinal_ex(cipher, bytes(sealed), &length);
    EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_GET_TAG, 16, tag.data());
    EVP_CIPHER_CTX_free(cipher);
    return header + sealed + tag;
}

class HostilePeerTest : public testing::Test {
  protected:
    HostilePeerTest() {
        std::signal(SIGPIPE, SIG_IGN);
        int ends[2];
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
        ours = FileDescriptor(ends[0]);
        theirs = FileDescriptor(ends[1]);
        SslContext client_context(SSL_CTX_new(TLS_client_method()));
        SSL_CTX_set_ciphersuites(client_context.get(), "TLS_AES_128_GCM_SHA256");
        SSL_CTX_set_keylog_callback(client_context.get(), keep_secret);
        client.reset(SSL_new(client_context.get()));
        SSL_set_fd(client.get(), theirs.get());
        SSL_set_connect_state(client.get());
        SslContext context(SSL_CTX_new(TLS_server_method()));
        SSL_CTX_use_certificate(context.get(), own.certificate.get());
        SSL_CTX_use_PrivateKey(context.get(), own.key.get());
        SSL_CTX_set_read_ahead(context.get(), 1);
        SslSession ssl(SSL_new(context.get()));
        SSL_set_fd(ssl.get(), ours.get());
        SSL_set_accept_state(ssl.get());
        TlsHandshake server(std::move(ssl));
        TlsStep step = TlsStep::needs_input;
        for (int round = 0; round < 10 && step != TlsStep::done; ++round) {
            SSL_do_handshake(client.get());
            step = server.step();
        }
        EXPECT_EQ(step, TlsStep::done);
        layer = server.take_layer();
    }
    void send(const std::string& bytes) {
        EXPECT_EQ(write(theirs.get(), bytes.data(), bytes.size()),
                  static_cast<ssize_t>(bytes.size()));
    }

    TestCertificate own = make_certificate();
    FileDescriptor ours, theirs;
    SslSession client;
    std::unique_ptr<StreamLayer> layer;
    char buffer[4096];
};

// Writing would wait for the rest of that message, and the socket be ready for it all the time.
TEST_F(HostilePeerTest, HalfAKeyUpdateEndsTheConnectionAtTheNextWrite) {
    send(record("NOOP\r\n", application_data, 0));
    send(record(key_update.substr(0, 4), handshake, 1));
    EXPECT_EQ(layer->receive(buffer, sizeof buffer), 6);
    EXPECT_EQ(layer->receive(buffer, sizeof buffer), -1);
    EXPECT_EQ(errno, EAGAIN);
    EXPECT_EQ(layer->transmit("250 Ok\r\n", 8), -1);
    EXPECT_EQ(errno, EPROTO);
}

// A client that changes its key over and over gives us nothing to do but that, as fast as it can.
TEST_F(HostilePeerTest, AFloodOfKeyUpdatesLeavesOthersTheirTurn) {
    constexpr int updates = 2000;
    std::string flood;
    for (int i = 0; i < updates; ++i) {
        flood += record(key_update, handshake, 0);
        secret_of_client = expand("traffic upd", 32);
    }
    send(flood);
    EXPECT_EQ(layer->receive(buffer, sizeof buffer), -1);
    EXPECT_EQ(errno, EAGAIN);
    int left = 0;
    EXPECT_EQ(ioctl(ours.get(), FIONREAD, &left), 0);
    EXPECT_GT(left, 0) << "all in one go";
    // All the same it is a connection: what comes behind is read.
    send(record("NOOP\r\n", application_data, 0));
    ssize_t got = -1;
    for (int i = 0; i < 20 && got < 0; ++i)
        got = layer->receive(buffer, sizeof buffer);
    EXPECT_EQ(got, 6);
}

} // namespace
} // namespace postern::test
