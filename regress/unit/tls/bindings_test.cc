// Channel bindings: the server's are what OpenSSL's client has at its end.
#include "common/tls/bindings.h"

#include <gtest/gtest.h>

#include <openssl/bio.h>

#include "regress/support/test_certificate.h"

namespace postern::test {
namespace {

struct Ends {
    SslSession server, client;
};

class BindingsTest : public testing::Test {
  protected:
    explicit BindingsTest() { SSL_CTX_set_session_id_context(server_.get(), bytes("x"), 1); }

    void use(const TestCertificate& own) {
        SSL_CTX_use_certificate(server_.get(), own.certificate.get());
        SSL_CTX_use_PrivateKey(server_.get(), own.key.get());
    }
    // A handshake that is done, and what a server sends behind it.
    Ends connect(int version, SSL_SESSION* session = nullptr, uint64_t options = 0) {
        Ends ends{SslSession(SSL_new(server_.get())), SslSession(SSL_new(client_.get()))};
        BIO *one = nullptr, *other = nullptr;
        BIO_new_bio_pair(&one, 0, &other, 0);
        SSL_set_bio(ends.server.get(), one, one);
        SSL_set_bio(ends.client.get(), other, other);
        SSL_set_max_proto_version(ends.client.get(), version);
        SSL_set_options(ends.client.get(), options);
        if (session)
            SSL_set_session(ends.client.get(), session);
        SSL_set_accept_state(ends.server.get());
        SSL_set_connect_state(ends.client.get());
        for (int round = 0; round < 10; ++round) {
            SSL_do_handshake(ends.client.get());
            SSL_do_handshake(ends.server.get());
        }
        char none;
        SSL_read(ends.client.get(), &none, 1);
        EXPECT_TRUE(SSL_is_init_finished(ends.server.get()));
        EXPECT_EQ(SSL_version(ends.server.get()), version);
        return ends;
    }
    static std::string exported(SSL* client) {
        std::string value(32, '\0');
        SSL_export_keying_material(client, bytes(value), value.size(), "EXPORTER-Channel-Binding",
                                   24, bytes(""), 0, 1);
        return value;
    }
    static std::string hash(SSL* client, const EVP_MD* function) {
        std::string value(static_cast<size_t>(EVP_MD_get_size(function)), '\0');
        X509_digest(SSL_get0_peer_certificate(client), function, bytes(value), nullptr);
        return value;
    }
    static std::string finished(SSL* client, size_t (*of)(const SSL*, void*, size_t)) {
        std::string value(12, '\0'); // RFC 5246 7.4.9
        EXPECT_EQ(of(client, value.data(), value.size()), value.size());
        return value;
    }
    static unsigned char* bytes(std::string& text) {
        return reinterpret_cast<unsigned char*>(text.data());
    }
    static const unsigned char* bytes(const char* text) {
        return reinterpret_cast<const unsigned char*>(text);
    }

    SslContext server_{SSL_CTX_new(TLS_server_method())};
    SslContext client_{SSL_CTX_new(TLS_client_method())};
};

TEST_F(BindingsTest, OfTls13) {
    use(make_certificate());
    const Ends ends = connect(TLS1_3_VERSION);
    const ChannelBindings bindings = bindings_of(ends.server.get());
    EXPECT_TRUE(bindings.any());
    EXPECT_EQ(bindings.tls_exporter, exported(ends.client.get()));
    EXPECT_EQ(bindings.tls_server_end_point, hash(ends.client.get(), EVP_sha256()));
    EXPECT_EQ(bindings.tls_unique, "");
    const Ends others = connect(TLS1_3_VERSION);
    EXPECT_NE(bindings_of(others.server.get()).tls_exporter, bindings.tls_exporter);
}

TEST_F(BindingsTest, OfTls12) {
    use(make_certificate(TestKey::rsa_2048));
    const Ends ends = connect(TLS1_2_VERSION);
    const ChannelBindings bindings = bindings_of(ends.server.get());
    EXPECT_EQ(bindings.tls_exporter, exported(ends.client.get()));
    EXPECT_EQ(bindings.tls_server_end_point, hash(ends.client.get(), EVP_sha256()));
    EXPECT_EQ(bindings.tls_unique, finished(ends.client.get(), SSL_get_finished));
}

// Anybody between, with a connection of the same secret to either end, would have the same ones.
TEST_F(BindingsTest, NoneWithoutTheExtendedMasterSecret) {
    use(make_certificate());
    const Ends ends = connect(TLS1_2_VERSION, nullptr, SSL_OP_NO_EXTENDED_MASTER_SECRET);
    const ChannelBindings bindings = bindings_of(ends.server.get());
    EXPECT_FALSE(bindings.any());
    EXPECT_EQ(bindings.tls_exporter + bindings.tls_server_end_point + bindings.tls_unique, "");
}

TEST_F(BindingsTest, OfResumedSessions) {
    use(make_certificate());
    for (bool kept : {false, true}) {
        SCOPED_TRACE(kept);
        if (kept)
            keep_end_point_in_tickets(server_.get());
        for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
            const Ends before = connect(version);
            const Ends ends = connect(version, SSL_get0_session(before.client.get()));
            ASSERT_EQ(SSL_session_reused(ends.server.get()), 1);
            const ChannelBindings bindings = bindings_of(ends.server.get());
            EXPECT_EQ(bindings.tls_exporter, exported(ends.client.get()));
            EXPECT_NE(bindings.tls_exporter, exported(before.client.get()));
            EXPECT_EQ(bindings.tls_server_end_point,
                      kept ? hash(ends.client.get(), EVP_sha256()) : "");
            EXPECT_EQ(bindings.tls_unique,
                      version == TLS1_3_VERSION
                          ? ""
                          : finished(ends.client.get(), SSL_get_peer_finished));
        }
    }
}

// With the certificate that the client knows, whatever the server has by now, and however often it
// comes back with a new ticket.
TEST_F(BindingsTest, OfASessionThatIsResumedUnderAnotherCertificate) {
    keep_end_point_in_tickets(server_.get());
    for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        use(make_certificate());
        const Ends first = connect(version);
        const std::string known = hash(first.client.get(), EVP_sha256());
        use(make_certificate());
        const Ends second = connect(version, SSL_get0_session(first.client.get()));
        const Ends third = connect(version, SSL_get0_session(second.client.get()));
        ASSERT_EQ(SSL_session_reused(third.server.get()), 1);
        EXPECT_EQ(bindings_of(second.server.get()).tls_server_end_point, known);
        EXPECT_EQ(bindings_of(third.server.get()).tls_server_end_point, known);
        const Ends other = connect(version);
        EXPECT_NE(bindings_of(other.server.get()).tls_server_end_point, known);
    }
}

TEST_F(BindingsTest, TheHashFunctionIsThatOfTheSignature) {
    use(make_certificate(TestKey::ed25519));
    const Ends ends = connect(TLS1_3_VERSION);
    const ChannelBindings bindings = bindings_of(ends.server.get());
    EXPECT_EQ(bindings.tls_server_end_point, "") << "it has none";
    EXPECT_TRUE(bindings.any());
}

} // namespace
} // namespace postern::test
