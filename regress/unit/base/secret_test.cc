#include "common/base/secret.h"

#include <gtest/gtest.h>

#include <new>

namespace postern {
namespace {

constexpr std::string_view password = "correct horse battery staple";

bool contains(const void* memory, size_t size, std::string_view text) {
    return std::string_view(static_cast<const char*>(memory), size).find(text) !=
           std::string_view::npos;
}

TEST(Secret, IsOverwrittenWhereItWas) {
    std::string text(password);
    const char* place = text.data();
    const size_t room = text.capacity();
    wipe(text);
    EXPECT_TRUE(text.empty());
    EXPECT_EQ(text.data(), place) << "the same memory, so that it can be looked at";
    EXPECT_FALSE(contains(place, room, "horse"));
}

// A short text lives inside the object.
TEST(Secret, LeavesNothingBehindWhenMovedOrDestroyed) {
    alignas(Secret) char memory[sizeof(Secret)];
    auto* secret = new (memory) Secret("hunter2");
    EXPECT_TRUE(contains(memory, sizeof memory, "hunter2"));
    Secret other(std::move(*secret));
    EXPECT_EQ(other.view(), "hunter2");
    EXPECT_FALSE(contains(memory, sizeof memory, "unter2"));
    *secret = std::move(other);
    EXPECT_EQ(secret->view(), "hunter2");
    EXPECT_TRUE(other.empty());
    secret->~Secret();
    EXPECT_FALSE(contains(memory, sizeof memory, "unter2"));
}

TEST(Secret, TakesAndCopies) {
    std::string text(password);
    Secret secret = Secret::take(text);
    EXPECT_TRUE(text.empty());
    EXPECT_EQ(secret.view(), password);
    const Secret copy = secret.copy();
    secret = Secret();
    EXPECT_EQ(copy.view(), password);
    EXPECT_EQ(copy.size(), password.size());
}

} // namespace
} // namespace postern
