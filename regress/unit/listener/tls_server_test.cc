// Which certificate a client gets, what it has to prove, and how it comes back: against OpenSSL's
// own client, with the keys at hand.
#include "smtpd/listener/tls_server.h"

#include <gtest/gtest.h>

#include <map>
#include <openssl/rsa.h>
#include <sys/socket.h>

#include "common/tls/certificate.h"
#include "regress/support/test_certificate.h"
#include "smtpd/keyholder/ticket_keys.h"

namespace postern::listener::test {
namespace {

using postern::test::make_certificate;
using postern::test::TestCertificate;
using postern::test::TestKey;
using SslTicket = std::unique_ptr<SSL_SESSION, OpensslDeleter<SSL_SESSION_free>>;

ipc::TicketKey ticket_key(char seed) {
    return {std::string(16, seed), std::string(32, seed), std::string(32, seed)};
}

class TlsServerTest : public testing::Test {
  protected:
    TlsServerTest() {
        add("mx", mx);
        add("mx-rsa", mx_rsa);
        add("other", other);
        settings.authorities.push_back({"staff", {authority.certificate_pem()}});
        options.mode = TlsMode::offered;
        options.pkis = {"mx", "mx-rsa", "other"};
        tickets.set({{ticket_key('a')}});
    }
    void add(const char* name, const TestCertificate& own) {
        settings.pkis.push_back({name, {own.certificate_pem()}});
        keys[key_id_of(*own.key)] = own.key.get();
    }
    std::shared_ptr<TlsServer> make() {
        auto server = TlsServer::make(options, settings, tickets);
        EXPECT_TRUE(server) << server.error().message;
        return server ? *server : nullptr;
    }
    std::string sign(const ipc::SignQuery& query) {
        EvpDigestContext context(EVP_MD_CTX_new());
        EVP_PKEY_CTX* choice = nullptr;
        EVP_DigestSignInit_ex(context.get(), &choice, "SHA256", nullptr, nullptr,
                              keys.at(query.key_id), nullptr);
        if (query.scheme == ipc::SignatureScheme::rsa_pss_sha256) {
            EVP_PKEY_CTX_set_rsa_padding(choice, RSA_PKCS1_PSS_PADDING);
            EVP_PKEY_CTX_set_rsa_pss_saltlen(choice, RSA_PSS_SALTLEN_DIGEST);
        }
        size_t length = 1024;
        std::string signature(length, '\0');
        EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &length,
                       reinterpret_cast<const unsigned char*>(query.content.data()),
                       query.content.size());
        signature.resize(length);
        return signature;
    }

    struct Outcome {
        bool done = false;
        TlsFacts facts;
        std::string error; // of the server
        std::string name;  // in the certificate that the client got
        bool rsa = false;  // its key
        SslTicket ticket;  // to come back with
    };
    using Prepare = std::function<void(SSL*)>;

    // A handshake from beginning to end.
    Outcome meet(
        const TlsServer& server, const Prepare& prepare = [](SSL*) {}) {
        int ends[2];
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
        FileDescriptor ours(ends[0]), theirs(ends[1]);
        SslContext context(SSL_CTX_new(TLS_client_method()));
        SslSession client(SSL_new(context.get()));
        SSL_set_fd(client.get(), theirs.get());
        SSL_set_connect_state(client.get());
        prepare(client.get());
        SslSession ssl = server.new_session();
        SSL_set_fd(ssl.get(), ours.get());
        SSL_set_accept_state(ssl.get());
        TlsHandshake handshake(std::move(ssl));
        Outcome outcome;
        for (int round = 0; round < 20 && !outcome.done && outcome.error.empty(); ++round) {
            SSL_do_handshake(client.get());
            switch (handshake.step()) {
            case TlsStep::done:
                outcome.done = true;
                outcome.facts = handshake.facts();
                break;
            case TlsStep::needs_signature:
                ++signatures;
                handshake.provide(sign(handshake.signature_query()));
                break;
            case TlsStep::failed:
                outcome.error = handshake.error().message;
                break;
            default:
                break;
            }
        }
        char byte;
        SSL_do_handshake(client.get());
        SSL_read(client.get(), &byte, 1); // takes in the ticket
        if (const X509* certificate = SSL_get0_peer_certificate(client.get())) {
            outcome.name = names_of(*certificate).front();
            outcome.rsa = kind_of(*X509_get0_pubkey(certificate)) == KeyKind::rsa;
        }
        outcome.ticket.reset(SSL_get1_session(client.get()));
        // A session that ended any other way is not to be resumed.
        SSL_set_shutdown(client.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        return outcome;
    }
    static Prepare asking_for(const char* name) {
        return [name](SSL* client) { SSL_set_tlsext_host_name(client, name); };
    }

    TestCertificate mx = make_certificate();
    TestCertificate mx_rsa = make_certificate(TestKey::rsa_2048);
    TestCertificate other = make_certificate(TestKey::p256, {.names = {"*.other.example"}});
    TestCertificate authority =
        make_certificate(TestKey::p256, {.names = {"ca.test.example"}, .authority = true});
    ipc::ListenerSettings settings;
    TlsOptions options;
    SessionTickets tickets;
    std::map<std::string, EVP_PKEY*> keys;
    int signatures = 0;
};

TEST_F(TlsServerTest, TheCertificateIsChosenByTheNameThatTheClientAsksFor) {
    const auto server = make();
    struct Row {
        const char* asked;
        const char* got;
    } rows[] = {
        {"mx.test.example", "mx.test.example"},
        {"a.other.example", "*.other.example"},
        {"A.OTHER.example", "*.other.example"},
        {"a.b.other.example", "mx.test.example"}, // a wildcard is one label
        {"nobody.example", "mx.test.example"},    // the first, and the client decides
    };
    for (const Row& row : rows)
        EXPECT_EQ(meet(*server, asking_for(row.asked)).name, row.got) << row.asked;
    EXPECT_EQ(meet(*server).name, "mx.test.example") << "without a name";
}

TEST_F(TlsServerTest, ClientsThatKnowOnlyRsaGetTheRsaCertificateOfTheSameName) {
    const auto server = make();
    Outcome modern = meet(*server, asking_for("mx.test.example"));
    EXPECT_TRUE(modern.done) << modern.error;
    EXPECT_FALSE(modern.rsa);
    Outcome old = meet(*server, [](SSL* client) {
        SSL_set_tlsext_host_name(client, "mx.test.example");
        SSL_set1_sigalgs_list(client, "RSA-PSS+SHA256");
        SSL_set_max_proto_version(client, TLS1_2_VERSION);
    });
    EXPECT_TRUE(old.done) << old.error;
    EXPECT_TRUE(old.rsa);
}

TEST_F(TlsServerTest, ASessionIsResumedByAnotherListenerWithTheSameTicketKeys) {
    const auto server = make();
    SessionTickets elsewhere;
    elsewhere.set({{ticket_key('b'), ticket_key('a')}}); // the keys have been rotated meanwhile
    const auto another = *TlsServer::make(options, settings, elsewhere);
    for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        Outcome first =
            meet(*server, [version](SSL* client) { SSL_set_max_proto_version(client, version); });
        ASSERT_TRUE(first.done) << first.error;
        EXPECT_FALSE(first.facts.resumed);
        signatures = 0;
        Outcome second = meet(*another, [&](SSL* client) {
            SSL_set_max_proto_version(client, version);
            SSL_set_session(client, first.ticket.get());
        });
        ASSERT_TRUE(second.done) << second.error;
        EXPECT_TRUE(second.facts.resumed);
        EXPECT_EQ(signatures, 0) << "the keyholder has nothing to do";
    }
}

TEST_F(TlsServerTest, ATicketOfAForgottenKeyLeadsToAFullHandshake) {
    const auto server = make();
    Outcome first = meet(*server);
    tickets.set({{ticket_key('c'), ticket_key('b')}});
    Outcome second =
        meet(*server, [&](SSL* client) { SSL_set_session(client, first.ticket.get()); });
    ASSERT_TRUE(second.done) << second.error;
    EXPECT_FALSE(second.facts.resumed);
}

// A session that began where nobody is asked for a certificate proves nothing where one is
// demanded.
TEST_F(TlsServerTest, ATicketIsGoodOnlyWhereClientsProveTheSame) {
    const auto asking_nobody = make();
    options.authority = "staff";
    options.verify = true;
    const auto demanding = make();
    const Outcome first = meet(*asking_nobody);
    ASSERT_TRUE(first.done) << first.error;
    for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        Outcome ticket =
            meet(*asking_nobody, [&](SSL* client) { SSL_set_max_proto_version(client, version); });
        EXPECT_FALSE(meet(*demanding, [&](SSL* client) {
                         SSL_set_max_proto_version(client, version);
                         SSL_set_session(client, ticket.ticket.get());
                     }).done);
    }
}

TEST_F(TlsServerTest, KeysOfAnotherShapeAreNotTaken) {
    SessionTickets empty;
    EXPECT_FALSE(empty.usable());
    ipc::TicketKey bad = ticket_key('x');
    bad.encryption.resize(16);
    empty.set({{bad}});
    EXPECT_FALSE(empty.usable());
    // The former ones stay when nothing good comes.
    tickets.set({{bad}});
    EXPECT_TRUE(tickets.usable());
}

TEST_F(TlsServerTest, ClientsProveWhoTheyAreWhereTheyMust) {
    const TestCertificate known =
        make_certificate(TestKey::p256, {.names = {"client.example"}, .issuer = &authority});
    const TestCertificate unknown = make_certificate(TestKey::p256, {.names = {"evil.example"}});
    const auto with = [](const TestCertificate& own) -> Prepare {
        return [&own](SSL* client) {
            SSL_use_certificate(client, own.certificate.get());
            SSL_use_PrivateKey(client, own.key.get());
        };
    };
    options.authority = "staff";
    const auto asking = make();
    options.verify = true;
    const auto demanding = make();

    EXPECT_EQ(meet(*asking, with(known)).facts.client_subject, "CN=client.example");
    EXPECT_EQ(meet(*demanding, with(known)).facts.client_subject, "CN=client.example");
    Outcome stranger = meet(*asking, with(unknown));
    EXPECT_TRUE(stranger.done) << stranger.error;
    EXPECT_EQ(stranger.facts.client_subject, "");
    EXPECT_FALSE(meet(*demanding, with(unknown)).done);
    EXPECT_NE(meet(*demanding, with(unknown)).error.find("self-signed"), std::string::npos);
    EXPECT_TRUE(meet(*asking).done);
    EXPECT_FALSE(meet(*demanding).done);
}

TEST_F(TlsServerTest, VersionsAndCiphersAreThoseOfTheConfiguration) {
    const auto limited = [](int version) -> Prepare {
        return [version](SSL* client) { SSL_set_max_proto_version(client, version); };
    };
    options.tls_1_2 = false;
    const auto modern = make();
    EXPECT_EQ(meet(*modern).facts.protocol, "TLSv1.3");
    EXPECT_FALSE(meet(*modern, limited(TLS1_2_VERSION)).done);
    options.tls_1_2 = true;
    options.tls_1_3 = false;
    options.ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384";
    const auto old = make();
    EXPECT_EQ(meet(*old).facts.protocol, "TLSv1.2");
    EXPECT_EQ(meet(*old).facts.cipher, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384");
    EXPECT_FALSE(meet(*old, limited(TLS1_1_VERSION)).done);
    options.ciphers = "NO-SUCH-CIPHER";
    EXPECT_FALSE(TlsServer::make(options, settings, tickets).ok());
}

TEST_F(TlsServerTest, NobodyIsServedByKeyExchangeWithRsa) {
    options.pkis = {"mx-rsa"};
    options.ciphers = "ALL";
    const auto server = make();
    Outcome outcome = meet(*server, [](SSL* client) {
        SSL_set_max_proto_version(client, TLS1_2_VERSION);
        SSL_set_cipher_list(client, "AES128-GCM-SHA256");
    });
    EXPECT_FALSE(outcome.done);
}

// A third of a second of ours for each of these: whoever wants nothing else goes away.
TEST_F(TlsServerTest, NobodyIsServedInFiniteFields) {
    options.pkis = {"mx-rsa"};
    options.ciphers = "ALL";
    const auto server = make();
    EXPECT_FALSE(meet(*server, [](SSL* client) {
                     SSL_set_max_proto_version(client, TLS1_2_VERSION);
                     SSL_set_cipher_list(client, "DHE-RSA-AES128-GCM-SHA256");
                 }).done);
    EXPECT_FALSE(
        meet(*server, [](SSL* client) { SSL_set1_groups_list(client, "ffdhe2048"); }).done);
}

TEST_F(TlsServerTest, WhereClientsMustProveWhoTheyAreTheyDoSoEachTime) {
    const TestCertificate known =
        make_certificate(TestKey::p256, {.names = {"client.example"}, .issuer = &authority});
    options.authority = "staff";
    options.verify = true;
    const auto demanding = make();
    for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        const Prepare prove = [&](SSL* client) {
            SSL_set_max_proto_version(client, version);
            SSL_use_certificate(client, known.certificate.get());
            SSL_use_PrivateKey(client, known.key.get());
        };
        const Outcome first = meet(*demanding, prove);
        ASSERT_TRUE(first.done) << first.error;
        const Outcome second = meet(*demanding, [&](SSL* client) {
            prove(client);
            SSL_set_session(client, first.ticket.get());
        });
        EXPECT_TRUE(second.done) << second.error;
        EXPECT_FALSE(second.facts.resumed);
    }
}

} // namespace
} // namespace postern::listener::test
