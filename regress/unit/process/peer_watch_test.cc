// Who ends when a channel closes, and who does not.
#include <gtest/gtest.h>

#include "common/ipc/packet_channel.h"
#include "common/loop/task.h"
#include "common/process/peer_watch.h"

namespace postern {
namespace {

using ipc::Role;
using namespace std::chrono_literals;

TEST(PeerWatch, WhoAsksDependsOnWhoAnswersNotTheOtherWayRound) {
    EXPECT_TRUE(depends_on(Role::listener, Role::queue));
    EXPECT_FALSE(depends_on(Role::queue, Role::listener));
    for (const Role peer : {Role::queue, Role::resolver, Role::lookup, Role::keyholder})
        EXPECT_TRUE(depends_on(Role::relay, peer)) << ipc::role_name(peer);
    EXPECT_FALSE(depends_on(Role::lookup, Role::relay));
    EXPECT_FALSE(depends_on(Role::keyholder, Role::relay));
    EXPECT_FALSE(depends_on(Role::queue, Role::relay));
    EXPECT_FALSE(depends_on(Role::listener, Role::control));
}

// Two ends of a channel in one loop, and what the watch of one of them has said.
struct Watched {
    Watched() { connect(); }
    void connect() {
        auto [ours, theirs] = ipc::make_pair();
        watch.watch(Role::queue, 0, ours);
        auto nothing = [](auto&&...) { return true; };
        near = std::make_unique<ipc::PacketChannel>(loop, std::move(ours), nothing,
                                                    [](const std::string&) {});
        far = std::make_unique<ipc::PacketChannel>(loop, std::move(theirs), nothing,
                                                   [](const std::string&) {});
    }
    // Lets the loop see what has happened.
    void turn() {
        TaskGroup tasks;
        tasks.spawn([](EventLoop& loop) -> Task<void> {
            co_await loop.sleep(20ms);
            loop.stop();
        }(loop));
        loop.run();
    }
    EventLoop loop;
    int cut_off = 0;
    PeerWatch watch{loop, [this](Role) { ++cut_off; }};
    std::unique_ptr<ipc::PacketChannel> near, far;
    bool pending() const { return watch.pending() > 0; }
};

TEST(PeerWatch, AClosedChannelIsNoticedFromEitherEnd) {
    Watched one, other, neither;
    one.far.reset();
    other.near.reset(); // the duplicate must not keep it open
    one.turn();
    other.turn();
    neither.turn();
    EXPECT_TRUE(one.pending());
    EXPECT_TRUE(other.pending());
    EXPECT_FALSE(neither.pending());
}

TEST(PeerWatch, ANewChannelInTimeIsAllThatIsNeeded) {
    Watched watched;
    watched.far.reset();
    watched.turn();
    watched.connect();
    watched.turn();
    EXPECT_FALSE(watched.pending());
    EXPECT_EQ(watched.cut_off, 0);
}

} // namespace
} // namespace postern
