// The client's side of TLS: over real sockets, against OpenSSL's server in a thread.
#include "common/tls/client.h"

#include <gtest/gtest.h>

#include <csignal>
#include <fcntl.h>
#include <functional>
#include <openssl/sha.h>
#include <sys/socket.h>
#include <thread>

#include "common/tls/bindings.h"
#include "common/tls/connect.h"
#include "regress/support/test_certificate.h"

namespace postern::test {
namespace {

using namespace std::chrono_literals;

constexpr const char* host = "mx.test.example";

// "3 1 1" of a key, "2 0 1" of a certificate.
std::string tlsa(int usage, const TestCertificate& of, bool wrong = false) {
    unsigned char* der = nullptr;
    const int length =
        usage == 3 ? i2d_PUBKEY(of.key.get(), &der) : i2d_X509(of.certificate.get(), &der);
    std::string digest(SHA256_DIGEST_LENGTH, '\0');
    SHA256(der, static_cast<size_t>(length), reinterpret_cast<unsigned char*>(digest.data()));
    OPENSSL_free(der);
    digest[0] = static_cast<char>(digest[0] ^ (wrong ? 1 : 0));
    return std::string{static_cast<char>(usage), usage == 3 ? '\1' : '\0', '\1'} + digest;
}

TlsDemand certified(std::string name = host) {
    TlsDemand demand;
    demand.proof = TlsProof::certificate;
    demand.names = {std::move(name)};
    demand.authority = "lab";
    return demand;
}

TlsDemand dane(std::vector<std::string> records, std::vector<std::string> names = {host}) {
    TlsDemand demand;
    demand.proof = TlsProof::dane;
    demand.names = std::move(names);
    demand.tlsa = std::move(records);
    return demand;
}

class ClientTest : public testing::Test {
  public:
    ClientTest() {
        std::signal(SIGPIPE, SIG_IGN); // as every process of ours does
        CertificateOptions as_authority;
        as_authority.names = {"authority.example"};
        as_authority.authority = true;
        authority = make_certificate(TestKey::p256, as_authority);
        CertificateOptions options;
        options.issuer = &authority;
        use(make_certificate(TestKey::p256, options));
        client.emplace(TlsAuthorities{"", {{"lab", authority.certificate_pem()}}});
    }
    ~ClientTest() override { join(); }

    // The server's certificate from now on; its tickets are good as long.
    void use(TestCertificate certificate, bool with_authority = true) {
        own = std::move(certificate);
        server.reset(SSL_CTX_new(TLS_server_method()));
        SSL_CTX_set_security_level(server.get(), 0);
        SSL_CTX_use_certificate(server.get(), own.certificate.get());
        SSL_CTX_use_PrivateKey(server.get(), own.key.get());
        if (with_authority)
            SSL_CTX_add1_chain_cert(server.get(), authority.certificate.get());
    }
    void join() {
        stream.reset();
        if (thread.joinable())
            thread.join();
    }
    // A new connection; what its server does, blocking, in a thread of its own.
    void serve(std::function<void(int fd)> part) {
        join();
        int ends[2];
        ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        fcntl(ends[0], F_SETFL, fcntl(ends[0], F_GETFL) | O_NONBLOCK);
        stream = std::make_unique<SocketStream>(loop, FileDescriptor(ends[0]));
        thread = std::thread([fd = ends[1], part = std::move(part)] {
            part(fd);
            close(fd);
        });
    }
    SslSession accept(int fd) {
        SslSession ssl(SSL_new(server.get()));
        SSL_set_fd(ssl.get(), fd);
        return SSL_accept(ssl.get()) == 1 ? std::move(ssl) : SslSession();
    }
    // Accepts, says hello, and waits for the end.
    void serve_hello() {
        serve([this](int fd) {
            SslSession ssl = accept(fd);
            if (!ssl)
                return;
            const char* name = SSL_get_servername(ssl.get(), TLSEXT_NAMETYPE_host_name);
            told = name ? name : "";
            SSL_write(ssl.get(), "220 hello\r\n", 11);
            char buffer[64];
            ended_well = SSL_read(ssl.get(), buffer, sizeof buffer) == 0 &&
                         (SSL_get_shutdown(ssl.get()) & SSL_RECEIVED_SHUTDOWN) != 0;
        });
    }
    void run(Task<void> task) {
        tasks.spawn([](EventLoop& loop, Task<void> task) -> Task<void> {
            co_await std::move(task);
            loop.stop();
        }(loop, std::move(task)));
        loop.run();
    }
    Task<void> shake(TlsDemand demand, Duration limit) {
        Result<SslSession> ssl = client->begin(demand);
        if (!ssl) {
            outcome = "impossible: " + ssl.error().message;
            co_return;
        }
        Result<TlsFacts> done = co_await connect_tls(*stream, std::move(*ssl), limit);
        static constexpr const char* proofs[] = {"none", "certificate", "dane"};
        outcome = done ? proofs[static_cast<size_t>(done->proof)] : done.error().message;
        if (!done)
            co_return;
        facts = *done;
        Line line = co_await stream->read_line(512, 5s);
        heard = line.text;
    }
    // The proof, or what went wrong.
    std::string connect(TlsDemand demand, Duration limit = 5s) {
        facts = {};
        heard.clear();
        run(shake(std::move(demand), limit));
        join();
        return outcome;
    }

    EventLoop loop;
    TestCertificate authority;
    TestCertificate own;
    SslContext server;
    std::optional<TlsClient> client;
    std::unique_ptr<SocketStream> stream;
    std::thread thread;
    TaskGroup tasks;
    std::string told; // to the server
    bool ended_well = false;
    TlsFacts facts;
    std::string heard;
    std::string outcome;
};

// RFC 9266: both ends have the same, and no other connection has it.
TEST_F(ClientTest, KnowsTheChannelBinding) {
    std::string servers, before;
    for (const int version : {TLS1_3_VERSION, TLS1_2_VERSION}) {
        SSL_CTX_set_max_proto_version(server.get(), version);
        serve([&](int fd) {
            SslSession ssl = accept(fd);
            if (!ssl)
                return;
            servers = bindings_of(ssl.get()).tls_exporter;
            SSL_write(ssl.get(), "220 hello\r\n", 11);
        });
        EXPECT_EQ(connect(certified()), "certificate");
        EXPECT_EQ(facts.bindings.tls_exporter.size(), 32u);
        EXPECT_EQ(facts.bindings.tls_exporter, servers);
        EXPECT_NE(std::exchange(before, servers), servers);
        EXPECT_EQ(facts.bindings.tls_unique, "");
    }
}

TEST_F(ClientTest, EncryptsWithoutAskingWhoItIs) {
    use(make_certificate(), false); // signed by itself, in nobody's name
    serve_hello();
    TlsDemand demand;
    demand.server_name = "smtp.other.example";
    EXPECT_EQ(connect(demand), "none");
    EXPECT_EQ(facts.protocol, "TLSv1.3");
    EXPECT_EQ(facts.cipher, "TLS_AES_256_GCM_SHA384");
    EXPECT_EQ(facts.client_subject, "");
    EXPECT_EQ(told, "smtp.other.example");
    EXPECT_EQ(heard, "220 hello");
    EXPECT_TRUE(ended_well);
}

// What has only weak keys is still better than nothing, where nobody asks who it is.
TEST_F(ClientTest, WeakKeysWillDoWithoutProof) {
    use(make_certificate(TestKey::rsa_1024), false);
    serve_hello();
    EXPECT_EQ(connect(TlsDemand()), "none");
    client.emplace(TlsAuthorities{"", {{"lab", own.certificate_pem()}}});
    serve_hello();
    EXPECT_NE(connect(certified()), "certificate");
}

TEST_F(ClientTest, Versions) {
    for (int version : {TLS1_1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION}) {
        for (int wanted : {0, TLS1_2_VERSION, TLS1_3_VERSION}) {
            SSL_CTX_set_min_proto_version(server.get(), TLS1_VERSION);
            SSL_CTX_set_max_proto_version(server.get(), version);
            TlsDemand demand;
            demand.tls_1_2 = wanted != TLS1_3_VERSION;
            demand.tls_1_3 = wanted != TLS1_2_VERSION;
            const bool possible = version != TLS1_1_VERSION && (wanted == 0 || wanted <= version);
            serve_hello();
            EXPECT_EQ(connect(demand) == "none", possible) << outcome;
            if (possible) {
                EXPECT_EQ(facts.protocol,
                          std::min(version, wanted ? wanted : version) == TLS1_3_VERSION
                              ? "TLSv1.3"
                              : "TLSv1.2");
            }
        }
    }
}

TEST_F(ClientTest, KeyExchangeHasForwardSecrecy) {
    use(make_certificate(TestKey::rsa_2048), false);
    SSL_CTX_set_max_proto_version(server.get(), TLS1_2_VERSION);
    for (const char* list : {"kRSA", "kDHE"}) {
        SSL_CTX_set_cipher_list(server.get(), list);
        serve_hello();
        EXPECT_NE(connect(TlsDemand()), "none") << list;
    }
    SSL_CTX_set_cipher_list(server.get(), "kECDHE");
    serve_hello();
    EXPECT_EQ(connect(TlsDemand()), "none");
    EXPECT_EQ(facts.cipher, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384");
}

TEST_F(ClientTest, Certificates) {
    struct Row {
        const char* what;
        std::vector<std::string> names;
        bool by_authority;
        long valid_until;
        bool alternative_names;
        const char* wanted;
        bool good;
    };
    const Row rows[] = {
        {"its own name", {host}, true, 3600, true, host, true},
        {"another case", {"MX.test.Example"}, true, 3600, true, host, true},
        {"one of several", {"a.example", host}, true, 3600, true, host, true},
        {"a whole label", {"*.test.example"}, true, 3600, true, host, true},
        {"an address", {"a.example"}, true, 3600, true, "192.0.2.1", true},
        {"another address", {"a.example"}, true, 3600, true, "192.0.2.2", false},
        {"an address as a name", {"192.0.2.9"}, true, 3600, true, "192.0.2.9", false},
        {"part of a label", {"m*.test.example"}, true, 3600, true, host, false},
        {"two labels", {"*.example"}, true, 3600, true, host, false},
        {"another name", {"mx2.test.example"}, true, 3600, true, host, false},
        {"a common name alone", {host}, true, 3600, false, host, false},
        {"a name behind a NUL that is not there",
         {"mx.test.example.evil"},
         true,
         3600,
         true,
         host,
         false},
        {"its time is over", {host}, true, -60, true, host, false},
        {"nobody vouches for it", {host}, false, 3600, true, host, false},
    };
    for (const Row& row : rows) {
        CertificateOptions options;
        options.names = row.names;
        options.addresses = {"192.0.2.1"};
        options.issuer = row.by_authority ? &authority : nullptr;
        options.valid_until = row.valid_until;
        options.alternative_names = row.alternative_names;
        use(make_certificate(TestKey::p256, options));
        serve_hello();
        EXPECT_EQ(connect(certified(row.wanted)) == "certificate", row.good)
            << row.what << ": " << outcome;
        if (!row.good) {
            EXPECT_EQ(heard, "") << row.what;
        }
    }
}

TEST_F(ClientTest, SaysWhyACertificateIsNotTrusted) {
    serve_hello();
    EXPECT_EQ(connect(certified("other.example")),
              "TLS: certificate verify failed (hostname mismatch)");
    use(make_certificate(), false);
    serve_hello();
    EXPECT_EQ(connect(certified()), "TLS: certificate verify failed (self-signed certificate)");
}

TEST_F(ClientTest, DemandsThatNobodyCanMeet) {
    serve([](int) {});
    TlsDemand demand = certified();
    demand.authority.clear();
    EXPECT_EQ(connect(demand), "impossible: there are no certificates of authorities to verify by");
    serve([](int) {});
    demand.authority = "other";
    EXPECT_EQ(connect(demand), "impossible: there is no ca other");
    serve([](int) {});
    demand = certified();
    demand.names.clear();
    EXPECT_EQ(connect(demand).substr(0, 46), "impossible: the name of the server cannot be v");
    serve([](int) {});
    EXPECT_EQ(connect(dane({})), "impossible: TLSA records cannot be used");
}

TEST_F(ClientTest, ZonesVouchForKeys) {
    CertificateOptions expired;
    expired.names = {"nobody.example"};
    expired.valid_until = -60;
    TestCertificate other = make_certificate(TestKey::p256, expired);
    use(std::move(other), false);
    serve_hello(); // RFC 7672 3.1.1: neither name nor date count
    EXPECT_EQ(connect(dane({tlsa(3, own)})), "dane");
    serve_hello();
    EXPECT_EQ(connect(dane({tlsa(3, own, true), tlsa(3, own)})), "dane") << "one of them is enough";
    serve_hello();
    EXPECT_EQ(connect(dane({tlsa(3, own, true)})),
              "TLS: certificate verify failed (no matching DANE TLSA records)");
}

TEST_F(ClientTest, ZonesVouchForAuthorities) {
    serve_hello();
    EXPECT_EQ(connect(dane({tlsa(2, authority)})), "dane");
    serve_hello(); // RFC 7672 3.1.2: here the name counts
    EXPECT_NE(connect(dane({tlsa(2, authority)}, {"other.example"})), "dane");
    serve_hello(); // the domain of the mail will do as well (3.2.2)
    EXPECT_EQ(connect(dane({tlsa(2, authority)}, {"other.example", host})), "dane");
    serve_hello();
    EXPECT_NE(connect(dane({tlsa(2, authority, true)})), "dane");
    CertificateOptions expired;
    expired.issuer = &authority;
    expired.valid_until = -60;
    use(make_certificate(TestKey::p256, expired));
    serve_hello();
    EXPECT_NE(connect(dane({tlsa(2, authority)})), "dane");
}

TEST_F(ClientTest, ASessionThatFailsIsNotTriedAgain) {
    SSL_CTX_set_max_proto_version(server.get(), TLS1_2_VERSION);
    TlsDemand demand = certified();
    demand.peer = "192.0.2.1:25";
    serve_hello();
    EXPECT_EQ(connect(demand), "certificate");
    EXPECT_EQ(client->sessions(), 1u);
    serve([](int) {}); // without a word
    EXPECT_NE(connect(demand), "certificate");
    EXPECT_EQ(client->sessions(), 0u);
}

TEST_F(ClientTest, SessionsAreResumedOnEqualTermsOnly) {
    for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        SSL_CTX_set_max_proto_version(server.get(), version);
        client.emplace(TlsAuthorities{
            "", {{"lab", authority.certificate_pem()}, {"lab2", authority.certificate_pem()}}});
        TlsDemand demand = certified();
        demand.peer = "192.0.2.1:25";
        for (bool resumed : {false, true, true}) {
            serve_hello();
            EXPECT_EQ(connect(demand), "certificate");
            EXPECT_EQ(facts.resumed, resumed);
            EXPECT_EQ(heard, "220 hello"); // it came in one piece with the tickets
        }
        EXPECT_EQ(client->sessions(), 1u);
        TlsDemand others[] = {demand, demand, demand, demand, demand};
        others[0].peer = "192.0.2.2:25";
        others[1].proof = TlsProof::none;
        others[2].authority = "lab2";
        others[3].server_name = "other.example";
        others[4].peer = "";
        for (const TlsDemand& other : others) {
            serve_hello();
            connect(other);
            EXPECT_FALSE(facts.resumed);
            EXPECT_EQ(heard, "220 hello");
        }
        EXPECT_EQ(client->sessions(), 5u);
        // A name that the certificate is not for, at the same peer.
        TlsDemand stranger = demand;
        stranger.names = {"other.example"};
        serve_hello();
        EXPECT_NE(connect(stranger), "certificate");
    }
}

TEST_F(ClientTest, SessionsAreBounded) {
    SSL_CTX_set_num_tickets(server.get(), 1);
    for (size_t i = 0; i < ClientSessions::limit + 3; ++i) {
        TlsDemand demand;
        demand.peer = std::to_string(i);
        serve_hello();
        ASSERT_EQ(connect(demand), "none");
    }
    EXPECT_EQ(client->sessions(), ClientSessions::limit);
}

TEST_F(ClientTest, AConnectionOutlivesTheClient) {
    serve_hello();
    TlsDemand demand;
    demand.peer = "192.0.2.1:25";
    Result<SslSession> ssl = client->begin(demand);
    ASSERT_TRUE(ssl);
    client.reset();
    run([](ClientTest& t, SslSession ssl) -> Task<void> {
        Result<TlsFacts> done = co_await connect_tls(*t.stream, std::move(ssl), 5s);
        EXPECT_TRUE(done);
        Line line = co_await t.stream->read_line(512, 5s);
        t.heard = line.text;
    }(*this, std::move(*ssl)));
    EXPECT_EQ(heard, "220 hello");
}

// Nobody has the key of our certificate now: that is not the server's fault.
TEST_F(ClientTest, WhatIsNotSignedIsOurTrouble) {
    client.emplace(TlsAuthorities{"", {{"lab", authority.certificate_pem()}}},
                   TlsCertificates{{"ours", own.certificate_pem()}});
    SSL_CTX_set_verify(server.get(), SSL_VERIFY_PEER, nullptr);
    TlsDemand demand = certified();
    demand.certificate = "ours";
    serve([this](int fd) { accept(fd); });
    EXPECT_EQ(connect(demand), "there is no signature of the key of our certificate");
}

TEST_F(ClientTest, ServersThatMisbehave) {
    struct Row {
        const char* what;
        std::function<void(int fd)> part;
        const char* error;
    };
    const auto wait_for_end = [](int fd) {
        char buffer[4096];
        while (read(fd, buffer, sizeof buffer) > 0)
            ;
    };
    const Row rows[] = {
        {"silence", wait_for_end, "the server kept the handshake waiting"},
        {"the end",
         [](int fd) {
             shutdown(fd, SHUT_WR);
             char buffer[4096];
             while (read(fd, buffer, sizeof buffer) > 0)
                 ;
         },
         "the peer closed the connection"},
        {"plain text",
         [=](int fd) {
             ASSERT_EQ(write(fd, "250 injected\r\n", 14), 14);
             wait_for_end(fd);
         },
         "TLS: wrong version number"},
    };
    for (const Row& row : rows) {
        serve(row.part);
        EXPECT_EQ(connect(TlsDemand(), 300ms).substr(0, 40), std::string(row.error).substr(0, 40))
            << row.what;
    }
}

} // namespace
} // namespace postern::test
