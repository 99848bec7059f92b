// Passwords that PAM knows: a question of a listener, through lookup, to a pam that is played.
#include "smtpd/lookup/service.h"

#include <gtest/gtest.h>

#include <optional>

namespace postern {
namespace {

using ipc::Authentication;

class PamClientTest : public testing::Test {
  protected:
    using Client = ipc::Channel<ipc::LookupToListener, ipc::ListenerToLookup>;
    using Pam = ipc::Channel<ipc::LookupToPam, ipc::PamToLookup>;

    PamClientTest() {
        ipc::LookupSettings settings;
        settings.credentials = {"pam:smtpd"};
        EXPECT_TRUE(service_.configure(settings).ok());
        auto [ours, theirs] = ipc::make_pair();
        service_.connect(ipc::Connect{ipc::Role::listener, 0, std::move(theirs)});
        client_ = std::make_unique<Client>(
            loop_, std::move(ours),
            [this](ipc::LookupToListener&& message) {
                answers_.push_back(std::get<ipc::AuthenticateAnswer>(message));
                if (answers_.size() == expected_)
                    loop_.stop();
            },
            [this](const std::string&) { loop_.stop(); });
    }
    void connect_pam() {
        auto [ours, theirs] = ipc::make_pair();
        service_.connect(ipc::Connect{ipc::Role::pam, 0, std::move(theirs)});
        pam_ = std::make_unique<Pam>(
            loop_, std::move(ours),
            [this](ipc::LookupToPam&& message) { take(std::move(message)); },
            [](const std::string&) {});
    }
    void take(ipc::LookupToPam&& message) {
        asked_.push_back(std::move(std::get<ipc::CheckPassword>(message)));
        if (reply_) {
            reply_->request = asked_.back().request;
            pam_->send(*reply_);
        } else if (asked_.size() == expected_questions_) {
            loop_.stop();
        }
    }
    void ask(uint32_t request, const char* table = "pam:smtpd") {
        ipc::Authenticate question;
        question.request = request;
        question.table = table;
        question.user = "Alice";
        question.password = Secret("secret");
        // Each from another network: one alone has a few places only.
        question.client = *IpAddress::parse("192.0." + std::to_string(request % 256) + ".7");
        client_->send(std::move(question));
    }
    void run_until(size_t answers) {
        expected_ = answers;
        if (answers_.size() < answers)
            loop_.run();
    }
    void run_until_asked(size_t questions) {
        expected_questions_ = questions;
        loop_.run();
    }

    EventLoop loop_;
    LookupService service_{loop_, [] {}};
    std::unique_ptr<Client> client_;
    std::unique_ptr<Pam> pam_;
    std::optional<ipc::PasswordChecked> reply_;
    std::vector<ipc::CheckPassword> asked_;
    std::vector<ipc::AuthenticateAnswer> answers_;
    size_t expected_ = 1;
    size_t expected_questions_ = 0;
};

TEST_F(PamClientTest, Verdicts) {
    struct Row {
        ipc::PasswordChecked reply;
        Authentication verdict;
        const char* user;
    } rows[] = {
        {{0, Authentication::ok, "Alice"}, Authentication::ok, "alice"},
        {{0, Authentication::ok, "bob@X.example"}, Authentication::ok, "bob@x.example"},
        {{0, Authentication::failed, ""}, Authentication::failed, ""},
        {{0, Authentication::failed, "alice"}, Authentication::failed, ""},
        {{0, Authentication::temporary, ""}, Authentication::temporary, ""},
        // Who does not say who it is has not authenticated anybody.
        {{0, Authentication::ok, ""}, Authentication::temporary, ""},
        {{0, Authentication::ok, "a\nb"}, Authentication::temporary, ""},
        {{0, Authentication::ok, std::string(256, 'x')}, Authentication::temporary, ""},
    };
    connect_pam();
    for (const Row& row : rows) {
        reply_ = row.reply;
        answers_.clear();
        ask(7);
        run_until(1);
        ASSERT_EQ(answers_.size(), 1u);
        EXPECT_EQ(answers_[0].request, 7u);
        EXPECT_EQ(answers_[0].verdict, row.verdict) << row.reply.user;
        EXPECT_EQ(answers_[0].user, row.user) << row.reply.user;
    }
    EXPECT_EQ(asked_[0].service, "smtpd");
    EXPECT_EQ(asked_[0].user, "Alice") << "PAM decides about upper and lower case";
    EXPECT_EQ(asked_[0].password.view(), "secret");
    EXPECT_EQ(asked_[0].client.to_string().substr(0, 6), "192.0.");
}

TEST_F(PamClientTest, OnlyServicesOfTheConfigurationAreAsked) {
    connect_pam();
    ask(1, "pam:login");
    run_until(1);
    EXPECT_EQ(answers_[0].verdict, Authentication::temporary);
    EXPECT_TRUE(asked_.empty());
}

TEST_F(PamClientTest, WithoutPamItIsForLater) {
    ask(1);
    run_until(1);
    EXPECT_EQ(answers_[0].verdict, Authentication::temporary);
    connect_pam();
    ask(2);
    ask(3);
    run_until_asked(2);
    pam_.reset(); // it dies
    run_until(3);
    EXPECT_EQ(answers_[1].verdict, Authentication::temporary);
    EXPECT_EQ(answers_[2].verdict, Authentication::temporary);
    connect_pam();
    reply_ = {0, Authentication::ok, "alice"};
    ask(4);
    run_until(4);
    EXPECT_EQ(answers_[3].verdict, Authentication::ok) << "it is back";
}

TEST_F(PamClientTest, MoreThanPamTakesAreToldToTryLater) {
    connect_pam();
    for (uint32_t i = 0; i < ipc::pam_credit + 5; ++i)
        ask(i);
    run_until(5);
    for (const ipc::AuthenticateAnswer& answer : answers_)
        EXPECT_EQ(answer.verdict, Authentication::temporary);
    if (asked_.size() < ipc::pam_credit)
        run_until_asked(ipc::pam_credit);
    EXPECT_EQ(asked_.size(), size_t{ipc::pam_credit});
}

TEST_F(PamClientTest, AnswersToNothingAreNotPassedOn) {
    connect_pam();
    pam_->send(ipc::PasswordChecked{4711, Authentication::ok, "alice"});
    reply_ = {0, Authentication::failed, ""};
    ask(1);
    run_until(1);
    ASSERT_EQ(answers_.size(), 1u);
    EXPECT_EQ(answers_[0].verdict, Authentication::failed);
}

} // namespace
} // namespace postern
