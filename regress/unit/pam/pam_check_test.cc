// What is made of the answers of a real libpam, whose module does as it is told (test_module.cc).
#include "smtpd/pam/check/pam_check.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sys/wait.h>
#include <unistd.h>

#include <security/pam_appl.h>

namespace postern::pam {
namespace {

using ipc::Authentication;

class PamCheckTest : public testing::Test {
  protected:
    PamCheckTest() {
        char name[] = "/tmp/postern-test-XXXXXX";
        directory_ = mkdtemp(name);
    }
    ~PamCheckTest() override { std::filesystem::remove_all(directory_); }

    void write_service(const std::string& text) { std::ofstream(directory_ + "/mail") << text; }
    // A service with one line for passwords and one for accounts.
    void write_service(const std::string& password, const std::string& account) {
        write_service("auth required " TEST_MODULE " " + password + "\naccount required " +
                      TEST_MODULE + " " + account + "\n");
    }
    ipc::PamFinding ask(const char* service = "mail") {
        ipc::PamQuestion question;
        question.user = "alice";
        question.password = Secret("secret");
        question.remote_host = "192.0.2.7";
        return pam::ask(service, directory_.c_str(), question);
    }

    std::string directory_;
};

TEST_F(PamCheckTest, Conversations) {
    struct Row {
        const char* password;
        const char* account;
        Authentication verdict;
        const char* text; // the user, or the reason
    } rows[] = {
        {"hidden=secret", "", Authentication::ok, "alice"},
        {"hidden=other", "", Authentication::failed, "password: Authentication failure"},
        {"shown=alice hidden=secret", "", Authentication::ok, "alice"},
        {"hidden=secret hidden=secret", "", Authentication::ok, "alice"},
        {"two=secret", "", Authentication::ok, "alice"},
        {"rhost=192.0.2.7", "rhost=192.0.2.7", Authentication::ok, "alice"},
        // What says something is listened to, and what wants something else is refused.
        {"style=3 style=4", "style=4", Authentication::ok, "alice"},
        {"style=5", "", Authentication::temporary, "password: Conversation error"},
        {"style=7", "", Authentication::temporary, "password: Conversation error"},
        {"style=0", "", Authentication::temporary, "password: Conversation error"},
        {"many", "", Authentication::temporary, "password: Conversation error"},
        // Who it is in the end.
        {"user=bob", "", Authentication::ok, "bob"},
        {"", "user=carol@x.example", Authentication::ok, "carol@x.example"},
        {"no-user", "", Authentication::ok, ""}, // not for those who ask (checks_test.cc)
    };
    for (const Row& row : rows) {
        write_service(row.password, row.account);
        const ipc::PamFinding finding = ask();
        EXPECT_EQ(finding.verdict, row.verdict) << row.password;
        EXPECT_EQ(finding.verdict == Authentication::ok ? finding.user : finding.reason, row.text)
            << row.password;
    }
}

TEST_F(PamCheckTest, Verdicts) {
    struct Row {
        int code;
        Authentication verdict;
    } rows[] = {
        {PAM_AUTH_ERR, Authentication::failed},
        {PAM_USER_UNKNOWN, Authentication::failed},
        {PAM_MAXTRIES, Authentication::failed},
        {PAM_PERM_DENIED, Authentication::failed},
        {PAM_ACCT_EXPIRED, Authentication::failed},
        {PAM_CRED_EXPIRED, Authentication::failed},
        {PAM_AUTHTOK_EXPIRED, Authentication::failed},
        {PAM_NEW_AUTHTOK_REQD, Authentication::failed},
        {PAM_SYSTEM_ERR, Authentication::temporary},
        {PAM_SERVICE_ERR, Authentication::temporary},
        {PAM_BUF_ERR, Authentication::temporary},
        {PAM_OPEN_ERR, Authentication::temporary},
        {PAM_CRED_INSUFFICIENT, Authentication::temporary},
        {PAM_AUTHINFO_UNAVAIL, Authentication::temporary},
        {PAM_CONV_ERR, Authentication::temporary},
        {PAM_TRY_AGAIN, Authentication::temporary},
        {PAM_ABORT, Authentication::temporary},
        {PAM_INCOMPLETE, Authentication::temporary},
    };
    for (const Row& row : rows) {
        const std::string code = "code=" + std::to_string(row.code);
        write_service(code, "");
        ipc::PamFinding finding = ask();
        EXPECT_EQ(finding.verdict, row.verdict) << code;
        EXPECT_TRUE(finding.reason.starts_with("password: ")) << finding.reason;
        EXPECT_EQ(finding.user, "");
        write_service("hidden=secret", code);
        finding = ask();
        EXPECT_EQ(finding.verdict, row.verdict) << code;
        EXPECT_TRUE(finding.reason.starts_with("account: ")) << finding.reason;
    }
}

TEST_F(PamCheckTest, WhatIsNotThereIsNobodysFault) {
    EXPECT_EQ(ask("nothing").verdict, Authentication::temporary);
    for (const char* text : {
             "",
             "auth required /nowhere/pam_nothing.so\naccount required " TEST_MODULE "\n",
             "account required " TEST_MODULE "\n",
             "auth required " TEST_MODULE " hidden=secret\n",
         }) {
        write_service(text);
        EXPECT_NE(ask().verdict, Authentication::ok) << text;
    }
}

// A password that is empty in the user database lets nobody in, not even by an empty password.
TEST_F(PamCheckTest, TheModulesOfTheSystem) {
    write_service("auth required pam_permit.so\naccount required pam_permit.so\n");
    EXPECT_EQ(ask().verdict, Authentication::ok);
    write_service("auth required pam_deny.so\naccount required pam_permit.so\n");
    EXPECT_EQ(ask().verdict, Authentication::failed);
    write_service("auth requisite pam_succeed_if.so quiet user = bob\n"
                  "auth required pam_permit.so\naccount required pam_permit.so\n");
    EXPECT_EQ(ask().verdict, Authentication::failed);
}

TEST_F(PamCheckTest, ADelayOfFailuresIsOurs) {
    write_service("delay hidden=other", "");
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(ask().verdict, Authentication::failed);
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20))
        << "PAM would wait for 45 seconds at least";
}

} // namespace
} // namespace postern::pam
