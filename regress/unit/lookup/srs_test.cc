// Rewritten senders, there and back.
#include "smtpd/lookup/srs.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

constexpr int64_t now = 1795435200;
constexpr int64_t day = 86400;

SenderRewriting by(const std::string& key, std::vector<std::string> former = {}) {
    return SenderRewriting({key, std::move(former)}, "us.example", 4);
}

TEST(SenderRewriting, ThereAndBack) {
    const SenderRewriting srs = by("secret");
    for (const char* sender :
         {"bob@a.example", "b=o=b@a.example", "bob+tag@a.example", "SRS0@a.example",
          "SRS0x=1@a.example", "=@a.example", "SRS0=foo@a.example", "srs0+list@a.example",
          "SRS1=x=-b==h=dd=a.b=c@d.example", "SRS1=x@b.example", "j\xc3\xbcrgen@a.example"}) {
        const std::string path = srs.forward(sender, now);
        EXPECT_TRUE(path.starts_with("SRS0=") && path.ends_with("@us.example")) << path;
        EXPECT_TRUE(srs.is_ours(path)) << path;
        const Result<std::string> back = srs.reverse(path, now + 4 * day);
        ASSERT_TRUE(back) << path << ": " << back.error().message;
        EXPECT_EQ(*back, sender);
    }
}

TEST(SenderRewriting, IsNotForEverySender) {
    const SenderRewriting srs = by("secret");
    for (const char* sender : {"", "bob@us.example", "bob@US.example.", "bob", "\"a@b\"@a.example",
                               "@a.example", "bob@[192.0.2.1]"})
        EXPECT_EQ(srs.forward(sender, now), sender);
    const std::string local_part(48, 'x');
    EXPECT_EQ(srs.forward(local_part + "@a.example", now), local_part + "@a.example") << "too long";
    EXPECT_EQ(by("").forward("bob@a.example", now), "bob@a.example");
    for (const std::string& domain : {std::string("a_b.example"), std::string("_"), std::string()})
        EXPECT_EQ(SenderRewriting({"secret", {}}, domain, 4).forward("bob@a.example", now),
                  "bob@a.example");
    const std::string label(60, 'x');
    const std::string long_domain = label + "." + label + "." + label + "." + label;
    EXPECT_EQ(SenderRewriting({"secret", {}}, long_domain, 4).forward("bob@a.example", now),
              "bob@a.example")
        << "no path";
}

// A second forwarder keeps the first one's address, a third skips the second (SRS1).
TEST(SenderRewriting, OverSeveralForwarders) {
    const SenderRewriting first({"one", {}}, "f1.example", 4);
    const SenderRewriting second({"two", {}}, "f2.example", 4);
    const SenderRewriting third({"three", {}}, "f3.example", 4);
    const std::string one = first.forward("b@a.example", now);
    const std::string two = second.forward(one, now);
    const std::string three = third.forward(two, now);
    EXPECT_TRUE(two.starts_with("SRS1=") && two.ends_with("@f2.example")) << two;
    EXPECT_EQ(three.find("f2.example"), std::string::npos) << three;
    EXPECT_EQ(*second.reverse(two, now), one);
    EXPECT_EQ(*third.reverse(three, now), one);
    EXPECT_EQ(*first.reverse(one, now), "b@a.example");
}

TEST(SenderRewriting, WhatIsForgedOrOldComesBackToNobody) {
    const SenderRewriting srs = by("secret");
    const std::string path = srs.forward("bob@a.example", now);
    EXPECT_TRUE(srs.reverse(path, now));
    EXPECT_FALSE(srs.reverse(path, now + 5 * day)) << "its time is over";
    EXPECT_TRUE(srs.reverse(path, std::nullopt)) << "it was taken in time";
    EXPECT_TRUE(srs.reverse(path, now - day)) << "another host's clock is ahead";
    EXPECT_FALSE(srs.reverse(path, now - 2 * day));
    std::string lower = path;
    for (char& c : lower)
        c = static_cast<char>(tolower(c));
    EXPECT_TRUE(srs.reverse(lower, now)) << "case does not count";
    for (size_t i = 5; i < path.find('@'); ++i) {
        if (path[i] == '=')
            continue;
        std::string forged = path;
        forged[i] = forged[i] == 'q' ? 'r' : 'q';
        EXPECT_FALSE(srs.reverse(forged, now)) << forged;
    }
    for (const char* nonsense :
         {"SRS0=@us.example", "SRS0=a@us.example", "SRS0=a=b@us.example", "SRS0=a=b=c=@us.example",
          "SRS0=a=b=c=d@us.example", "SRS1=a=b=c=d@us.example", "SRS0==@us.example", "SRS0", "@",
          "SRS0=a=b=c=d@elsewhere.example"})
        EXPECT_FALSE(srs.reverse(nonsense, now)) << nonsense;
    EXPECT_FALSE(srs.is_ours("bob@us.example"));
    EXPECT_FALSE(srs.is_ours("SRS0=a=b=c=d@elsewhere.example"));
    EXPECT_FALSE(by("").is_ours(path));
}

// What we have made for somebody else's SRS1 is no address that we have made for a sender.
TEST(SenderRewriting, OneKindIsNotTakenForTheOther) {
    const SenderRewriting srs = by("secret");
    const std::string path =
        srs.forward("SRS1=x=b.example==hash=dd=victim.example=bob@c.example", now);
    ASSERT_TRUE(path.starts_with("SRS1=")) << path;
    EXPECT_TRUE(srs.reverse(path, now));
    EXPECT_FALSE(srs.reverse("SRS0" + path.substr(4), now));
}

// Nobody has an address of ours made into one without a day.
TEST(SenderRewriting, AnAddressOfOursKeepsItsDay) {
    const SenderRewriting srs = by("secret");
    const std::string path = srs.forward("bob@a.example", now);
    const std::string hidden = "SRS1=x=us.example=" + path.substr(4, path.find('@') - 4);
    const std::string again = srs.forward(hidden + "@evil.example", now);
    EXPECT_FALSE(again.starts_with("SRS1=") && again.ends_with("@us.example")) << again;
}

TEST(SenderRewriting, KeysAreReplacedOneAfterTheOther) {
    const std::string path = by("old").forward("bob@a.example", now);
    EXPECT_TRUE(by("new", {"older", "old"}).reverse(path, now));
    EXPECT_FALSE(by("new", {"older"}).reverse(path, now));
    EXPECT_NE(by("new", {"old"}).forward("bob@a.example", now), path);
}

} // namespace
} // namespace postern
