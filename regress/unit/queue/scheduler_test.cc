// The scheduler alone, by scripts. One line is one step: the time, what happens, and what is
// expected of it.
//
//     0 add a one          job a for destination "one" is routed there
//     0 high a one         the same, of a raised priority; "low"; "urgent"
//     0 add-many a 3 one   jobs a0, a1 and a2
//     0 next a             the relay asks for work and gets a ("-": nothing)
//     5 down a             a comes back: nobody could be reached ("answered", "hindered"; "none":
//                          put back)
//     300 release          holds that are over end; "release a b": a and b have expired
#include "queue/scheduler.h"

#include <gtest/gtest.h>
#include <map>
#include <sstream>

namespace postern {
namespace {

constexpr uint16_t relay = 1;

class Script {
  public:
    explicit Script(const ipc::QueueSettings& settings = plain_settings())
        : scheduler(prepare(settings)) {
        scheduler.set_capacity(relay, 100);
    }
    static ipc::QueueSettings plain_settings() {
        ipc::QueueSettings settings;
        settings.max_per_destination = 2;
        settings.relays = 1;
        settings.retry_delay = std::chrono::seconds(300);
        settings.retry_max = std::chrono::seconds(1200);
        return settings;
    }
    static SchedulerSettings prepare(const ipc::QueueSettings& settings) {
        return {settings.relays, Allowances(settings)};
    }

    void play(const std::vector<std::string>& lines) {
        for (const std::string& line : lines) {
            SCOPED_TRACE(line);
            std::istringstream words(line);
            std::string verb;
            words >> now >> verb;
            std::vector<std::string> arguments;
            for (std::string word; words >> word;)
                arguments.push_back(word);
            step(verb, arguments);
            if (::testing::Test::HasFailure())
                return;
        }
    }

    // The time of the script, as the clock has it that does not jump.
    TimePoint clock() const { return TimePoint(std::chrono::seconds(1'000'000 + now)); }
    Job* next(uint16_t deliverer = relay) { return scheduler.next(deliverer, clock()); }

    Job& job(const std::string& name) { return *jobs.at(name); }
    std::string name_of(const Job* wanted) const {
        for (const auto& [name, job] : jobs)
            if (job == wanted)
                return name;
        return "-";
    }

    MailTable table;
    Scheduler scheduler;
    std::map<std::string, Job*> jobs;
    WallTime now = 0;

  private:
    void add(const std::string& name, const std::string& destination, uint32_t expires, bool urgent,
             uint8_t rank = 1) {
        StoredMessage message;
        message.envelope.recipients = {name};
        Job& job = table.make_job(table.add(++last_id_, encode(message), message, 1));
        MailTable::add_to(job, 0);
        job.expires_at = expires;
        job.urgent = urgent;
        job.rank = rank;
        jobs[name] = &job;
        scheduler.enqueue(job, {destination, destination, destination == "mailbox"}, false);
    }
    void step(const std::string& verb, const std::vector<std::string>& words) {
        if (verb == "add-many") {
            for (unsigned long i = 0; i < std::stoul(words[1]); ++i)
                add(words[0] + std::to_string(i), words[2], 1'000'000, false);
            return;
        }
        const auto expires =
            words.size() > 2 ? static_cast<uint32_t>(std::stoul(words[2])) : 1'000'000;
        if (verb == "add")
            add(words[0], words[1], expires, false);
        else if (verb == "high" || verb == "low")
            add(words[0], words[1], expires, false, verb == "high" ? 0 : 2);
        else if (verb == "urgent")
            add(words[0], words[1], 1'000'000, true);
        else if (verb == "next")
            EXPECT_EQ(name_of(next()), words[0]);
        else if (verb == "at-once") // so many go out
            EXPECT_EQ(hand_out(), std::stoul(words[0]));
        else if (verb == "answered")
            scheduler.settle(job(words[0]), Attempt::answered, "", now, 0);
        else if (verb == "down")
            scheduler.settle(job(words[0]), Attempt::down, "refused", now, 0);
        else if (verb == "hindered")
            scheduler.settle(job(words[0]), Attempt::hindered, "421", now, 0);
        else if (verb == "none")
            scheduler.put_back(job(words[0]), false);
        else if (verb == "withdraw")
            scheduler.withdraw(job(words[0]));
        else if (verb == "lift_all")
            scheduler.lift_all();
        else if (verb == "pause")
            scheduler.pause_relays(true);
        else if (verb == "resume")
            scheduler.pause_relays(false);
        else if (verb == "credit")
            scheduler.set_capacity(relay, static_cast<uint32_t>(std::stoul(words[0])));
        else if (verb == "wakes")
            EXPECT_EQ(scheduler.next_event(now), std::stol(words[0]));
        else if (verb == "refills") // the first time, in milliseconds after `now`; "-": never
            EXPECT_EQ(scheduler.next_refill() == TimePoint::max()
                          ? "-"
                          : std::to_string(std::chrono::floor<std::chrono::milliseconds>(
                                               scheduler.next_refill() - clock())
                                               .count()),
                      words[0]);
        else if (verb == "give-back") // it was not tried
            scheduler.settle(job(words[0]), Attempt::none, "", now, 0);
        else if (verb == "release")
            release(words);
        else
            FAIL() << "no such verb";
    }
    size_t hand_out() {
        size_t count = 0;
        while (next())
            ++count;
        return count;
    }
    void release(const std::vector<std::string>& expected) {
        scheduler.refill(clock());
        std::vector<std::string> expired;
        for (uint32_t destination : scheduler.release_holds(now))
            for (Job* job : scheduler.expired(destination, now))
                expired.push_back(name_of(job));
        EXPECT_EQ(expired, expected);
    }

    uint64_t last_id_ = 0;
};

struct Scenario {
    const char* name;
    std::vector<std::string> lines;
};

class SchedulerScenario : public ::testing::TestWithParam<Scenario> {};

TEST_P(SchedulerScenario, Plays) { Script().play(GetParam().lines); }

const Scenario scenarios[] = {
    {"FirstComeFirstServed", {"0 add a one", "0 add b one", "0 next a", "0 next b", "0 next -"}},
    {"PrioritiesGoBeforeOneAnother",
     {"0 low l1 one", "0 add a one", "0 high h1 one", "0 low l2 one", "0 high h2 one",
      "0 add b one", "0 next h1", "0 next h2", "0 answered h1", "0 answered h2", "0 next a",
      "0 next l1", "0 answered a", "0 answered l1", "0 next b", "0 next l2", "0 next -"}},
    {"EveryFourthIsOneOfTheOthers",
     {"0 low l one", "0 high a one", "0 high b one", "0 high c one", "0 high d one", "0 next a",
      "0 answered a", "0 next b", "0 answered b", "0 next c", "0 answered c", "0 next l",
      "0 answered l", "0 next d"}},
    {"WhatIsPutBackIsFirstOfItsPriority",
     {"0 low l1 one", "0 low l2 one", "0 next l1", "0 add a one", "1 none l1", "1 next a",
      "1 next l1", "1 answered a", "1 next l2"}},
    {"UrgentMailGoesBeforeAPriority",
     {"0 high h one", "0 urgent u one", "0 low l one", "0 next u", "0 next h"}},
    {"PrioritiesAreWithinADestination",
     {"0 low l one", "0 high h two", "0 high i two", "0 next l", "0 next h", "0 next i"}},
    {"WithdrawnAndExpiredOfEachPriority",
     {"0 high h one", "0 low l one", "0 low m one", "0 add x one", "0 next h", "0 withdraw l",
      "0 down h", "0 low n one 60", "0 add a one 50", "50 release a", "60 release n", "300 release",
      "300 next x", "301 answered x", "301 next m", "301 next -"}},
    {"NoMoreThanTwoAtOnce",
     {"0 add a one", "0 add b one", "0 add c one", "0 next a", "0 next b", "0 next -",
      "1 answered a", "1 next c", "1 next -"}},
    {"DestinationsTakeTurns",
     {"0 add a1 a", "0 add a2 a", "0 add a3 a", "0 add b1 b", "0 add c1 c", "0 add c2 c",
      "0 next a1", "0 next b1", "0 next c1", "0 next a2", "0 next c2", "0 next -"}},
    {"CreditIsTheLimit",
     {"0 credit 1", "0 add a one", "0 add b two", "0 next a", "0 next -", "1 answered a",
      "1 next b", "1 credit 2", "1 add c three", "1 next c", "1 next -"}},
    {"CreditMayShrinkBelowWhatIsOpen",
     {"0 add a one", "0 add b two", "0 add c three", "0 next a", "0 next b", "0 credit 1",
      "0 next -", "1 answered a", "1 next -", "1 answered b", "1 next c"}},
    {"WhatIsPutBackIsNext",
     {"0 add a one", "0 add b one", "0 add c one", "0 next a", "0 next b", "1 none b", "1 none a",
      "1 next a", "1 next b"}},
    {"ADeadDestinationIsHeldThenProbedThenOpened",
     {"0 add a one", "0 add b one", "0 add c one", "0 next a", "1 down a", "1 next -",
      "1 wakes 301", "300 release", "300 next -", "301 release", "301 next b", "301 next -",
      "302 answered b", "302 next c"}},
    {"EachHoldIsLonger",
     {"0 add a one",    "0 add b one",   "0 add c one", "0 add d one", "0 add e one",
      "0 next a",       "0 down a",      "0 wakes 300", "300 release", "300 next b",
      "300 down b",     "300 wakes 900", "900 release", "900 next c",  "900 down c",
      "900 wakes 2100", "2100 release",  "2100 next d", "2100 down d", "2100 wakes 3300"}},
    {"WhatFailsTogetherFailsOnce",
     {"0 add a one", "0 add b one", "0 add c one", "0 next a", "0 next b", "0 down a", "10 down b",
      "10 wakes 300", "300 release", "300 next c"}},
    {"AnAnswerEndsTheHold",
     {"0 add a one", "0 add b one", "0 add c one", "0 next a", "0 next b", "0 down a", "0 next -",
      "1 answered b", "1 next c"}},
    {"OthersAreNotHeld",
     {"0 add a one", "0 add b one", "0 add x two", "0 next a", "0 down a", "0 next x", "0 next -"}},
    {"NewMailWaitsForTheHold",
     {"0 add a one", "0 next a", "0 down a", "5 add b one", "5 next -", "300 release",
      "300 next b"}},
    {"UrgentMailEndsTheHoldAndGoesFirst",
     {"0 add a one", "0 add b one", "0 next a", "0 down a", "5 urgent u one", "5 next u",
      "5 next b"}},
    {"LiftingAllHolds",
     {"0 add a one", "0 add b one", "0 next a", "0 down a", "0 next -", "1 lift_all", "1 next b"}},
    {"PausedRelaysGetNothing", {"0 pause", "0 add a one", "0 next -", "0 resume", "0 next a"}},
    {"WithdrawnJobsAreGone",
     {"0 add a one", "0 add b one", "0 withdraw a", "0 next b", "0 next -"}},
    {"HeldMailExpiresWhereItLies",
     {"0 add a one", "0 add b one 100", "0 add c one 200", "0 add d one", "0 next a", "0 down a",
      "0 add e one 50", "49 release", "50 release e", "100 release b", "100 wakes 200",
      "200 release c", "300 release", "300 next d"}},
    {"MailThatExpiredBeforeTheHoldExpiresAtOnce",
     {"0 add a one", "0 next a", "0 down a", "10 add b one 9", "10 release b"}},
    {"ThingsForgottenStartAfresh",
     {"0 add a one", "0 next a", "0 down a", "300 release", "300 add b one", "300 next b",
      "300 down b", "300 wakes 600"}},
};

INSTANTIATE_TEST_SUITE_P(Scripts, SchedulerScenario, ::testing::ValuesIn(scenarios),
                         [](const auto& info) { return std::string(info.param.name); });

// The window: what it does is in concurrency_window_test.cc.
const Scenario window_scenarios[] = {
    {"BeginsWithFiveAndGrowsWithEachAnswer",
     {"0 add-many a 30 one", "0 at-once 5", "0 answered a0", "0 at-once 2", "0 answered a1",
      "0 answered a2", "0 at-once 4", "0 answered a3", "0 answered a4", "0 answered a5",
      "0 answered a6", "0 at-once 8", "0 answered a7", "0 at-once 2"}},
    {"ShrinksWhenItIsTurnedAway",
     {"0 add-many a 30 one", "0 at-once 5", "0 hindered a0", "0 at-once 0", "0 hindered a1",
      "0 hindered a2", "0 at-once 0", "0 answered a3", "0 at-once 1", "0 answered a4",
      "0 at-once 1"}},
    {"OneAtATimeWhenNothingGetsThrough",
     {"0 add-many a 30 one", "0 at-once 5", "0 hindered a0", "0 hindered a1", "0 hindered a2",
      "0 hindered a3", "0 hindered a4", "0 at-once 2", "0 hindered a5", "0 hindered a6",
      "0 at-once 1", "0 hindered a7", "0 at-once 1", "0 hindered a8", "0 at-once 1"}},
    {"AKnownHostIsHeldWhenAllFail",
     {"0 add-many a 30 one", "0 at-once 5", "0 answered a0", "0 at-once 2", "1 down a1",
      "1 at-once 0", "1 down a2", "1 down a3", "1 down a4", "1 down a5", "1 at-once 2", "1 down a6",
      "1 at-once 0", "1 wakes 301"}},
    {"AKnownHostIsNotHeldForOneOfMany",
     {"0 add-many a 30 one", "0 at-once 5", "0 answered a0", "0 at-once 2", "1 down a1",
      "1 answered a2", "1 answered a3", "1 answered a4", "1 answered a5", "1 at-once 2"}},
    {"AShrunkWindowIsRemembered",
     {"0 add-many a 5 one", "0 at-once 5", "0 hindered a0", "0 answered a1", "0 answered a2",
      "0 answered a3", "0 answered a4", "0 wakes 600", "599 release", "599 add-many b 9 one",
      "599 at-once 2", "599 answered b0", "599 answered b1", "599 at-once 3", "599 answered b2",
      "599 answered b3", "599 answered b4", "599 at-once 4"}},
    {"AndForgottenAfterTenMinutes",
     {"0 add-many a 5 one", "0 at-once 5", "0 hindered a0", "0 answered a1", "0 answered a2",
      "0 answered a3", "0 answered a4", "600 release", "600 add-many b 9 one", "600 at-once 5"}},
};

class WindowScenario : public ::testing::TestWithParam<Scenario> {};

TEST_P(WindowScenario, Plays) {
    ipc::QueueSettings settings = Script::plain_settings();
    settings.max_per_destination = 20;
    Script(settings).play(GetParam().lines);
}

INSTANTIATE_TEST_SUITE_P(Scripts, WindowScenario, ::testing::ValuesIn(window_scenarios),
                         [](const auto& info) { return std::string(info.param.name); });

// Under `mta limit for domain slow rate 2/10s max-deliveries 3`: one in 5.05 s.
const Scenario rate_scenarios[] = {
    {"OneAtATime",
     {"0 add-many a 9 slow", "0 next a0", "0 next -", "0 refills 4950", "4 release", "4 next -",
      "5 release", "5 next a1", "5 next -", "9 release", "9 next -", "11 release", "11 next a2",
      "11 next -"}},
    {"OthersGoOn",
     {"0 add-many a 9 slow", "0 add-many b 2 one", "0 next a0", "0 next b0", "0 next b1",
      "0 next -"}},
    {"WhatWasNotSentDoesNotCount",
     {"0 add-many a 9 slow", "0 next a0", "0 next -", "0 give-back a0", "0 release", "0 next a1",
      "0 next -", "0 refills 4950"}},
    {"IsRememberedWhenThereIsNoMail",
     {"0 add a slow", "0 next a", "0 answered a", "1 add b slow", "1 next -", "5 release",
      "5 next b", "5 answered b", "6 refills 4000", "11 release", "11 refills -"}},
    {"AlsoWhenTheMailIsWithdrawn",
     {"0 add a slow", "0 add b slow", "0 next a", "0 answered a", "0 withdraw b", "1 add c slow",
      "1 next -", "5 release", "5 next c"}},
    {"AndWhenItIsHeld",
     {"0 add-many a 3 slow", "0 next a0", "0 down a0", "5 release", "5 next -", "300 release",
      "300 next a1", "300 answered a1", "300 next -", "305 release", "305 next a2"}},
    {"DeliveriesAtOnceAreLimitedToo",
     {"0 add-many a 9 slow", "0 next a0", "10 release", "10 next a1", "20 release", "20 next a2",
      "30 release", "30 next -", "30 answered a0", "30 next a3", "30 answered a1", "30 next -"}},
};

class RateScenario : public ::testing::TestWithParam<Scenario> {};

ipc::QueueSettings with_rate(const char* domain) {
    ipc::QueueSettings settings = Script::plain_settings();
    settings.limits = {{{{domain}}, 3, 2, std::chrono::seconds(10)}};
    return settings;
}

TEST_P(RateScenario, Plays) { Script(with_rate("slow")).play(GetParam().lines); }

INSTANTIATE_TEST_SUITE_P(Scripts, RateScenario, ::testing::ValuesIn(rate_scenarios),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(Scheduler, RatesFollowAReload) {
    Script script(with_rate("slow"));
    script.play({"0 add-many a 9 slow", "0 next a0", "0 next -"});
    script.scheduler.configure(Script::prepare(with_rate("other")));
    script.play({"0 release", "0 next a1", "0 next -", "0 answered a0", "0 next a2"});
    script.scheduler.configure(Script::prepare(with_rate("slow")));
    script.play({"0 answered a1", "0 next a3", "0 next -", "11 release", "11 next a4"});
}

// A mistake in the configuration is over when it is corrected.
TEST(Scheduler, AnotherRateBeginsAnew) {
    ipc::QueueSettings mistaken = with_rate("slow");
    mistaken.limits[0].period = std::chrono::hours(24);
    Script script(mistaken);
    script.play({"0 add-many a 9 slow", "0 next a0", "0 answered a0", "100 release", "100 next -"});
    script.scheduler.configure(Script::prepare(with_rate("slow")));
    script.play({"100 next a1"});
}

TEST(Scheduler, DestinationsAreForgottenWhenNothingIsLeft) {
    Script script;
    script.play({"0 add a one", "0 add b two", "0 next a", "0 next b", "0 answered a"});
    EXPECT_EQ(script.scheduler.destinations(), 1u);
    script.play({"0 down b"});
    EXPECT_EQ(script.scheduler.destinations(), 1u) << "that it is held is remembered";
    script.play({"300 release"});
    EXPECT_EQ(script.scheduler.destinations(), 0u);
}

TEST(Scheduler, LocalMailHasItsOwnDeliverer) {
    Script script;
    script.scheduler.set_capacity(Scheduler::local_deliverer, 1);
    script.play({"0 add a mailbox", "0 add b one", "0 next b", "0 next -"});
    EXPECT_EQ(script.name_of(script.next(Scheduler::local_deliverer)), "a");
    script.scheduler.pause_local(true);
    EXPECT_TRUE(script.scheduler.paused(script.job("a")));
    EXPECT_FALSE(script.scheduler.paused(script.job("b")));
}

TEST(Scheduler, ADestinationKeepsItsRelay) {
    ipc::QueueSettings settings = Script::plain_settings();
    settings.relays = 4;
    Script script(settings);
    for (uint16_t i = 1; i <= 4; ++i)
        script.scheduler.set_capacity(i, 100);
    std::map<std::string, uint16_t> seen;
    std::map<uint16_t, int> used;
    for (int round = 0; round < 2; ++round) {
        for (int i = 0; i < 40; ++i) {
            const std::string destination = "host" + std::to_string(i);
            const std::string name = destination + "/" + std::to_string(round);
            script.play({"0 add " + name + " " + destination});
            for (uint16_t deliverer = 1; deliverer <= 4; ++deliverer) {
                if (Job* job = script.next(deliverer)) {
                    if (round == 0)
                        ++used[seen[destination] = deliverer];
                    EXPECT_EQ(seen[destination], deliverer);
                    script.scheduler.settle(*job, Attempt::answered, "", 0, 0);
                }
            }
        }
    }
    EXPECT_EQ(seen.size(), 40u);
    EXPECT_EQ(used.size(), 4u) << "all relays have work";
}

TEST(Scheduler, FewerRelaysAfterAReload) {
    ipc::QueueSettings settings = Script::plain_settings();
    settings.relays = 4;
    Script script(settings);
    for (int i = 0; i < 20; ++i)
        script.play({"0 add j" + std::to_string(i) + " host" + std::to_string(i)});
    settings.relays = 1;
    script.scheduler.configure(Script::prepare(settings));
    int count = 0;
    while (script.next())
        ++count;
    EXPECT_EQ(count, 20);
}

TEST(Scheduler, MessagesComeDueInOrder) {
    MailTable table;
    Scheduler scheduler(Script::prepare(Script::plain_settings()));
    const uint32_t times[] = {50, 10, 40, 10, 30, 20, 60, 10};
    StoredMessage message;
    message.envelope.recipients = {"x", "y"};
    uint64_t id = 0;
    for (uint32_t time : times) {
        QueuedMessage& queued = table.add(++id, encode(message), message, 1);
        queued.recipients[0].next_attempt = time + 5;
        queued.recipients[1].next_attempt = time;
        scheduler.update(queued);
    }
    EXPECT_EQ(scheduler.due(9), nullptr);
    EXPECT_EQ(scheduler.next_event(0), 10);
    table.find(7)->recipients[0].next_attempt = 5; // moved forward
    scheduler.update(*table.find(7));
    std::vector<uint64_t> order;
    while (QueuedMessage* due = scheduler.due(100)) {
        order.push_back(due->id);
        for (uint32_t i : {0u, 1u})
            table.set_stage(due->recipients[i], Stage::routing);
        scheduler.update(*due);
    }
    EXPECT_EQ(order, (std::vector<uint64_t>{7, 2, 4, 8, 6, 5, 3, 1}));
    EXPECT_EQ(scheduler.next_event(0), INT64_MAX);
}

} // namespace
} // namespace postern
