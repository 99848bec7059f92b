// The checks in simulated time; the supervisor, lookup and the helpers are played.
#include "smtpd/pam/checks.h"

#include <gtest/gtest.h>

#include <optional>
#include <sysexits.h>

#include "common/smtp/sasl.h"
#include "regress/support/simulated_time.h"

namespace postern::pam {
namespace {

using ipc::Authentication;
using namespace std::chrono_literals;
using namespace std::string_literals; // for strings with a NUL inside

class ChecksTest : public testing::Test {
  protected:
    ChecksTest() { checks_.configure({{"smtpd", "mail"}}); }

    void to_supervisor(ipc::ToSupervisor message) {
        if (auto* spawn = std::get_if<ipc::SpawnCheck>(&message))
            spawned_.push_back(std::move(*spawn));
        else
            killed_.push_back(std::get<ipc::Kill>(message).request);
    }
    void to_lookup(ipc::PamToLookup message) {
        answers_.push_back(std::get<ipc::PasswordChecked>(message));
    }
    bool ask(uint32_t request, const std::string& user = "alice",
             const std::string& password = "secret", const char* service = "smtpd") {
        ipc::CheckPassword question;
        question.request = request;
        question.service = service;
        question.user = user;
        question.password = Secret(password);
        question.client = *IpAddress::parse("2001:db8::7");
        return checks_.check(std::move(question));
    }
    // What the latest helper reads.
    ipc::PamQuestion question() {
        std::string bytes(ipc::pam_pipe_limit + 1, '\0');
        const ssize_t size = read(spawned_.back().question.get(), bytes.data(), bytes.size());
        bytes.resize(size > 0 ? static_cast<size_t>(size) : 0);
        char more;
        EXPECT_EQ(read(spawned_.back().question.get(), &more, 1), 0) << "the pipe ends";
        ipc::PamQuestion question;
        EXPECT_TRUE(ipc::decode_bytes(bytes, question));
        return question;
    }
    // A helper writes this, and ends so.
    void end(ipc::SpawnCheck& spawn, const std::string& bytes, int status = 0,
             const std::string& error = "") {
        EXPECT_EQ(write(spawn.finding.get(), bytes.data(), bytes.size()),
                  static_cast<ssize_t>(bytes.size()));
        spawn.finding.reset();
        ipc::Exited exited;
        exited.request = spawn.request;
        exited.status = status;
        exited.error = error;
        checks_.exited(exited);
    }
    static std::string finding(Authentication verdict, const std::string& user = "alice") {
        ipc::PamFinding finding;
        finding.verdict = verdict;
        finding.user = user;
        return ipc::encode_bytes(finding);
    }

    test::SimulatedTime time_;
    std::deque<ipc::SpawnCheck> spawned_;
    std::vector<uint32_t> killed_;
    std::vector<ipc::PasswordChecked> answers_;
    Checks checks_{time_,
                   {.helpers = 2, .waiting = 20s, .running = 30s},
                   {.to_supervisor = [this](ipc::ToSupervisor m) { to_supervisor(std::move(m)); },
                    .to_lookup = [this](ipc::PamToLookup m) { to_lookup(std::move(m)); }}};
};

TEST_F(ChecksTest, AQuestion) {
    ASSERT_TRUE(ask(77, "alice@x.example", "s3cret", "mail"));
    ASSERT_EQ(spawned_.size(), 1u);
    EXPECT_EQ(spawned_[0].service, "mail");
    const ipc::PamQuestion asked = question();
    EXPECT_EQ(asked.user, "alice@x.example");
    EXPECT_EQ(asked.password.view(), "s3cret");
    EXPECT_EQ(asked.remote_host, "2001:db8::7");
    EXPECT_TRUE(answers_.empty());
    end(spawned_[0], finding(Authentication::ok, "Alice"));
    ASSERT_EQ(answers_.size(), 1u);
    EXPECT_EQ(answers_[0].request, 77u);
    EXPECT_EQ(answers_[0].verdict, Authentication::ok);
    EXPECT_EQ(answers_[0].user, "Alice");
    EXPECT_EQ(checks_.open(), 0u);
    EXPECT_EQ(checks_.running(), 0u);
}

// Nothing but one whole finding and an orderly end is a verdict.
TEST_F(ChecksTest, WhatHelpersSay) {
    const std::string ok = finding(Authentication::ok);
    const std::string failed = finding(Authentication::failed);
    struct Row {
        const char* name;
        std::string written;
        int status;
        const char* error;
        Authentication verdict;
    } rows[] = {
        {"ok", ok, 0, "", Authentication::ok},
        {"failed", failed, 0, "", Authentication::failed},
        {"temporary", finding(Authentication::temporary), 0, "", Authentication::temporary},
        {"a module has called exit(0)", "", 0, "", Authentication::temporary},
        {"a crash", "", EX_TEMPFAIL, "ended by signal 11", Authentication::temporary},
        {"a crash behind it", ok, EX_TEMPFAIL, "ended by signal 11", Authentication::temporary},
        {"it was not started", "", EX_TEMPFAIL, "fork: no", Authentication::temporary},
        {"a bad status", ok, 1, "", Authentication::temporary},
        {"a bad status", failed, EX_IOERR, "", Authentication::temporary},
        {"a part of it", ok.substr(0, ok.size() - 1), 0, "", Authentication::temporary},
        {"more than it", ok + "x", 0, "", Authentication::temporary},
        {"two of them", failed + ok, 0, "", Authentication::temporary},
        {"something else before", "a module prints\n" + ok, 0, "", Authentication::temporary},
        {"no such verdict", "\3" + ok.substr(1), 0, "", Authentication::temporary},
        {"nobody", finding(Authentication::ok, ""), 0, "", Authentication::temporary},
        {"a NUL", finding(Authentication::ok, "alice\0"s), 0, "", Authentication::temporary},
        {"a control", finding(Authentication::ok, "al\nice"), 0, "", Authentication::temporary},
        {"a long name", finding(Authentication::ok, std::string(256, 'x')), 0, "",
         Authentication::temporary},
        {"too much", finding(Authentication::ok, std::string(ipc::pam_pipe_limit, 'x')), 0, "",
         Authentication::temporary},
    };
    for (const Row& row : rows) {
        ASSERT_TRUE(ask(1));
        end(spawned_.back(), row.written, row.status, row.error);
        ASSERT_FALSE(answers_.empty());
        EXPECT_EQ(answers_.back().verdict, row.verdict) << row.name;
        EXPECT_EQ(answers_.back().user, row.verdict == Authentication::ok ? "alice" : "");
    }
    EXPECT_EQ(answers_.size(), std::size(rows));
}

// Somebody may keep the other end of the pipe: it is not waited for.
TEST_F(ChecksTest, AnEndIsAnEnd) {
    ASSERT_TRUE(ask(1));
    const FileDescriptor kept(dup(spawned_[0].finding.get()));
    end(spawned_[0], finding(Authentication::failed));
    ASSERT_TRUE(ask(2));
    const FileDescriptor another(dup(spawned_[1].finding.get()));
    end(spawned_[1], "");
    ASSERT_EQ(answers_.size(), 2u);
    EXPECT_EQ(answers_[0].verdict, Authentication::failed);
    EXPECT_EQ(answers_[1].verdict, Authentication::temporary);
}

TEST_F(ChecksTest, WhatLookupMayAsk) {
    struct Row {
        const char* name;
        std::string user, password;
        const char* service;
        std::optional<Authentication> verdict; // nothing: it is checked
    } rows[] = {
        {"longest", std::string(user_name_limit, 'x'), std::string(password_limit, 'x'), "smtpd",
         std::nullopt},
        {"no user", "", "secret", "smtpd", Authentication::failed},
        {"a long user", std::string(user_name_limit + 1, 'x'), "secret", "smtpd",
         Authentication::failed},
        {"a NUL", "alice\0bob"s, "secret", "smtpd", Authentication::failed},
        {"a control", "alice\x1b", "secret", "smtpd", Authentication::failed},
        {"what looks like an option", "-alice", "secret", "smtpd", Authentication::failed},
        {"the name of a file", "../alice", "secret", "smtpd", Authentication::failed},
        {"not UTF-8", "al\xffice", "secret", "smtpd", Authentication::failed},
        {"no password", "alice", "", "smtpd", Authentication::failed},
        {"a NUL in it", "alice", "secret\0x"s, "smtpd", Authentication::failed},
        {"a long one", "alice", std::string(password_limit + 1, 'x'), "smtpd",
         Authentication::failed},
        {"another service", "alice", "secret", "login", Authentication::temporary},
        {"a path", "alice", "secret", "../smtpd", Authentication::temporary},
        {"no service", "alice", "secret", "", Authentication::temporary},
    };
    for (const Row& row : rows) {
        answers_.clear();
        spawned_.clear();
        EXPECT_TRUE(ask(5, row.user, row.password, row.service)) << row.name;
        EXPECT_EQ(spawned_.size(), row.verdict ? 0u : 1u) << row.name;
        if (!row.verdict) {
            end(spawned_.back(), finding(Authentication::ok));
            continue;
        }
        ASSERT_EQ(answers_.size(), 1u) << row.name;
        EXPECT_EQ(answers_[0].verdict, *row.verdict) << row.name;
    }
    checks_.configure({{"mail"}});
    EXPECT_TRUE(ask(6));
    EXPECT_EQ(answers_.back().verdict, Authentication::temporary) << "a reload has taken it away";
}

TEST_F(ChecksTest, OthersWaitForAHelperInTurn) {
    for (uint32_t i = 1; i <= 4; ++i)
        ASSERT_TRUE(ask(i));
    EXPECT_EQ(spawned_.size(), 2u);
    end(spawned_[1], finding(Authentication::failed));
    ASSERT_EQ(spawned_.size(), 3u);
    end(spawned_[0], finding(Authentication::ok));
    end(spawned_[2], finding(Authentication::ok));
    ASSERT_EQ(spawned_.size(), 4u);
    end(spawned_[3], finding(Authentication::ok));
    std::vector<uint32_t> requests;
    for (const ipc::PasswordChecked& answer : answers_)
        requests.push_back(answer.request);
    EXPECT_EQ(requests, (std::vector<uint32_t>{2, 1, 3, 4}));
}

TEST_F(ChecksTest, OneThatHangsIsKilledAndAnsweredAtOnce) {
    ASSERT_TRUE(ask(1));
    time_.advance(30s - 1ms);
    EXPECT_TRUE(answers_.empty());
    time_.advance(1ms);
    ASSERT_EQ(answers_.size(), 1u);
    EXPECT_EQ(answers_[0].verdict, Authentication::temporary);
    EXPECT_EQ(killed_, std::vector<uint32_t>{spawned_[0].request});
    EXPECT_EQ(checks_.running(), 1u) << "until it has ended it has its place";
    time_.advance(5s);
    EXPECT_EQ(killed_.size(), 2u) << "it has not ended";
    time_.advance(1h);
    EXPECT_EQ(checks_.running(), 1u);
    end(spawned_[0], finding(Authentication::ok), EX_TEMPFAIL, "ended by signal 9");
    EXPECT_EQ(checks_.running(), 0u);
    EXPECT_EQ(answers_.size(), 1u) << "it is answered already";
}

TEST_F(ChecksTest, NobodyWaitsForAHelperForEver) {
    for (uint32_t i = 1; i <= 3; ++i)
        ASSERT_TRUE(ask(i));
    time_.advance(20s);
    ASSERT_EQ(answers_.size(), 1u);
    EXPECT_EQ(answers_[0].request, 3u);
    EXPECT_EQ(answers_[0].verdict, Authentication::temporary);
    end(spawned_[0], finding(Authentication::ok));
    EXPECT_EQ(spawned_.size(), 2u) << "nobody waits any more";
}

TEST_F(ChecksTest, MoreThanTheCreditIsABreach) {
    for (uint32_t i = 0; i < ipc::pam_credit; ++i)
        ASSERT_TRUE(ask(i)) << i;
    EXPECT_FALSE(ask(1000));
    end(spawned_[0], finding(Authentication::ok));
    EXPECT_TRUE(ask(1001)) << "one has been answered";
}

// A new lookup numbers its questions from the beginning.
TEST_F(ChecksTest, WhatAFormerLookupHasAskedIsGivenUp) {
    for (uint32_t i = 1; i <= 3; ++i)
        ASSERT_TRUE(ask(i));
    checks_.forget();
    EXPECT_EQ(killed_, (std::vector<uint32_t>{spawned_[0].request, spawned_[1].request}));
    EXPECT_EQ(checks_.open(), 0u);
    ASSERT_TRUE(ask(1, "mallory"));
    EXPECT_EQ(spawned_.size(), 2u) << "they are still there";
    end(spawned_[0], finding(Authentication::ok));
    end(spawned_[1], finding(Authentication::ok), EX_TEMPFAIL, "ended by signal 9");
    EXPECT_TRUE(answers_.empty());
    ASSERT_EQ(spawned_.size(), 3u);
    EXPECT_EQ(question().user, "mallory");
    end(spawned_[2], finding(Authentication::failed, ""));
    ASSERT_EQ(answers_.size(), 1u);
    EXPECT_EQ(answers_[0].verdict, Authentication::failed);
}

TEST_F(ChecksTest, AnEndOfSomethingElse) {
    ipc::Exited exited;
    exited.request = 4711;
    checks_.exited(exited);
    ASSERT_TRUE(ask(1));
    checks_.exited(exited);
    EXPECT_TRUE(answers_.empty());
    EXPECT_EQ(checks_.running(), 1u);
}

TEST_F(ChecksTest, Drains) {
    bool drained = false;
    for (uint32_t i = 1; i <= 3; ++i)
        ASSERT_TRUE(ask(i));
    checks_.drain([&] { drained = true; });
    ASSERT_EQ(answers_.size(), 1u);
    EXPECT_EQ(answers_[0].verdict, Authentication::temporary) << "it was not begun";
    EXPECT_TRUE(ask(4));
    EXPECT_EQ(answers_.back().request, 4u);
    EXPECT_EQ(answers_.back().verdict, Authentication::temporary);
    end(spawned_[0], finding(Authentication::ok));
    EXPECT_FALSE(drained);
    end(spawned_[1], finding(Authentication::ok));
    EXPECT_TRUE(drained);
    EXPECT_EQ(answers_.back().verdict, Authentication::ok);
}

TEST_F(ChecksTest, DrainsAtOnceWhenThereIsNothing) {
    bool drained = false;
    checks_.drain([&] { drained = true; });
    EXPECT_TRUE(drained);
}

} // namespace
} // namespace postern::pam
