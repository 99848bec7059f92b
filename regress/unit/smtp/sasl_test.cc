// PLAIN and LOGIN, as tables of what a client sends.
#include "common/smtp/sasl.h"

#include <gtest/gtest.h>

#include <vector>

namespace postern {
namespace {

using namespace std::string_literals; // for strings with a NUL inside
using State = SaslExchange::State;

struct Row {
    SaslMechanism mechanism;
    std::vector<std::string> responses;
    State state;
    std::string user = "";
    std::string password = "";
};

const std::string longest_user(user_name_limit, 'u');
const std::string longest_password(password_limit, 'p');

const Row rows[] = {
    {SaslMechanism::plain, {"\0bob\0secret"s}, State::complete, "bob", "secret"},
    {SaslMechanism::plain, {"bob\0bob\0secret"s}, State::complete, "bob", "secret"},
    {SaslMechanism::plain, {"BOB\0bob\0secret"s}, State::complete, "bob", "secret"},
    {SaslMechanism::plain,
     {"\0bob@x.example\0s p\xc3\xa9"s},
     State::complete,
     "bob@x.example",
     "s p\xc3\xa9"},
    {SaslMechanism::plain,
     {"\0"s + longest_user + "\0"s + longest_password},
     State::complete,
     longest_user,
     longest_password},
    // On behalf of somebody else.
    {SaslMechanism::plain, {"root\0bob\0secret"s}, State::refused},
    {SaslMechanism::plain, {"\0"s + longest_user + "u\0secret"s}, State::refused},
    {SaslMechanism::plain, {"\0bob\0"s + longest_password + "p"}, State::refused},
    {SaslMechanism::plain, {"\0b\nob\0secret"s}, State::refused},
    {SaslMechanism::plain, {""}, State::malformed},
    {SaslMechanism::plain, {"bob"}, State::malformed},
    {SaslMechanism::plain, {"bob\0secret"s}, State::malformed},
    {SaslMechanism::plain, {"\0bob\0secret\0"s}, State::malformed},
    {SaslMechanism::plain, {"\0bob\0sec\0ret"s}, State::malformed},
    {SaslMechanism::plain, {"\0\0secret"s}, State::malformed},
    {SaslMechanism::plain, {"\0bob\0"s}, State::malformed},
    {SaslMechanism::plain, {"\0\0"s}, State::malformed},
    {SaslMechanism::plain, {}, State::asking},
    {SaslMechanism::login, {"bob", "secret"}, State::complete, "bob", "secret"},
    {SaslMechanism::login,
     {longest_user, longest_password},
     State::complete,
     longest_user,
     longest_password},
    {SaslMechanism::login, {"bob", longest_password + "p"}, State::refused},
    {SaslMechanism::login, {longest_user + "u", "secret"}, State::refused},
    {SaslMechanism::login, {"bob"}, State::asking},
    {SaslMechanism::login, {"bob\0x"s}, State::malformed},
    {SaslMechanism::login, {"bob", "secret\0"s}, State::malformed},
    {SaslMechanism::login, {"", "secret"}, State::malformed},
    {SaslMechanism::login, {"bob", ""}, State::malformed},
};

TEST(Sasl, Exchanges) {
    for (const Row& row : rows) {
        SCOPED_TRACE(testing::PrintToString(row.responses));
        SaslExchange exchange(row.mechanism);
        for (const std::string& response : row.responses) {
            ASSERT_EQ(exchange.state(), State::asking);
            exchange.respond(Secret(response));
        }
        ASSERT_EQ(exchange.state(), row.state);
        if (row.state != State::complete)
            continue;
        EXPECT_EQ(exchange.credentials().user, row.user);
        EXPECT_EQ(exchange.credentials().password.view(), row.password);
    }
}

TEST(Sasl, Challenges) {
    EXPECT_EQ(SaslExchange(SaslMechanism::plain).challenge(), "");
    SaslExchange login(SaslMechanism::login);
    EXPECT_EQ(login.challenge(), "Username:");
    login.respond(Secret("bob"));
    EXPECT_EQ(login.challenge(), "Password:");
}

TEST(Sasl, Names) {
    EXPECT_EQ(find_sasl_mechanism("PLAIN"), SaslMechanism::plain);
    EXPECT_EQ(find_sasl_mechanism("login"), SaslMechanism::login);
    for (const char* other : {"", "PLAI", "PLAIN2", "ANONYMOUS", "CRAM-MD5"})
        EXPECT_FALSE(find_sasl_mechanism(other)) << other;
    EXPECT_EQ(to_string(SaslMechanism::login), "LOGIN");
}

TEST(Sasl, WhoKnowsTheUsers) {
    EXPECT_EQ(dovecot_socket("dovecot:/run/auth"), "/run/auth");
    EXPECT_EQ(dovecot_socket("pam:smtpd"), std::nullopt);
    EXPECT_EQ(pam_service(pam_credentials("smtpd")), "smtpd");
    for (const char* other : {"", "users", "PAM:smtpd", "dovecot:/pam:x"})
        EXPECT_EQ(pam_service(other), std::nullopt) << other;
}

} // namespace
} // namespace postern
