#include "common/config/maildir_path.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

DeliveryValues alice() {
    return {"alice", "/home/alice", "Alice+Tag@Example.org", "", "From+x@Far.test"};
}

std::string expand(std::string_view path, const DeliveryValues& values = alice()) {
    const Result<std::string> expanded = expand_maildir_path(path, values);
    return expanded ? *expanded : "error: " + expanded.error().message;
}

TEST(MaildirPath, Expands) {
    struct {
        const char* path;
        const char* expected;
    } const cases[] = {
        {"", "/home/alice/Maildir"},
        {"~", "/home/alice"},
        {"~/Mail", "/home/alice/Mail"},
        {"Mail", "/home/alice/Mail"},
        {"%{user.directory}/Mail", "/home/alice/Mail"},
        {"/var/mail/%{user.username}", "/var/mail/alice"},
        {"/m/%{rcpt}", "/m/Alice+Tag@example.org"},
        {"/m/%{rcpt.domain}/%{rcpt.user}", "/m/example.org/Alice+Tag"},
        {"/m/%{dest}", "/m/Alice+Tag@example.org"},
        {"/m/%{sender.user}@%{sender.domain}", "/m/From+x@far.test"},
        {"/m/%{mbox.from}", "/m/From+x@Far.test"},
        {"/m/%{rcpt.user:lowercase}", "/m/alice+tag"},
        {"/m/%{rcpt.user:uppercase}", "/m/ALICE+TAG"},
        {"/m/%{rcpt.user:strip}", "/m/Alice"},
        {"/m/%{rcpt:lowercase|strip}", "/m/alice@example.org"},
        {"/m/%{rcpt.domain[0]}/%{rcpt.domain[1]}", "/m/e/x"},
        // As in smtpd.conf(5).
        {"/m/%{rcpt.domain[8:]}", "/m/org"},
        {"/m/%{rcpt.domain[-3:]}", "/m/org"},
        {"/m/%{rcpt.domain[0:6]}", "/m/example"},
        {"/m/%{rcpt.domain[0:-4]}", "/m/example"},
        {"/m/%{rcpt.domain[:3]}", "/m/exam"},
        {"/m/%{rcpt.domain[7:99]}", "/m/:org"}, // begins with a dot otherwise
        {"/m/%{rcpt.user[0]:lowercase}", "/m/a"},
        {"/m/100%/%x{}", "/m/100%/%x{}"},
    };
    for (const auto& c : cases) {
        DeliveryValues values = alice();
        values.recipient = "Alice+Tag@example.org"; // domains come in lower case
        EXPECT_EQ(expand(c.path, values), c.expected) << c.path;
        EXPECT_TRUE(check_maildir_path(c.path).ok()) << c.path;
    }
}

TEST(MaildirPath, OfInternationalizedAddresses) {
    DeliveryValues values = alice();
    values.recipient = "j\u00fcrgen+\u00fc@xn--bcher-kva.example";
    values.reverse_path = "\u4e2d@far.test";
    EXPECT_EQ(expand("/m/%{rcpt.domain}/%{rcpt.user:strip}", values),
              "/m/xn--bcher-kva.example/j\u00fcrgen");
    EXPECT_EQ(expand("/m/%{sender.user}/%{sender.domain}", values), "/m/\u4e2d/far.test");
}

TEST(MaildirPath, AValueNeverLeavesItsComponent) {
    struct {
        const char* path;
        const char* recipient;
        const char* expected;
    } const cases[] = {
        {"/m/%{rcpt.user}", "\"../root\"@a.test", "/m/:.:root"},
        {"/m/%{rcpt.user}", "\"..\"@a.test", "/m/:."},
        {"/m/%{rcpt.user:raw}", "\"..\"@a.test", "/m/:."},
        {"/m/.%{rcpt.user}", "\".\"@a.test", "/m/.:"},
        {"/m/.%{rcpt.user}/x", "user@a.test", "/m/.user/x"},
        {"/m/%{rcpt.user}", "\"/etc/passwd\"@a.test", "/m/:etc:passwd"},
        {"/m/%{rcpt.user:raw}", "\"a/b\"@a.test", "/m/a:b"},
        {"/m/%{rcpt.user}", "a/b@a.test", "/m/a:b"},
        {"/m/%{rcpt.user}", "user+t?g@a.test", "/m/user+t:g"},
        {"/m/%{rcpt.user:raw}", "user+t?g@a.test", "/m/user+t?g"},
        {"/m/%{rcpt.user}", "\"a b\"@a.test", "/m/a:b"},
        {"/m/%{rcpt.user:raw}", "\"a b\"@a.test", "/m/a b"},
        {"/m/%{rcpt.user}", "$(id)@a.test", "error"},
        {"/m/%{rcpt.user}", "a'b`c|d@a.test", "/m/a:b:c:d"},
        {"/m/%{rcpt.domain}", "x@[192.0.2.1]", "/m/:192.0.2.1:"},
        {"/m/%{rcpt.user}", "postmaster", "/m/postmaster"},
    };
    for (const auto& c : cases) {
        DeliveryValues values = alice();
        values.recipient = c.recipient;
        if (std::string_view(c.expected) == "error") {
            // Not an address at all: it is taken as a name, made harmless.
            EXPECT_EQ(expand(c.path, values), "/m/::id:@a.test");
            continue;
        }
        EXPECT_EQ(expand(c.path, values), c.expected) << c.recipient;
    }
}

TEST(MaildirPath, RefusesWhatCannotBeExpandedForThisMail) {
    struct {
        const char* path;
        const char* expected;
    } const cases[] = {
        {"/m/%{rcpt.domain}/x", "empty"}, // postmaster has none
        {"/m/%{sender}/x", "empty"},           {"/m/%{rcpt.user[20]}", "too short"},
        {"/m/%{rcpt.user[5:2]}", "too short"}, {"/m/%{rcpt.user[-99999999999:]}", "too short"},
    };
    for (const auto& c : cases) {
        DeliveryValues values = alice();
        values.recipient = "postmaster";
        values.reverse_path = "";
        EXPECT_NE(expand(c.path, values).find(c.expected), std::string::npos)
            << c.path << ": " << expand(c.path, values);
        EXPECT_TRUE(check_maildir_path(c.path).ok());
    }
    DeliveryValues values = alice();
    values.user = std::string(300, 'u');
    EXPECT_NE(expand("/m/%{user.username}", values).find("longer"), std::string::npos);
    values.directory = "relative";
    EXPECT_NE(expand("~/Maildir", values).find("absolute"), std::string::npos);
    std::string deep;
    for (int i = 0; i < 600; ++i)
        deep += "/directory";
    EXPECT_NE(expand(deep).find("longer"), std::string::npos);
}

TEST(MaildirPath, MistakesAreFoundWhenTheConfigurationIsRead) {
    struct {
        std::string path;
        const char* expected;
    } const cases[] = {
        {"/m/%{rcpt", "not closed"},
        {"/m/%{user}", "unknown"},
        {"/m/%{}", "unknown"},
        {"/m/%{rcpt.tag}", "unknown"},
        {"/m/%{rcpt:shout}", "\"shout\""},
        {"/m/%{rcpt:lowercase,strip}", "lowercase,strip"},
        {"/m/%{rcpt:}", "\"\""},
        {"/m/%{rcpt[x]}", "offset"},
        {"/m/%{rcpt[1}", "offset"},
        {"/m/%{rcpt[99999999999999999999]}", "offset"},
        {"/m/%{rcpt[0]lowercase}", "after ':'"},
        {"~bob/Maildir", "after '~'"},
        {std::string("/m/\0", 4), "NUL"},
    };
    for (const auto& c : cases) {
        const Result<void> checked = check_maildir_path(c.path);
        ASSERT_FALSE(checked.ok()) << c.path;
        EXPECT_NE(checked.error().message.find(c.expected), std::string::npos)
            << checked.error().message;
        EXPECT_NE(expand(c.path).find("error"), std::string::npos);
    }
}

} // namespace
} // namespace postern
