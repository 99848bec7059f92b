#include "common/base/public_address.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

TEST(PublicAddress, Table) {
    for (const char* text : {"192.0.2.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2001:db8::1",
                             "64:ff9b::808:808", "2002:808:808::1"})
        EXPECT_TRUE(is_public(*IpAddress::parse(text))) << text;
    for (const char* text :
         {"0.0.0.0",          "0.1.2.3",         "127.0.0.1",    "127.9.9.9",  "10.0.0.1",
          "172.16.0.1",       "172.31.0.1",      "192.168.0.1",  "100.64.0.1", "169.254.169.254",
          "224.0.0.1",        "255.255.255.255", "::",           "::1",        "::7f00:1",
          "::ffff:127.0.0.1", "fe80::1",         "fec0::1",      "fd00::1",    "ff02::1",
          "64:ff9b::7f00:1",  "64:ff9b:1::1",    "2002:a00:1::1"})
        EXPECT_FALSE(is_public(*IpAddress::parse(text))) << text;
    EXPECT_FALSE(is_public(IpAddress()));
    // As an AAAA record has it.
    EXPECT_FALSE(is_public(IpAddress{6, 0, 0xffff7f000001})) << "::ffff:127.0.0.1";
    EXPECT_TRUE(is_public(IpAddress{6, 0, 0xffffc0000201})) << "::ffff:192.0.2.1";
}

} // namespace
} // namespace postern
