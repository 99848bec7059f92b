#include "queue/queue_filter.h"

#include <chrono>
#include <gtest/gtest.h>

#include "common/mail/pattern.h"

namespace postern::test {
namespace {

TEST(QueueFilter, Patterns) {
    struct Row {
        const char *text, *pattern;
        bool matches;
    };
    const Row rows[] = {
        {"a@b.example", "a@b.example", true},
        {"a@b.example", "A@B.EXAMPLE", true},
        {"a@b.example", "*", true},
        {"", "*", true},
        {"", "", true},
        {"a", "", false},
        {"a@b.example", "*@b.example", true},
        {"a@b.example", "a@*", true},
        {"a@b.example", "*b*", true},
        {"a@b.example", "*@*.example", true},
        {"a@b.example", "*@c.example", false},
        {"a@b.example", "a@b.exampl", false},
        {"a@b.example", "@b.example", false},
        {"aaab", "*ab", true},
        {"abab", "a*b*b", true},
        {"abc", "a**c", true},
        {"a*c", "a*c", true},
    };
    for (const Row& row : rows)
        EXPECT_EQ(matches_pattern(row.text, row.pattern), row.matches)
            << row.text << " " << row.pattern;
}

TEST(QueueFilter, NoPatternTakesForEver) {
    const std::string text(1000, 'a');
    std::string pattern;
    for (int i = 0; i < 300; ++i)
        pattern += "a*";
    const auto start = std::chrono::steady_clock::now();
    EXPECT_FALSE(matches_pattern(text, pattern + "b"));
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

TEST(QueueFilter, AllOfItHasToBeTrue) {
    ipc::EnvelopeEntry entry;
    entry.reverse_path = "alice@from.example";
    entry.recipient = "bob@dest.example";
    entry.state = ipc::RecipientState::deferred;
    entry.accepted_at = 1000;
    entry.last_error = "4.4.1 Connection timed out";
    struct Row {
        const char* what;
        std::function<void(ipc::QueueFilter&)> set;
        bool matches;
    };
    const Row rows[] = {
        {"nothing is asked for", [](auto&) {}, true},
        {"sender", [](auto& f) { f.sender = "alice@*"; }, true},
        {"another sender", [](auto& f) { f.sender = "carol@*"; }, false},
        {"nobody as the sender", [](auto& f) { f.sender = "<>"; }, false},
        {"recipient", [](auto& f) { f.recipient = "*@dest.example"; }, true},
        {"another recipient", [](auto& f) { f.recipient = "*@else.example"; }, false},
        {"error", [](auto& f) { f.error = "connection TIMED"; }, true},
        {"another error", [](auto& f) { f.error = "refused"; }, false},
        {"older", [](auto& f) { f.accepted_before = 1001; }, true},
        {"not older", [](auto& f) { f.accepted_before = 1000; }, false},
        {"newer", [](auto& f) { f.accepted_after = 999; }, true},
        {"not newer", [](auto& f) { f.accepted_after = 1000; }, false},
        {"state", [](auto& f) { f.state = ipc::RecipientState::deferred; }, true},
        {"another state", [](auto& f) { f.state = ipc::RecipientState::held; }, false},
        {"one of two",
         [](auto& f) {
             f.sender = "alice@*";
             f.error = "refused";
         },
         false},
    };
    for (const Row& row : rows) {
        ipc::QueueFilter filter;
        row.set(filter);
        EXPECT_EQ(matches(filter, entry), row.matches) << row.what;
    }
    entry.reverse_path = "";
    ipc::QueueFilter nobody;
    nobody.sender = "<>";
    EXPECT_TRUE(matches(nobody, entry));
}

TEST(QueueFilter, OfWhatCannotBeReadNobodyKnowsWhoseItIs) {
    ipc::EnvelopeEntry entry;
    entry.accepted_at = 1000;
    entry.state = ipc::RecipientState::unreadable;
    entry.last_error = "4.3.0 the message cannot be read";
    ipc::QueueFilter filter;
    EXPECT_TRUE(matches(filter, entry));
    filter.recipient = "*";
    EXPECT_FALSE(matches(filter, entry));
}

} // namespace
} // namespace postern::test
