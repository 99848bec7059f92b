#include "deliver/local/exit_status.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

using ipc::RecipientStatus;

TEST(ExitStatus, MeansOneThingToTheRecipient) {
    struct {
        int status;
        const char* said;
        RecipientStatus outcome;
        const char* enhanced;
        const char* diagnostic;
    } const cases[] = {
        {0, "", RecipientStatus::delivered, "2.0.0", "delivered to the mailbox"},
        {75, "disk full\n", RecipientStatus::temporary, "4.3.0", "disk full"},
        {73, "", RecipientStatus::temporary, "4.2.0", "the mailbox cannot be created"},
        {77, "", RecipientStatus::temporary, "4.2.0", "the mailbox does not permit it"},
        {67, "", RecipientStatus::permanent, "5.1.1", "there is no such user"},
        {65, "bad\r\nmail\n", RecipientStatus::permanent, "5.6.0", "bad  mail"},
        {64, "", RecipientStatus::temporary, "4.3.5", "the delivery program was called wrongly"},
        {1, "", RecipientStatus::temporary, "4.3.0", "the delivery program ended with status 1"},
        {-1, "", RecipientStatus::temporary, "4.3.0", "the delivery program ended with status -1"},
        {75, "\x1b[31m\xff", RecipientStatus::temporary, "4.3.0", "\\x1b[31m\\xff"},
        {75, " \n", RecipientStatus::temporary, "4.3.0", "the delivery failed for now"},
    };
    for (const auto& c : cases) {
        const ipc::RecipientOutcome outcome = outcome_of_exit(c.status, c.said);
        EXPECT_EQ(outcome.status, c.outcome) << c.status;
        EXPECT_EQ(outcome.enhanced, c.enhanced) << c.status;
        EXPECT_EQ(outcome.diagnostic, c.diagnostic);
        EXPECT_EQ(outcome.handover, ipc::Handover::delivered); // into the mailbox, if at all
    }
}

TEST(ExitStatus, OfACommandIsItsOwnVerdict) {
    struct {
        int status;
        RecipientStatus outcome;
        const char* enhanced;
    } const cases[] = {
        {0, RecipientStatus::delivered, "2.0.0"},
        {1, RecipientStatus::temporary, "4.3.0"}, // of a script that failed
        {64, RecipientStatus::temporary, "4.3.5"},
        {65, RecipientStatus::permanent, "5.6.0"},
        {67, RecipientStatus::permanent, "5.1.1"},
        {68, RecipientStatus::permanent, "5.1.2"},
        {69, RecipientStatus::permanent, "5.3.0"},
        {70, RecipientStatus::temporary, "4.3.0"},
        {73, RecipientStatus::temporary, "4.2.0"},
        {75, RecipientStatus::temporary, "4.3.0"},
        {76, RecipientStatus::permanent, "5.5.0"},
        {77, RecipientStatus::permanent, "5.7.0"},
        {78, RecipientStatus::temporary, "4.3.5"},
        {127, RecipientStatus::temporary, "4.3.0"}, // a shell has not found it
    };
    for (const auto& c : cases) {
        const ipc::RecipientOutcome outcome = outcome_of_exit(c.status, "", Method::command);
        EXPECT_EQ(outcome.status, c.outcome) << c.status;
        EXPECT_EQ(outcome.enhanced, c.enhanced) << c.status;
        EXPECT_FALSE(outcome.diagnostic.empty());
    }
    EXPECT_EQ(outcome_of_exit(69, "").status, RecipientStatus::temporary); // not a command's
}

TEST(ExitStatus, TheDiagnosticIsBounded) {
    for (char c : {'x', '\xff', '\n'}) {
        const auto outcome = outcome_of_exit(75, "a" + std::string(100'000, c) + "b");
        EXPECT_LE(outcome.diagnostic.size(), diagnostic_limit);
    }
}

} // namespace
} // namespace postern
