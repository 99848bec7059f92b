#include "queue/failure.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

ipc::RecipientOutcome outcome(ipc::RecipientStatus status, const char* enhanced, const char* text,
                              bool from_remote = true, const char* remote = "mx.example:25") {
    ipc::RecipientOutcome result;
    result.status = status;
    result.enhanced = enhanced;
    result.diagnostic = text;
    result.from_remote = from_remote;
    result.remote = remote;
    return result;
}
constexpr auto temporary = ipc::RecipientStatus::temporary;
constexpr auto permanent = ipc::RecipientStatus::permanent;

TEST(Failure, WhatTurnsMailAwayForNow) {
    struct Case {
        ipc::RecipientOutcome outcome;
        bool hinders;
    };
    const Case cases[] = {
        {outcome(temporary, "4.0.0", "421 too many connections"), true},
        {outcome(temporary, "4.7.0", "421 4.7.0 slow down"), true},
        {outcome(temporary, "4.7.1", "450 4.7.1 client host rejected"), true},
        {outcome(temporary, "4.7.28", "451 4.7.28 unusual rate of mail"), true},
        {outcome(temporary, "4.7.1", "450 4.7.1 <b@x>: Recipient address rejected: Greylisted"),
         false},
        {outcome(temporary, "4.7.0", "451 4.7.0 gray-listing in effect"), false},
        {outcome(temporary, "4.7.0", "451 4.7.0 GREY LISTED"), false},
        {outcome(temporary, "4.7.0", "451 4.7.0 the group is greedy, gray area"), true},
        {outcome(temporary, "4.2.2", "452 4.2.2 mailbox full"), false},
        {outcome(temporary, "4.3.0", "451 4.3.0 try later"), false},
        {outcome(permanent, "5.7.1", "550 5.7.1 no"), false},
        {outcome(ipc::RecipientStatus::delivered, "2.0.0", "250 ok"), false},
        {outcome(temporary, "4.4.2", "timed out while waiting for the reply to DATA", false), true},
        {outcome(temporary, "4.7.4", "the action requires TLS", false), false},
        {outcome(temporary, "4.4.3", "no DNS", false, ""), false},
        {outcome(temporary, "nonsense", "42", true), false},
        {outcome(temporary, "", "", true), false},
    };
    for (const Case& c : cases)
        EXPECT_EQ(hinders(c.outcome), c.hinders) << c.outcome.diagnostic;
}

TEST(Failure, KindsForRetries) {
    struct Case {
        const char* enhanced;
        const char* text;
        bool from_remote;
        FailureClass expected;
    };
    const Case cases[] = {
        {"4.4.1", "connection refused", false, FailureClass::unreachable},
        {"4.4.2", "connection closed", false, FailureClass::unreachable},
        {"4.4.1", "451 4.4.1 our next hop is away", true, FailureClass::other},
        {"4.4.3", "the DNS did not answer", false, FailureClass::resolver},
        {"4.4.3", "450 4.4.3 we cannot look you up", true, FailureClass::resolver},
        {"4.4.4", "no rule says where it goes", false, FailureClass::other},
        {"4.0.0", "421 come back another day", true, FailureClass::throttled},
        {"4.4.2", "421 4.4.2 timed out", true, FailureClass::throttled},
        {"4.7.1", "450 4.7.1 no", true, FailureClass::throttled},
        {"4.7.4", "no TLS", false, FailureClass::other},
        {"4.2.0", "450 4.2.0 Greylisted", true, FailureClass::throttled},
        {"4.0.0", "451 greylisting in action", true, FailureClass::throttled},
        {"4.2.2", "452 4.2.2 over quota", true, FailureClass::mailbox},
        {"4.2.1", "the mailbox cannot be written", false, FailureClass::mailbox},
        {"4.3.0", "451 4.3.0 later", true, FailureClass::other},
        {"", "", false, FailureClass::other},
        {"4.7", "?", true, FailureClass::other},
    };
    for (const Case& c : cases) {
        AttemptError error;
        error.enhanced = c.enhanced;
        error.diagnostic = c.text;
        error.from_remote = c.from_remote;
        EXPECT_EQ(class_of(error), c.expected) << c.enhanced << " " << c.text;
    }
}

TEST(Failure, HowADeliveryCameBack) {
    const auto slow_down = outcome(temporary, "4.7.0", "421 4.7.0 slow down");
    const auto later = outcome(temporary, "4.3.0", "451 4.3.0 later");
    const auto nobody = outcome(permanent, "5.1.1", "550 5.1.1 who");
    EXPECT_EQ(attempt_of(true, {slow_down}), Attempt::down);
    EXPECT_EQ(attempt_of(false, {slow_down}), Attempt::hindered);
    EXPECT_EQ(attempt_of(false, {later, slow_down}), Attempt::hindered);
    EXPECT_EQ(attempt_of(false, {nobody, slow_down}), Attempt::answered) << "it was listened to";
    EXPECT_EQ(attempt_of(false, {later}), Attempt::answered);
}

} // namespace
} // namespace postern
