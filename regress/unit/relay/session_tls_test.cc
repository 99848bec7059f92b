// STARTTLS and TLS from the first byte in the dialogue with a next hop (RFC 3207).
#include <gtest/gtest.h>

#include "regress/unit/relay/dialogue.h"

namespace postern::relay {
namespace {

using test::Dialogue;

const std::string plain = "S: 220 mx\n C: EHLO relay.example\n S: 250-mx\n S: 250 PIPELINING\n";
const std::string offers =
    "S: 220 mx\n C: EHLO relay.example\n S: 250-mx\n S: 250-PIPELINING\n S: 250 STARTTLS\n";
const std::string goes = offers + "C: STARTTLS\n S: 220 go\n";
const std::string leave = "C: QUIT\n S: 221 bye";

struct Row {
    const char* what;
    TlsLevel level;
    std::string script;
    const char* handshake_error;
    bool opened;
    bool encrypted;
    const char* failure;
    bool tls_failed;
    bool policy_unmet;
};

TEST(SessionTls, Starts) {
    const TlsLevel may = TlsLevel::opportunistic;
    const TlsLevel must = TlsLevel::verified;
    const std::string hello = "C: EHLO relay.example\n S: 250 mx\n";
    const Row rows[] = {
        {"never", TlsLevel::never, offers + leave, "", true, false, "", false, false},
        {"where it is offered", may, goes + hello + leave, "", true, true, "", false, false},
        {"where it has to be", must, goes + hello + leave, "", true, true, "", false, false},
        {"not offered, and that will do", may, plain + leave, "", true, false, "", false, false},
        {"not offered", must, plain + leave, "", false, false,
         "4.7.4 TLS is demanded, but the server does not offer STARTTLS", false, true},
        {"refused, and that will do", may, offers + "C: STARTTLS\n S: 454 4.7.0 not now\n" + leave,
         "", true, false, "", false, false},
        {"refused", must, offers + "C: STARTTLS\n S: 454 4.7.0 not now\n" + leave, "", false, false,
         "4.7.0 454 4.7.0 not now", false, true},
        {"refused for good", must, offers + "C: STARTTLS\n S: 502 5.5.1 what?\n" + leave, "", false,
         false, "4.5.1 502 5.5.1 what?", false, true},
        {"the server leaves", may, offers + "C: STARTTLS\n S: 421 bye", "", false, false,
         "4.0.0 421 bye", false, false},
        {"the server hangs up", may, offers + "C: STARTTLS\n close", "", false, false,
         "4.4.2 connection closed while waiting for the reply to STARTTLS", true, false},
        {"something in plain behind the go-ahead", may, goes + "S: 250 evil\n silence", "", false,
         false, "4.5.0 the server spoke between its reply to STARTTLS and the handshake", false,
         false},
        {"the handshake fails", may, goes + "silence", "TLS: no", false, false,
         "4.7.5 the TLS handshake failed: TLS: no", true, false},
        {"the handshake fails where it must not", must, goes + "silence", "TLS: no", false, false,
         "4.7.5 the TLS handshake failed: TLS: no", true, true},
        {"the end right after it", may, goes + "C: EHLO relay.example\n close", "", false, true,
         "4.4.2 connection closed while waiting for the reply to EHLO", true, false},
        {"a refusal after it", may, goes + "C: EHLO relay.example\n S: 450 no\n" + leave, "", false,
         true, "4.0.0 450 no", false, false},
    };
    for (const Row& row : rows) {
        Dialogue d(row.script);
        d.messages = 0;
        d.tls.level = row.level;
        d.handshake_error = row.handshake_error;
        ASSERT_TRUE(d.run()) << row.what;
        EXPECT_EQ(d.next_hop.errors(), "") << row.what;
        EXPECT_EQ(d.opened, row.opened) << row.what;
        EXPECT_EQ(d.encrypted, row.encrypted) << row.what;
        EXPECT_EQ(d.failure, row.failure) << row.what;
        EXPECT_EQ(d.tls_failed, row.tls_failed) << row.what;
        EXPECT_EQ(d.policy_unmet, row.policy_unmet) << row.what;
    }
}

// RFC 3207 4.2: what was said before is forgotten.
TEST(SessionTls, OnlyWhatIsSaidEncryptedCounts) {
    Dialogue d(goes + "C: EHLO relay.example\n S: 250-mx\n S: 250 SIZE 1000\n" + leave);
    d.messages = 0;
    d.tls.level = TlsLevel::opportunistic;
    ASSERT_TRUE(d.run());
    EXPECT_EQ(d.next_hop.errors(), "");
    EXPECT_FALSE(d.capabilities.pipelining);
    EXPECT_FALSE(d.capabilities.starttls);
    EXPECT_TRUE(d.capabilities.size);
}

// RFC 8314 3.3.
TEST(SessionTls, FromTheFirstByte) {
    Dialogue d(offers + leave);
    d.messages = 0;
    d.tls = {TlsLevel::verified, true};
    ASSERT_TRUE(d.run());
    EXPECT_EQ(d.next_hop.errors(), "");
    EXPECT_TRUE(d.opened);
    EXPECT_TRUE(d.encrypted);
    EXPECT_EQ(d.handshakes, 1);

    Dialogue fails("silence");
    fails.messages = 0;
    fails.tls = {TlsLevel::verified, true};
    fails.handshake_error = "TLS: no";
    ASSERT_TRUE(fails.run());
    EXPECT_EQ(fails.next_hop.errors(), "");
    EXPECT_FALSE(fails.opened);
    EXPECT_EQ(fails.failure, "4.7.5 the TLS handshake failed: TLS: no");
}

} // namespace
} // namespace postern::relay
