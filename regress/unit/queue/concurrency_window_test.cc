// The window alone. A script is what comes back, one delivery after the other, while as many are
// out as it lets out: '+' answered, '-' hindered, '!' unreachable, 'o' reopened. A digit or more is
// the size expected at that point; '#' that the last failure was the end: hold it.
#include "queue/concurrency_window.h"

#include <cctype>
#include <gtest/gtest.h>
#include <string>

namespace postern {
namespace {

struct Case {
    const char* what;
    uint32_t most;
    std::string script;
};

void play(const Case& c) {
    ConcurrencyWindow window;
    bool held = false;
    uint32_t out = window.size(c.most);
    for (size_t i = 0; i < c.script.size(); ++i) {
        SCOPED_TRACE(c.script.substr(0, i + 1));
        const char step = c.script[i];
        if (std::isdigit(static_cast<unsigned char>(step))) {
            size_t length = 0;
            EXPECT_EQ(window.size(c.most), std::stoul(c.script.substr(i), &length)) << c.what;
            i += length - 1;
            continue;
        }
        if (step == ' ')
            continue;
        if (step == '#') {
            EXPECT_TRUE(held) << c.what;
            held = false;
            continue;
        }
        EXPECT_FALSE(held) << c.what;
        out = std::max(out, window.size(c.most)); // what may go out does
        if (step == '+')
            window.answered(out, c.most);
        else if (step == 'o')
            window.reopen();
        else
            held = !window.failed(step == '!' ? ConcurrencyWindow::Failure::unreachable
                                              : ConcurrencyWindow::Failure::hindered,
                                  out, c.most);
        out = step == 'o' ? window.size(c.most) : out - 1;
    }
    EXPECT_FALSE(held) << c.what;
}

TEST(ConcurrencyWindow, FollowsWhatComesBack) {
    const Case cases[] = {
        {"five to begin with, one more for each answer", 20, "5 +6 +7 +++10 ++++++++++20 +++20"},
        {"never more than allowed", 3, "3 +++++3"},
        {"one is the least", 1, "1 +1 -1 ------1"},
        {"what fails together is one failure", 20, "5 - 2 ---- 2 - 1"},
        {"half of what was allowed", 4, "+++++ 4 - 2"},
        {"answers of deliveries from before do not widen it", 20, "- 2 ++++ 2 + 2 + 3"},
        {"and then one for each windowful", 20, "- 2 ++++ ++ 3 +++ 4 ++++ 5 +++++ 6"},
        {"nothing gets through", 20, "- 2 ---- - 1 - 1 --------- 1"},
        {"nor can it be reached any more", 20, "- 2 ---- - 1 - 1 !#"},
        {"an unknown host that cannot be reached is held at once", 20, "!#"},
        {"a known one when all have failed", 20, "+ 6 ! 3 !!!! 3 !#"},
        {"not if one gets through", 20, "+ 6 ! 3 !! + !! 3 + 3 ! 1 !!#"},
        {"a known one with one delivery out at once", 1, "++ !#"},
        {"after that it begins again, and has to prove itself", 20, "+ !!!!!!# o 3 !#"},
        {"up to half of what was out quickly", 20,
         "+++++++++++++++ 20 !!!!!!!!!!!!!!!!!!!!# o 5 + 6 ++++ 10 + 10 +++++++++ 11"},
        {"more slowly when it was turned away", 20, "------- 1 !# o 1 + 2 ++ 3 +++ 4"},
    };
    for (const Case& c : cases)
        play(c);
}

TEST(ConcurrencyWindow, KnowsThatItShrank) {
    ConcurrencyWindow window;
    EXPECT_FALSE(window.cautious(20)) << "it is only new";
    window.failed(ConcurrencyWindow::Failure::hindered, 5, 20);
    EXPECT_TRUE(window.cautious(20));
    for (int i = 0; i < 1000; ++i)
        window.answered(1, 20);
    EXPECT_FALSE(window.cautious(20));
}

TEST(ConcurrencyWindow, StaysWithinItsBoundsWhateverComesBack) {
    for (uint32_t most : {1u, 2u, 7u, 10'000u, UINT32_MAX}) {
        ConcurrencyWindow window;
        uint64_t random = most;
        for (int i = 0; i < 100'000; ++i) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            const uint32_t out = 1 + static_cast<uint32_t>(random >> 40) % 30;
            switch (random >> 62) {
            case 0:
                if (!window.failed(static_cast<ConcurrencyWindow::Failure>((random >> 61) & 1), out,
                                   most))
                    window.reopen();
                break;
            default:
                window.answered(out, most);
            }
            ASSERT_GE(window.size(most), 1u);
            ASSERT_LE(window.size(most), most);
        }
    }
}

} // namespace
} // namespace postern
