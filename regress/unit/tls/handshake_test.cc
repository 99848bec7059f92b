// Handshakes whose signatures come from elsewhere, against OpenSSL's own client.
#include "common/tls/handshake.h"

#include <gtest/gtest.h>

#include <csignal>
#include <fcntl.h>
#include <openssl/async.h>
#include <openssl/rsa.h>
#include <sys/socket.h>

#include "common/tls/certificate.h"
#include "regress/support/test_certificate.h"

namespace postern::test {
namespace {

// Signs as the keyholder does, but with whatever key it has.
std::string sign_with(EVP_PKEY* key, const ipc::SignQuery& query) {
    using enum ipc::SignatureScheme;
    const int kind = static_cast<int>(query.scheme);
    static const char* digests[] = {"SHA256", "SHA384", "SHA512"};
    EvpDigestContext context(EVP_MD_CTX_new());
    EVP_PKEY_CTX* options = nullptr;
    EVP_DigestSignInit_ex(context.get(), &options, digests[kind % 3], nullptr, nullptr, key,
                          nullptr);
    if (query.scheme >= rsa_pss_sha256 && query.scheme <= rsa_pss_sha512) {
        EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING);
        EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST);
    }
    size_t length = 1024;
    std::string signature(length, '\0');
    EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &length,
                   reinterpret_cast<const unsigned char*>(query.content.data()),
                   query.content.size());
    signature.resize(length);
    return signature;
}

struct Ends {
    Ends() {
        std::signal(SIGPIPE, SIG_IGN); // as every process of ours does
        int ends[2];
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
        server = FileDescriptor(ends[0]);
        client = FileDescriptor(ends[1]);
    }
    FileDescriptor server, client;
};

class HandshakeTest : public testing::Test {
  protected:
    // A server that has the certificate, but not its key.
    SslSession serve(const TestCertificate& own, int fd, int version = 0) {
        SslContext context(SSL_CTX_new(TLS_server_method()));
        if (version)
            SSL_CTX_set_max_proto_version(context.get(), version);
        Result<EvpKey> key = make_remote_key(*X509_get0_pubkey(own.certificate.get()));
        EXPECT_TRUE(key) << key.error().message;
        EXPECT_EQ(SSL_CTX_use_certificate(context.get(), own.certificate.get()), 1);
        EXPECT_EQ(SSL_CTX_use_PrivateKey(context.get(), key->get()), 1);
        SslSession ssl(SSL_new(context.get()));
        SSL_set_fd(ssl.get(), fd);
        SSL_set_accept_state(ssl.get());
        return ssl;
    }
    SslSession connect(const TestCertificate& trusted, int fd) {
        SslContext context(SSL_CTX_new(TLS_client_method()));
        X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), trusted.certificate.get());
        SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
        SslSession ssl(SSL_new(context.get()));
        SSL_set_fd(ssl.get(), fd);
        SSL_set_connect_state(ssl.get());
        SSL_set1_host(ssl.get(), "mx.test.example");
        SSL_set_tlsext_host_name(ssl.get(), "mx.test.example");
        return ssl;
    }
    // Both ends in turn, until the server is done, fails, or wants a signature.
    static TlsStep run(TlsHandshake& server, SSL* client) {
        for (int round = 0; round < 20; ++round) {
            SSL_do_handshake(client);
            const TlsStep step = server.step();
            if (step != TlsStep::needs_input && step != TlsStep::needs_output)
                return step;
        }
        return TlsStep::needs_input;
    }
};

TEST_F(HandshakeTest, EveryKindOfKeyInEveryVersion) {
    struct Row {
        TestKey kind;
        int version;
        const char* protocol;
        ipc::SignatureScheme scheme;
    } rows[] = {
        {TestKey::rsa_2048, TLS1_2_VERSION, "TLSv1.2", ipc::SignatureScheme::rsa_pss_sha256},
        {TestKey::rsa_2048, TLS1_3_VERSION, "TLSv1.3", ipc::SignatureScheme::rsa_pss_sha256},
        {TestKey::p256, TLS1_2_VERSION, "TLSv1.2", ipc::SignatureScheme::ecdsa_sha256},
        {TestKey::p256, TLS1_3_VERSION, "TLSv1.3", ipc::SignatureScheme::ecdsa_sha256},
        {TestKey::p384, TLS1_3_VERSION, "TLSv1.3", ipc::SignatureScheme::ecdsa_sha384},
    };
    for (const Row& row : rows) {
        const TestCertificate own = make_certificate(row.kind);
        Ends ends;
        TlsHandshake server(serve(own, ends.server.get(), row.version));
        SslSession client = connect(own, ends.client.get());
        ASSERT_EQ(run(server, client.get()), TlsStep::needs_signature) << server.error().message;
        EXPECT_EQ(server.signature_query().key_id, key_id_of(*own.key));
        EXPECT_EQ(server.signature_query().scheme, row.scheme);
        server.provide(sign_with(own.key.get(), server.signature_query()));
        ASSERT_EQ(run(server, client.get()), TlsStep::done) << server.error().message;
        EXPECT_EQ(SSL_get_verify_result(client.get()), X509_V_OK);
        EXPECT_EQ(server.facts().protocol, row.protocol);
        EXPECT_TRUE(server.facts().cipher.starts_with("TLS_")) << server.facts().cipher;
        EXPECT_EQ(server.facts().server_name, "mx.test.example");
        EXPECT_FALSE(server.facts().resumed);
    }
}

TEST_F(HandshakeTest, AnOldClientGetsItsPkcs1Signature) {
    const TestCertificate own = make_certificate(TestKey::rsa_2048);
    Ends ends;
    TlsHandshake server(serve(own, ends.server.get(), TLS1_2_VERSION));
    SslSession client = connect(own, ends.client.get());
    SSL_set1_sigalgs_list(client.get(), "RSA+SHA512");
    ASSERT_EQ(run(server, client.get()), TlsStep::needs_signature) << server.error().message;
    EXPECT_EQ(server.signature_query().scheme, ipc::SignatureScheme::rsa_pkcs1_sha512);
    server.provide(sign_with(own.key.get(), server.signature_query()));
    EXPECT_EQ(run(server, client.get()), TlsStep::done) << server.error().message;
}

TEST_F(HandshakeTest, WithoutASignatureItFails) {
    const TestCertificate own = make_certificate();
    Ends ends;
    TlsHandshake server(serve(own, ends.server.get()));
    SslSession client = connect(own, ends.client.get());
    ASSERT_EQ(run(server, client.get()), TlsStep::needs_signature);
    server.provide("");
    EXPECT_EQ(run(server, client.get()), TlsStep::failed);
    EXPECT_FALSE(server.error().message.empty());
}

TEST_F(HandshakeTest, ASignatureOfAnotherKeyIsTheClientsToRefuse) {
    const TestCertificate own = make_certificate(), other = make_certificate();
    Ends ends;
    TlsHandshake server(serve(own, ends.server.get(), TLS1_2_VERSION));
    SslSession client = connect(own, ends.client.get());
    ASSERT_EQ(run(server, client.get()), TlsStep::needs_signature);
    server.provide(sign_with(other.key.get(), server.signature_query()));
    EXPECT_EQ(run(server, client.get()), TlsStep::failed);
}

TEST_F(HandshakeTest, OneThatIsGivenUpLeavesNoJobBehind) {
    const TestCertificate own = make_certificate();
    // Room for one paused job: a second one is possible only if the first has ended.
    ASYNC_init_thread(1, 0);
    for (int i = 0; i < 3; ++i) {
        Ends ends;
        TlsHandshake server(serve(own, ends.server.get()));
        SslSession client = connect(own, ends.client.get());
        ASSERT_EQ(run(server, client.get()), TlsStep::needs_signature) << i;
        Ends others;
        TlsHandshake second(serve(own, others.server.get()));
        SslSession another = connect(own, others.client.get());
        EXPECT_EQ(run(second, another.get()), TlsStep::needs_turn);
    }
    ASYNC_cleanup_thread();
}

TEST_F(HandshakeTest, WhatIsNoTlsFailsWithAReason) {
    const TestCertificate own = make_certificate();
    Ends ends;
    TlsHandshake server(serve(own, ends.server.get()));
    ASSERT_EQ(write(ends.client.get(), "EHLO client.example\r\n", 21), 21);
    EXPECT_EQ(server.step(), TlsStep::failed);
    EXPECT_TRUE(server.error().message.starts_with("TLS: ")) << server.error().message;
    Ends gone;
    TlsHandshake lonely(serve(own, gone.server.get()));
    gone.client.reset();
    EXPECT_EQ(lonely.step(), TlsStep::failed);
    EXPECT_EQ(lonely.error().message, "the peer closed the connection");
}

} // namespace
} // namespace postern::test
