// Stored passwords of all kinds that are supported; the hashes were made by other programs.
#include "smtpd/lookup/password.h"

#include <gtest/gtest.h>

#include <vector>

namespace postern {
namespace {

using namespace std::string_literals; // for strings with a NUL inside

struct Row {
    const char* kind;
    std::string password;
    std::string hash;
};

const std::vector<Row>& rows() {
    static const std::vector<Row> rows = {
        {"yescrypt", "secret", "$y$j75$saltsaltsalt$jyf/lxrpdyAIshWRo1x5DRC6KIE7sNRRtjcomR3PgHA"},
        {"bcrypt", "secret", "$2b$04$saltsaltsaltsaltsaltsOh6eq3EFJkUrLtlyPfsES9Dguki/0EY."},
        {"sha512crypt", "secret",
         "$6$rounds=1000$saltsalt$LAV5VE5Y7w1d73x1mFNspYWUpazfmwv2SoepNXNKJ/"
         "otop/Zok96Hr8Q13LEv0DRY/x8v0/crpIjl8NJSAqXV/"},
        {"sha512crypt", "secret",
         "$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/"
         "1GM/O6IND4WQhG."},
        {"sha256crypt", "secret",
         "$5$rounds=1000$saltsalt$eKLZU9t9OoPWrqOQsoTIKG0aYkZ5rGOoOQhiIvoSWX2"},
        {"argon2id", "password",
         "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"},
        {"argon2id, two lanes", "password",
         "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc"},
        {"SCRAM, of RFC 7677", "pencil",
         "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
         "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="},
    };
    return rows;
}

TEST(Password, MatchesItsHashAndNoOtherDoes) {
    for (const Row& row : rows()) {
        SCOPED_TRACE(row.kind);
        EXPECT_EQ(check_password(Secret(row.password), row.hash), PasswordCheck::matches);
        for (const std::string& other :
             {""s, row.password.substr(1), row.password + "x", row.password + "\0"s,
              row.password + "\0x"s, "\0"s + row.password, std::string(511, 'x')})
            EXPECT_EQ(check_password(Secret(other), row.hash), PasswordCheck::differs) << other;
    }
}

TEST(Password, LongerThanTheLibraryTakes) {
    EXPECT_EQ(check_password(Secret(std::string(512, 'x')), rows()[0].hash),
              PasswordCheck::differs);
}

TEST(Password, NobodyHasThatOfALockedAccount) {
    for (const char* locked : {"", "*", "!", "*0", "*1", "!$6$abcdefgh$", "*LK*"}) {
        EXPECT_TRUE(is_locked(locked));
        for (const char* password : {"", "*", "*0", "*1", "!", "secret"})
            EXPECT_EQ(check_password(Secret(password), locked), PasswordCheck::differs) << locked;
    }
    EXPECT_FALSE(is_locked("$6$x"));
}

TEST(Password, WhatIsNoHashTellsNothing) {
    for (const std::string& hash :
         {"$argon2id$"s, "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$"s, "$2b$04$short"s, "$9$x$y"s,
          "secret:"s, "$y$"s, "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$YQ==:YQ=="s})
        EXPECT_EQ(check_password(Secret("secret"), hash), PasswordCheck::failed) << hash;
}

} // namespace
} // namespace postern
