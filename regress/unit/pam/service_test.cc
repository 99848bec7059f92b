// The whole process but for its main, with a lookup at the other end of a channel.
#include "smtpd/pam/service.h"

#include <gtest/gtest.h>

namespace postern::pam {
namespace {

using ipc::Authentication;

class PamServiceTest : public testing::Test {
  protected:
    using Lookup = ipc::Channel<ipc::PamToLookup, ipc::LookupToPam>;

    PamServiceTest() { service_.configure({{"smtpd"}}); }

    std::unique_ptr<Lookup> connect(ipc::Role role = ipc::Role::lookup) {
        auto [ours, theirs] = ipc::make_pair();
        ipc::Connect connect;
        connect.role = role;
        connect.channel = std::move(theirs);
        service_.connect(std::move(connect));
        return std::make_unique<Lookup>(
            loop_, std::move(ours),
            [this](ipc::PamToLookup&& message) {
                answers_.push_back(std::get<ipc::PasswordChecked>(message));
                loop_.stop();
            },
            [this](const std::string&) {
                ++closed_;
                loop_.stop();
            });
    }
    static ipc::LookupToPam question(uint32_t request) {
        ipc::CheckPassword question;
        question.request = request;
        question.service = "smtpd";
        question.user = "alice";
        question.password = Secret("secret");
        return question;
    }
    // Helpers find that the password is right, while `answering_`.
    void to_supervisor(ipc::ToSupervisor message) {
        auto* spawn = std::get_if<ipc::SpawnCheck>(&message);
        if (!spawn)
            return;
        ++helpers_;
        if (!answering_)
            return loop_.stop();
        ipc::PamFinding finding;
        finding.verdict = Authentication::ok;
        finding.user = "alice";
        const std::string bytes = ipc::encode_bytes(finding);
        EXPECT_GT(write(spawn->finding.get(), bytes.data(), bytes.size()), 0);
        ipc::Exited exited;
        exited.request = spawn->request;
        service_.exited(exited);
    }

    EventLoop loop_;
    bool answering_ = true;
    int helpers_ = 0;
    int closed_ = 0;
    std::vector<ipc::PasswordChecked> answers_;
    Service service_{loop_,
                     [this](ipc::ToSupervisor message) { to_supervisor(std::move(message)); }};
};

TEST_F(PamServiceTest, AnswersLookup) {
    auto lookup = connect();
    lookup->send(question(9));
    loop_.run();
    ASSERT_EQ(answers_.size(), 1u);
    EXPECT_EQ(answers_[0].request, 9u);
    EXPECT_EQ(answers_[0].verdict, Authentication::ok);
    EXPECT_EQ(answers_[0].user, "alice");
}

TEST_F(PamServiceTest, NobodyElseCanAsk) {
    for (const ipc::Role role : {ipc::Role::listener, ipc::Role::control, ipc::Role::queue}) {
        auto other = connect(role);
        other->send(question(1));
        loop_.run();
    }
    EXPECT_EQ(closed_, 3);
    EXPECT_EQ(helpers_, 0);
}

TEST_F(PamServiceTest, ALookupThatAsksTooMuchIsCutOff) {
    answering_ = false;
    auto lookup = connect();
    for (uint32_t i = 0; i <= ipc::pam_credit; ++i)
        lookup->send(question(i));
    while (closed_ == 0)
        loop_.run();
    EXPECT_EQ(closed_, 1);
    EXPECT_LE(helpers_, static_cast<int>(ipc::pam_helper_limit));
    EXPECT_TRUE(answers_.empty());
}

TEST_F(PamServiceTest, ANewLookupTakesThePlaceOfAFormerOne) {
    answering_ = false;
    auto former = connect();
    former->send(question(1));
    auto lookup = connect();
    answering_ = true;
    lookup->send(question(2));
    while (answers_.empty())
        loop_.run();
    ASSERT_EQ(answers_.size(), 1u);
    EXPECT_EQ(answers_[0].request, 2u);
}

TEST_F(PamServiceTest, DrainsInTime) {
    answering_ = false;
    auto lookup = connect();
    lookup->send(question(1));
    loop_.run();
    ASSERT_EQ(helpers_, 1);
    bool drained = false;
    service_.drain(std::chrono::seconds(0), [&] {
        drained = true;
        loop_.stop();
    });
    loop_.run();
    EXPECT_TRUE(drained);
}

} // namespace
} // namespace postern::pam
