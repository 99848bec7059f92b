#include "common/smtp/scram_secret.h"

#include <gtest/gtest.h>

#include "common/base/base64.h"

namespace postern {
namespace {

const std::string salt = "W22ZaJ0SNY7soEsUEjb6gQ==";
const std::string keys = "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
                         "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

TEST(ScramSecretTest, IsReadAndWritten) {
    for (const std::string& text :
         {"SCRAM-SHA-256$4096:" + salt + "$" + keys, "SCRAM-SHA-256$10000000:" + salt + "$" + keys,
          "SCRAM-SHA-256$5000:YQ==$" + keys,
          "SCRAM-SHA-256$5000:" + encode_base64(std::string(64, 's')) + "$" + keys}) {
        const auto secret = parse_scram_secret(text);
        ASSERT_TRUE(secret) << text;
        EXPECT_EQ(to_string(*secret), text);
    }
    const auto secret = parse_scram_secret("SCRAM-SHA-256$4096:" + salt + "$" + keys);
    EXPECT_EQ(secret->iterations, 4096u);
    EXPECT_EQ(secret->salt.size(), 16u);
    EXPECT_EQ(encode_base64(secret->stored_key) + ":" + encode_base64(secret->server_key), keys);
}

TEST(ScramSecretTest, WhatIsNone) {
    const std::string good = "SCRAM-SHA-256$4096:" + salt + "$" + keys;
    for (size_t length = 0; length < good.size(); ++length)
        EXPECT_FALSE(parse_scram_secret(good.substr(0, length))) << length;
    for (const std::string& text :
         {good + "=", good + " ", " " + good, "scram-sha-256$4096:" + salt + "$" + keys,
          "SCRAM-SHA-1$4096:" + salt + "$" + keys, "SCRAM-SHA-256$4095:" + salt + "$" + keys,
          "SCRAM-SHA-256$10000001:" + salt + "$" + keys, "SCRAM-SHA-256$04096:" + salt + "$" + keys,
          "SCRAM-SHA-256$+4096:" + salt + "$" + keys,
          "SCRAM-SHA-256$99999999999:" + salt + "$" + keys, "SCRAM-SHA-256$:" + salt + "$" + keys,
          "SCRAM-SHA-256$4096:$" + keys,
          "SCRAM-SHA-256$4096:" + encode_base64(std::string(65, 's')) + "$" + keys,
          "SCRAM-SHA-256$4096:" + salt + ":" + keys,
          "SCRAM-SHA-256$4096:" + salt + "$" + keys + ":YQ==",
          "SCRAM-SHA-256$4096:" + salt + "$YQ==:YQ=="})
        EXPECT_FALSE(parse_scram_secret(text)) << text;
}

} // namespace
} // namespace postern
