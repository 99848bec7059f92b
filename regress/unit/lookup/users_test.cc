#include "smtpd/lookup/users.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

TEST(Users, AreThoseOfTheSystem) {
    const Result<bool> root = system_user_exists("root");
    ASSERT_TRUE(root.ok());
    EXPECT_TRUE(*root);
    const Result<bool> nobody = system_user_exists("no-such-user-at-all");
    ASSERT_TRUE(nobody.ok());
    EXPECT_FALSE(*nobody);
}

} // namespace
} // namespace postern
