#include "queue/sender.h"

#include <gtest/gtest.h>
#include <set>

namespace postern {
namespace {

ipc::Envelope envelope(const char* client, const char* user, const char* reverse_path) {
    ipc::Envelope result;
    if (const auto address = IpAddress::parse(client))
        result.origin.client = *address;
    result.origin.authenticated = user;
    result.reverse_path = reverse_path;
    return result;
}

TEST(Sender, WhoTakesTurnsWithWhom) {
    struct Case {
        const char* what;
        ipc::Envelope a, b;
        bool same;
    };
    const Case cases[] = {
        {"users", envelope("192.0.2.1", "alice", "a@x.example"),
         envelope("192.0.2.1", "bob", "a@x.example"), false},
        {"a user is one wherever and as whomever", envelope("192.0.2.1", "alice", "a@x.example"),
         envelope("192.0.2.2", "alice", "b@x.example"), true},
        {"clients", envelope("192.0.2.1", "", "a@x.example"),
         envelope("192.0.2.2", "", "a@x.example"), false},
        {"addresses", envelope("192.0.2.1", "", "alice@x.example"),
         envelope("192.0.2.1", "", "bob@x.example"), false},
        {"domains", envelope("192.0.2.1", "", "a@x.example"),
         envelope("192.0.2.1", "", "a@y.example"), false},
        {"case", envelope("192.0.2.1", "", "A@X.example"), envelope("192.0.2.1", "", "a@x.EXAMPLE"),
         true},
        {"an IPv6 network", envelope("2001:db8::1", "", "a@x.example"),
         envelope("2001:db8::2", "", "a@x.example"), true},
        {"IPv6 networks", envelope("2001:db8::1", "", "a@x.example"),
         envelope("2001:db8:0:1::1", "", "a@x.example"), false},
        {"VERP", envelope("192.0.2.1", "", "list-bounces+bob=dest.example@x.example"),
         envelope("192.0.2.1", "", "list-bounces+eve=dest.example@x.example"), true},
        {"numbers", envelope("192.0.2.1", "", "b1@x.example"),
         envelope("192.0.2.1", "", "b2@x.example"), true},
        {"SRS", envelope("192.0.2.1", "", "SRS0=abc=de=f.example=joe@x.example"),
         envelope("192.0.2.1", "", "SRS0=xyz=de=g.example=jim@x.example"), true},
        {"reports", envelope("", "", ""), envelope("", "", ""), true},
        {"a user is not an address", envelope("192.0.2.1", "a@x.example", ""),
         envelope("192.0.2.1", "", "a@x.example"), false},
        {"odd paths", envelope("192.0.2.1", "", "\"a b\"@x"), envelope("192.0.2.1", "", "@"),
         false},
    };
    for (const Case& c : cases) {
        EXPECT_EQ(sender_name(c.a) == sender_name(c.b), c.same) << c.what;
        EXPECT_EQ(sender_key(c.a, 1) == sender_key(c.b, 1), c.same) << c.what;
    }
}

TEST(Sender, TheKeyCannotBeChosen) {
    const auto one = envelope("192.0.2.1", "alice", "");
    std::set<uint16_t> keys;
    for (uint64_t seed = 0; seed < 100; ++seed)
        keys.insert(sender_key(one, seed));
    EXPECT_GT(keys.size(), 90u);
}

} // namespace
} // namespace postern
