#include "smtpd/supervisor/delivery_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sysexits.h>

namespace postern {
namespace {

using Words = std::vector<std::string>;
using ipc::TargetKind;

struct DeliveryPlanTest : testing::Test {
    DeliveryPlanTest() {
        for (auto [name, kind] :
             {std::pair("box", ActionKind::maildir), std::pair("spool", ActionKind::mbox),
              std::pair("pipe", ActionKind::mda), std::pair("out", ActionKind::relay)}) {
            Action action;
            action.name = name;
            action.kind = kind;
            configuration.actions.push_back(action);
        }
        configuration.actions[2].command = {"/bin/mda", "-f", "%{sender}", "%{dest.user:raw}"};
    }

    static ipc::Spawn request(const std::string& action) {
        ipc::Spawn spawn;
        spawn.action = action;
        spawn.user = "alice";
        spawn.reverse_path = "From@far.test";
        spawn.recipient = "Alice+Tag@d.example";
        return spawn;
    }
    Result<DeliveryPlan> plan(const ipc::Spawn& spawn) {
        Result<const Action*> action = find_action(configuration, spawn);
        if (!action)
            return action.error();
        return plan_delivery(**action, spawn, {"alice", "/home/alice", 1000, 1000}, configuration);
    }

    Configuration configuration;
};

TEST_F(DeliveryPlanTest, WhatTheActionSays) {
    struct {
        const char* action;
        Words arguments;
        bool is_command, in_mail_spool;
    } const cases[] = {
        {"box", {"--forward", "maildir", "/home/alice/Maildir"}, false, false},
        {"spool", {"--forward", "mbox", "/var/mail/alice"}, false, true},
        {"pipe",
         {"--forward", "command", "/bin/mda", "-f", "From@far.test", "Alice+Tag"},
         true,
         false},
    };
    for (const auto& c : cases) {
        const Result<DeliveryPlan> made = plan(request(c.action));
        ASSERT_TRUE(made.ok()) << made.error().message;
        EXPECT_EQ(made->arguments, c.arguments);
        EXPECT_EQ(made->is_command, c.is_command);
        EXPECT_EQ(made->in_mail_spool, c.in_mail_spool);
    }
    // In a place of the operator's own the group mail has no part.
    configuration.actions[1].maildir_path = "/srv/%{rcpt.user:lowercase|strip}";
    const Result<DeliveryPlan> made = plan(request("spool"));
    EXPECT_EQ(made->arguments, (Words{"--forward", "mbox", "/srv/alice"}));
    EXPECT_FALSE(made->in_mail_spool);
}

TEST_F(DeliveryPlanTest, OnlyWhatTheConfigurationNames) {
    for (const char* action : {"another", "out", ""}) {
        const Result<DeliveryPlan> made = plan(request(action));
        ASSERT_FALSE(made.ok());
        EXPECT_EQ(made.error().code, EX_TEMPFAIL);
        EXPECT_EQ(made.error().message, std::string("there is no local action ") + action);
    }
    configuration.actions[0].user = "vmail";
    const Result<DeliveryPlan> made = plan(request("box"));
    ASSERT_FALSE(made.ok());
    EXPECT_EQ(made.error().message, "action box does not deliver as alice");
}

TEST_F(DeliveryPlanTest, WhenNoForwardIsLookedAt) {
    ipc::Spawn spawn = request("box");
    spawn.target = ipc::Target{TargetKind::mailbox, "alice", ""};
    EXPECT_EQ(plan(spawn)->arguments, (Words{"maildir", "/home/alice/Maildir"}));
    configuration.actions[0].user = "alice"; // for all who write to him
    EXPECT_EQ(plan(request("box"))->arguments, (Words{"maildir", "/home/alice/Maildir"}));
}

// A `local` that strangers have broken into can ask for nothing but what stands there.
TEST_F(DeliveryPlanTest, CommandsOfAliasesStandInTheTableOfTheAction) {
    Table aliases;
    aliases.is_mapping = true;
    aliases.pairs = {{"list", "bob, \"|/bin/list -a 'x'\", /srv/archive"}, {"odd", "\"|bad"}};
    configuration.tables["aliases"] = aliases;
    configuration.actions[0].aliases = "aliases";
    configuration.actions[0].user = "alice";
    ipc::Spawn spawn = request("box");
    spawn.target = ipc::Target{TargetKind::command, "/bin/list -a 'x'", ""};
    const Result<DeliveryPlan> made = plan(spawn);
    ASSERT_TRUE(made.ok()) << made.error().message;
    EXPECT_EQ(made->arguments, (Words{"command", "/bin/sh", "-c", "/bin/list -a 'x'"}));
    EXPECT_TRUE(made->is_command);
    spawn.target = ipc::Target{TargetKind::file, "/srv/archive", ""};
    EXPECT_EQ(plan(spawn)->arguments, (Words{"mbox", "/srv/archive"}));
    for (const ipc::Target& foreign : {ipc::Target{TargetKind::command, "/bin/list", ""},
                                       ipc::Target{TargetKind::command, "/srv/archive", ""},
                                       ipc::Target{TargetKind::file, "/etc/passwd", ""},
                                       ipc::Target{TargetKind::command, "", ""}}) {
        spawn.target = foreign;
        EXPECT_FALSE(plan(spawn).ok()) << foreign.text;
    }
    // Whatever the action does with others.
    for (ActionKind kind :
         {ActionKind::expand_only, ActionKind::forward_only, ActionKind::lmtp, ActionKind::mda}) {
        configuration.actions[0].kind = kind;
        spawn.target = ipc::Target{TargetKind::command, "/bin/list -a 'x'", ""};
        EXPECT_EQ(plan(spawn)->arguments, (Words{"command", "/bin/sh", "-c", "/bin/list -a 'x'"}));
        spawn.target = ipc::Target{TargetKind::file, "/srv/archive", ""};
        EXPECT_EQ(plan(spawn)->arguments, (Words{"mbox", "/srv/archive"}));
    }
    configuration.actions[0].kind = ActionKind::expand_only;
    for (const ipc::Target& other :
         {ipc::Target{TargetKind::mailbox, "alice", ""},
          ipc::Target{TargetKind::command, "/bin/list -a 'x'", "alice"}}) {
        spawn.target = other;
        EXPECT_FALSE(plan(spawn).ok()) << other.text;
    }
    configuration.actions[0].kind = ActionKind::maildir;
    // As the action's user, and nobody else; and by no other action.
    spawn.target = ipc::Target{TargetKind::file, "/srv/archive", ""};
    configuration.actions[0].user = "vmail";
    EXPECT_FALSE(plan(spawn).ok());
    configuration.actions[0].user.clear();
    EXPECT_FALSE(plan(spawn).ok());
    spawn.action = "spool";
    EXPECT_FALSE(plan(spawn).ok());
}

// The helper looks for it there itself, as that user.
TEST_F(DeliveryPlanTest, CommandsOfAForwardRunAsItsOwner) {
    ipc::Spawn spawn = request("box");
    spawn.target = ipc::Target{TargetKind::command, "vacation", "alice"};
    EXPECT_EQ(plan(spawn)->arguments, (Words{"listed", "command", "vacation"}));
    EXPECT_TRUE(plan(spawn)->is_command);
    spawn.target = ipc::Target{TargetKind::file, "/home/alice/copy", "alice"};
    EXPECT_EQ(plan(spawn)->arguments, (Words{"listed", "file", "/home/alice/copy"}));
    spawn.target->user = "bob";
    EXPECT_FALSE(plan(spawn).ok());
    spawn.target->user = "alice";
    configuration.actions[0].user = "alice"; // where no .forward is looked at
    EXPECT_FALSE(plan(spawn).ok());
}

TEST_F(DeliveryPlanTest, TheEnvironment) {
    ipc::Spawn spawn = request("pipe");
    spawn.original_recipient = "rfc822;List+2BA@d.example";
    Words environment = plan(spawn)->environment;
    std::sort(environment.begin(), environment.end());
    EXPECT_EQ(environment, (Words{
                               "DOMAIN=d.example",
                               "EXTENSION=Tag",
                               "HOME=/home/alice",
                               "LOCAL=Alice+Tag",
                               "LOGNAME=alice",
                               "ORIGINAL_RECIPIENT=List+A@d.example",
                               "PATH=/usr/local/bin:/usr/bin:/bin",
                               "RECIPIENT=Alice+Tag@d.example",
                               "SENDER=From@far.test",
                               "SHELL=/bin/sh",
                               "USER=alice",
                           }));
}

TEST_F(DeliveryPlanTest, TheEnvironmentIsHarmless) {
    ipc::Spawn spawn = request("pipe");
    spawn.recipient = "postmaster";
    spawn.reverse_path = "a\nPATH=/tmp\x7f" + std::string(5000, 'x');
    const Result<DeliveryPlan> made = plan(spawn);
    for (const std::string& entry : made->environment) {
        EXPECT_LE(entry.size(), 1100u);
        EXPECT_EQ(entry.find('\n'), std::string::npos);
        if (entry.starts_with("SENDER=")) {
            EXPECT_TRUE(entry.starts_with("SENDER=a?PATH=/tmp?x"));
        }
        if (entry.starts_with("LOCAL=")) {
            EXPECT_EQ(entry, "LOCAL=postmaster");
        }
        if (entry.starts_with("DOMAIN=")) {
            EXPECT_EQ(entry, "DOMAIN=");
        }
        if (entry.starts_with("ORIGINAL_RECIPIENT=")) {
            EXPECT_EQ(entry, "ORIGINAL_RECIPIENT=postmaster");
        }
    }
}

} // namespace
} // namespace postern
