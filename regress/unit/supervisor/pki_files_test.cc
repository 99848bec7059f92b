// Certificates and keys on disk: which are taken, and what is said of the others.
#include "smtpd/supervisor/pki_files.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sys/stat.h>

#include "common/process/process.h"
#include "regress/support/test_certificate.h"

namespace postern {
namespace {

using test::make_certificate;
using test::TestCertificate;
using test::TestKey;

// For reading a file line by line with an iterator.
struct Line : std::string {
    friend std::istream& operator>>(std::istream& in, Line& line) { return std::getline(in, line); }
};

class PkiFilesTest : public testing::Test {
  protected:
    PkiFilesTest() {
        char name[] = "/tmp/postern-test-XXXXXX";
        folder = mkdtemp(name);
        pki.certificate = folder + "/cert.pem";
        pki.key = folder + "/key.pem";
        pki.line = 3;
        write(own);
    }
    ~PkiFilesTest() override { std::filesystem::remove_all(folder); }

    void put(const std::string& path, const std::string& text, mode_t mode = 0600) {
        std::ofstream(path) << text;
        chmod(path.c_str(), mode);
    }
    void write(const TestCertificate& pair) {
        put(pki.certificate, pair.certificate_pem(), 0644);
        put(pki.key, pair.key_pem());
    }
    Result<Credentials> read() {
        Configuration configuration;
        configuration.pkis["mx.test.example"] = pki;
        configuration.authorities = authorities;
        configuration.listens = listens;
        configuration.actions = actions;
        return read_credentials(configuration, system_path);
    }
    std::string fault() {
        Result<Credentials> credentials = read();
        std::string text = credentials ? "none" : credentials.error().message;
        // Without the folder, whose name is another one each time.
        for (size_t at; (at = text.find(folder + "/")) != std::string::npos;)
            text.erase(at, folder.size() + 1);
        return text;
    }

    std::string folder;
    Pki pki;
    std::map<std::string, std::string> authorities;
    std::vector<Listen> listens;
    std::vector<Action> actions;
    std::string system_path = "/nonexistent";
    TestCertificate own = make_certificate();
};

TEST_F(PkiFilesTest, AGoodPairIsTakenAndTheKeyIsSealedInAMemoryFile) {
    Result<Credentials> credentials = read();
    ASSERT_TRUE(credentials) << credentials.error().message;
    ASSERT_EQ(credentials->pkis.size(), 1u);
    EXPECT_EQ(credentials->pkis[0].name, "mx.test.example");
    EXPECT_EQ(credentials->pkis[0].certificates, own.certificate_pem());
    // A file that changes later changes nothing here.
    put(pki.key, "something else");
    EXPECT_EQ(*read_memory_file(credentials->pkis[0].key), own.key_pem());
    EXPECT_TRUE(credentials->warnings.empty());
}

TEST_F(PkiFilesTest, WhatIsWrongWithAPair) {
    write(make_certificate(TestKey::rsa_2048));
    EXPECT_EQ(fault(), "none");
    write(make_certificate(TestKey::ed25519));
    EXPECT_EQ(fault(), "pki mx.test.example (line 3): cert.pem, key.pem: "
                       "the key is neither an RSA nor an ECDSA key");
    put(pki.key, make_certificate().key_pem());
    EXPECT_EQ(fault(), "pki mx.test.example (line 3): cert.pem, key.pem: "
                       "the certificate is not that of the key");
    put(pki.key, "no key\n");
    EXPECT_TRUE(fault().starts_with("pki mx.test.example (line 3): key.pem: there is no private "
                                    "key in PEM form"));
    put(pki.certificate, "");
    EXPECT_EQ(fault(), "pki mx.test.example (line 3): cert.pem: there is no certificate in PEM "
                       "form");
    std::filesystem::remove(pki.certificate);
    EXPECT_EQ(fault(), "pki mx.test.example (line 3): cert.pem: No such file or directory");
}

// As haproxy and others have it: one file for everything.
TEST_F(PkiFilesTest, OfAFileWithBothOnlyTheCertificatesAreTaken) {
    put(pki.key, own.key_pem() + own.certificate_pem());
    pki.certificate = pki.key;
    authorities["staff"] = pki.key;
    Result<Credentials> credentials = read();
    ASSERT_TRUE(credentials) << credentials.error().message;
    EXPECT_EQ(credentials->pkis[0].certificates, own.certificate_pem());
    EXPECT_EQ(credentials->authorities[0].certificates, own.certificate_pem());
}

TEST_F(PkiFilesTest, WhoMayReadAKey) {
    struct Row {
        mode_t mode;
        bool good;
    } rows[] = {{0600, true},  {0400, true},  {0640, true},  {0440, true}, {0644, false},
                {0660, false}, {0604, false}, {0602, false}, {0700, true}};
    for (const Row& row : rows) {
        chmod(pki.key.c_str(), row.mode);
        EXPECT_EQ(read().ok(), row.good) << std::oct << row.mode;
    }
    chmod(pki.key.c_str(), 0644);
    EXPECT_EQ(fault(), "pki mx.test.example (line 3): key.pem may be read by everybody or written "
                       "by its group: chmod 640 or 600");
    std::filesystem::remove(pki.key);
    EXPECT_EQ(fault(), "pki mx.test.example (line 3): key.pem: No such file or directory");
    std::filesystem::create_directory(pki.key);
    EXPECT_EQ(fault(), "pki mx.test.example (line 3): key.pem is not a regular file");
}

TEST_F(PkiFilesTest, SomebodyElsesKeyIsNotTaken) {
    if (geteuid() != 0)
        GTEST_SKIP() << "needs root";
    ASSERT_EQ(chown(pki.key.c_str(), 65534, 65534), 0);
    EXPECT_EQ(fault(), "pki mx.test.example (line 3): key.pem belongs to somebody else");
}

TEST_F(PkiFilesTest, AnExpiredCertificateIsAWarning) {
    write(make_certificate(TestKey::p256, {.valid_from = -7200, .valid_until = -3600}));
    Result<Credentials> credentials = read();
    ASSERT_TRUE(credentials) << credentials.error().message;
    ASSERT_EQ(credentials->warnings.size(), 1u);
    EXPECT_EQ(credentials->warnings[0], "pki mx.test.example (line 3): " + pki.certificate +
                                            ": the certificate has expired or is not valid yet");
}

TEST_F(PkiFilesTest, AuthoritiesAreReadToo) {
    authorities["staff"] = pki.certificate;
    Result<Credentials> credentials = read();
    ASSERT_TRUE(credentials) << credentials.error().message;
    ASSERT_EQ(credentials->authorities.size(), 1u);
    EXPECT_EQ(credentials->authorities[0].certificates, own.certificate_pem());
    authorities["staff"] = pki.key;
    EXPECT_EQ(fault(), "ca staff: key.pem: there is no certificate in PEM form");
}

TEST_F(PkiFilesTest, ListsOfCiphersAreTried) {
    Listen& listen = listens.emplace_back();
    listen.on = "lo";
    listen.line = 7;
    listen.tls.mode = TlsMode::offered;
    listen.tls.ciphers = "HIGH:!aNULL";
    EXPECT_EQ(fault(), "none");
    listen.tls.ciphers = "NO-SUCH-CIPHER";
    EXPECT_EQ(fault(), "listen on lo (line 7): ciphers NO-SUCH-CIPHER: no cipher match");
}

TEST_F(PkiFilesTest, ListsOfCiphersForOtherServersAreTried) {
    actions.emplace_back().name = "out";
    actions[0].tls.ciphers = "NO-SUCH-CIPHER";
    EXPECT_EQ(fault(), "action out: ciphers NO-SUCH-CIPHER: no cipher match");
}

TEST_F(PkiFilesTest, TheAuthoritiesOfTheSystemAreReadForWhoeverRelays) {
    system_path = pki.certificate;
    EXPECT_EQ(read()->system_authorities, "");
    actions.emplace_back().kind = ActionKind::relay;
    EXPECT_EQ(read()->system_authorities, own.certificate_pem());
    EXPECT_TRUE(read()->warnings.empty());
    // What else is in the file stays there.
    system_path = folder + "/bundle.pem";
    put(system_path,
        "# two\n" + own.certificate_pem() + own.key_pem() + "# and\n" + own.certificate_pem());
    EXPECT_EQ(read()->system_authorities, own.certificate_pem() + own.certificate_pem());
}

TEST_F(PkiFilesTest, AFileOfTheSystemWithoutCertificatesIsNone) {
    actions.emplace_back().kind = ActionKind::relay;
    actions[0].name = "out";
    actions[0].tls.required = true;
    system_path = folder + "/none.pem";
    put(system_path, own.key_pem());
    EXPECT_EQ(read()->warnings,
              std::vector<std::string>{"action out: no server can be verified: " + system_path +
                                       ": there is no certificate in PEM form"});
    const std::string whole = own.certificate_pem();
    system_path = folder + "/cut.pem";
    put(system_path, whole.substr(0, whole.size() / 2));
    EXPECT_EQ(read()->warnings,
              std::vector<std::string>{"action out: no server can be verified: " + system_path +
                                       ": a certificate is cut off"});
    EXPECT_EQ(read()->system_authorities, "");
    // What lies between it and the end of another one comes no further.
    put(system_path, whole.substr(0, whole.size() / 2) + "\n" + own.key_pem() + whole);
    EXPECT_EQ(read()->system_authorities, "");
}

// It is decoded where that is asked for.
TEST_F(PkiFilesTest, ABrokenCertificateOfTheSystemIsFoundByACheck) {
    EXPECT_TRUE(check_system_authorities(pki.certificate));
    std::string broken = own.certificate_pem();
    broken[broken.size() / 2] = '?';
    put(folder + "/broken.pem", broken);
    const Result<void> checked = check_system_authorities(folder + "/broken.pem");
    ASSERT_FALSE(checked);
    EXPECT_TRUE(checked.error().message.starts_with(folder + "/broken.pem: "))
        << checked.error().message;
}

TEST_F(PkiFilesTest, WithoutTheAuthoritiesOfTheSystemItIsSaidWhomThatConcerns) {
    struct Row {
        RelayScheme scheme;
        bool required;
        bool verify;
        const char* authority;
        bool concerned;
    };
    const Row rows[] = {
        {RelayScheme::smtp, false, true, "", false},
        {RelayScheme::smtp, true, true, "", true},
        {RelayScheme::smtp, true, true, "staff", false},
        {RelayScheme::smtp, true, false, "", false},
        {RelayScheme::smtp_tls, false, true, "", true},
        {RelayScheme::smtps, false, true, "", true},
        {RelayScheme::smtps, true, false, "", false},
    };
    for (const Row& row : rows) {
        Action action;
        action.name = "out";
        action.host = RelayHost{row.scheme, "smart.example", 25, ""};
        action.tls.required = row.required;
        action.tls.verify = row.verify;
        action.tls.authority = row.authority;
        actions = {action};
        Result<Credentials> credentials = read();
        ASSERT_TRUE(credentials) << credentials.error().message;
        EXPECT_EQ(credentials->warnings.size(), row.concerned ? 1u : 0u);
        if (row.concerned) {
            EXPECT_EQ(
                credentials->warnings[0],
                "action out: no server can be verified: /nonexistent: No such file or directory");
        }
    }
}

// All memory of this process that can be written to.
void dump_memory(const std::string& path) {
    std::ifstream maps("/proc/self/maps");
    const std::vector<std::string> lines{std::istream_iterator<Line>(maps), {}};
    std::ifstream memory("/proc/self/mem", std::ios::binary);
    std::ofstream dump(path, std::ios::binary);
    for (const std::string& line : lines) {
        const size_t dash = line.find('-');
        uint64_t at = std::stoull(line.substr(0, dash), nullptr, 16);
        const uint64_t end = std::stoull(line.substr(dash + 1), nullptr, 16);
        char page[4096];
        for (; line.find(" rw") != std::string::npos && at < end; at += sizeof page) {
            memory.clear();
            memory.seekg(static_cast<std::streamoff>(at));
            if (memory.read(page, sizeof page))
                dump.write(page, sizeof page);
        }
    }
}

// The point of the child process: whoever checks keys does not come to know them. The key of this
// test is made and looked for by other programs.
TEST_F(PkiFilesTest, NoKeyStaysInOurMemory) {
    const auto shell = [](const std::string& command) { return std::system(command.c_str()); };
    ASSERT_EQ(shell("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
                    "-subj /CN=mx -days 1 -keyout " +
                    pki.key + " -out " + pki.certificate + " 2>/dev/null"),
              0);
    Result<Credentials> credentials = read();
    ASSERT_TRUE(credentials) << credentials.error().message;
    const std::string dump = folder + "/dump";
    dump_memory(dump);
    const auto found = [&](const std::string& file) {
        return shell("grep -qaF \"$(sed -n 2p " + file + ")\" " + dump) == 0;
    };
    EXPECT_TRUE(found(pki.certificate)) << "the dump is no dump";
    EXPECT_FALSE(found(pki.key));
    // Nor if it is in the file of the certificate.
    ASSERT_EQ(shell("cat " + pki.certificate + " >>" + pki.key), 0);
    pki.certificate = pki.key;
    ASSERT_TRUE(read());
    dump_memory(dump);
    EXPECT_FALSE(found(pki.key));
}

} // namespace
} // namespace postern
