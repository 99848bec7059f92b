// The arithmetic of SCRAM by the example of RFC 7677 3: user "user", password "pencil".
#include "common/sasl/scram_keys.h"

#include <gtest/gtest.h>

#include "common/base/base64.h"

namespace postern::scram {
namespace {

constexpr const char* salt = "W22ZaJ0SNY7soEsUEjb6gQ==";
constexpr const char* stored = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
                               "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
                               "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
constexpr const char* auth_message =
    "n=user,r=rOprNGfwEbeRWgbNEkqO,"
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
constexpr const char* proof = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
constexpr const char* server_signature = "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

TEST(ScramKeys, WhatIsStored) {
    const auto secret = make_secret(Secret("pencil"), *decode_base64(salt), 4096);
    ASSERT_TRUE(secret);
    EXPECT_EQ(to_string(*secret), stored);
    EXPECT_NE(to_string(*make_secret(Secret("pencil"), *decode_base64(salt), 4097)), stored);
    EXPECT_NE(to_string(*make_secret(Secret("Pencil"), *decode_base64(salt), 4096)), stored);
}

TEST(ScramKeys, Proofs) {
    const auto secret = *parse_scram_secret(stored);
    std::string good = *decode_base64(proof);
    EXPECT_TRUE(is_proof(good, secret.stored_key, auth_message));
    EXPECT_FALSE(is_proof(good, secret.server_key, auth_message));
    EXPECT_FALSE(is_proof(good, secret.stored_key, std::string(auth_message) + "x"));
    EXPECT_FALSE(is_proof(good.substr(1), secret.stored_key, auth_message));
    EXPECT_FALSE(is_proof("", secret.stored_key, auth_message));
    for (char& c : good) {
        c = static_cast<char>(c ^ 1);
        EXPECT_FALSE(is_proof(good, secret.stored_key, auth_message));
        c = static_cast<char>(c ^ 1);
    }
    EXPECT_EQ(encode_base64(hmac(secret.server_key, auth_message)), server_signature);
}

TEST(ScramKeys, SameOctets) {
    EXPECT_TRUE(same_octets("abc", "abc"));
    EXPECT_TRUE(same_octets("", ""));
    EXPECT_FALSE(same_octets("abc", "abd"));
    EXPECT_FALSE(same_octets("abc", "ab"));
}

} // namespace
} // namespace postern::scram
