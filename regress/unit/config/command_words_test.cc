#include "common/config/command_words.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

using Words = std::vector<std::string>;

TEST(CommandWords, AreCutAsAShellWould) {
    struct {
        const char* command;
        Words words;
    } const cases[] = {
        {"/bin/mda", {"/bin/mda"}},
        {"  mda  -f\t%{sender} ", {"mda", "-f", "%{sender}"}},
        {"mda 'a b' \"c d\" e\\ f", {"mda", "a b", "c d", "e f"}},
        {"mda a'b'\"c\"d", {"mda", "abcd"}},
        {"mda '' \"\"", {"mda", "", ""}},
        {R"(mda 'a\b' "a\b" "\"\\\$\`" \'\")", {"mda", "a\\b", "a\\b", "\"\\$`", "'\""}},
        {"/bin/sh -c 'cat >\"$HOME\"/x; exit $?'", {"/bin/sh", "-c", "cat >\"$HOME\"/x; exit $?"}},
        {"mda \"a|b;c&d<e>f\"", {"mda", "a|b;c&d<e>f"}},
        {"mda *.txt ~ #x", {"mda", "*.txt", "~", "#x"}},
    };
    for (const auto& c : cases) {
        const Result<Words> words = split_command(c.command);
        ASSERT_TRUE(words.ok()) << c.command << ": " << words.error().message;
        EXPECT_EQ(*words, c.words) << c.command;
        EXPECT_TRUE(check_command(*words).ok()) << c.command;
    }
}

TEST(CommandWords, MistakesAreFoundWhenTheConfigurationIsRead) {
    struct {
        const char* command;
        const char* says;
    } const cases[] = {
        {"", "name a program"},
        {"  ", "name a program"},
        {"''", "name a program"},
        {"mda 'x", "not closed"},
        {"mda \"x", "not closed"},
        {"mda x\\", "at the end"},
        {"mda | tee", "'|' means nothing"},
        {"mda; true", "';' means nothing"},
        {"mda >/dev/null", "'>' means nothing"},
        {"mda & ", "'&' means nothing"},
        {"mda $SENDER", "'$' means nothing"},
        {"mda \"$SENDER\"", "'$' means nothing"},
        {"mda `id`", "'`' means nothing"},
        {"mda %{rcpt", "not closed"},
        {"mda %{nobody}", "unknown"},
        {"mda %{mda}", "unknown"},
        {"/bin/sh -c 'echo %{sender:raw}'", "raw"},
        {"/bin/sh -c \"echo %{rcpt.user:raw|lowercase}\"", "raw"},
        {"/bin/sh -c '%{sender:raw};id'", "raw"},
        // A word that is all of a program, or a word of one.
        {"/bin/sh -c %{rcpt.user:raw}", "raw"},
        {"/bin/bash -ec %{rcpt.user:raw}", "raw"},
        {"sh %{rcpt.user:raw}", "raw"},
        {"/bin/sh -c 'eval $1' x %{sender:raw}", "raw"},
        {"nice -n 5 /bin/dash -c mda%{rcpt.user:raw}", "raw"},
        {"busybox sh -c %{rcpt.user:raw}", "raw"},
        {"python3 -c %{rcpt.user:raw}", "raw"},
    };
    for (const auto& c : cases) {
        const Result<Words> words = split_command(c.command);
        const Result<void> good = words ? check_command(*words) : Result<void>(words.error());
        ASSERT_FALSE(good.ok()) << c.command;
        EXPECT_NE(good.error().message.find(c.says), std::string::npos) << good.error().message;
    }
}

TEST(CommandWords, RawValuesAreForProgramsThatAreNoShell) {
    for (const char* command :
         {"/usr/lib/dovecot/deliver -f %{sender:raw} -d %{rcpt:raw}", "mda %{rcpt.user:raw} -c x",
          "/bin/sh -c 'mda -f %{sender}' %{rcpt}", "publish %{sender:raw}"}) {
        const Result<Words> words = split_command(command);
        ASSERT_TRUE(words.ok()) << command;
        EXPECT_TRUE(check_command(*words).ok()) << command;
    }
    // What is run for a delivery has been wrapped.
    DeliveryValues values;
    values.recipient = "bob@d.test";
    EXPECT_FALSE(expand_command({"/bin/sh", "-c", "%{rcpt.user:raw}"}, values).ok());
    EXPECT_FALSE(check_command(*wrap_command({"/bin/sh", "-c", "%{mda}"}, {"%{rcpt:raw}"})).ok());
}

TEST(CommandWords, AWrapperRunsTheCommand) {
    const Words command{"mda", "-f", "%{sender}"};
    EXPECT_EQ(*wrap_command({"nice", "%{mda}"}, command),
              (Words{"nice", "mda", "-f", "%{sender}"}));
    EXPECT_EQ(*wrap_command({"a", "%{mda}", "b"}, {"mda"}), (Words{"a", "mda", "b"}));
    for (const Words& wrapper : {Words{"nice"}, Words{"nice", "x%{mda}"},
                                 Words{"sh", "-c", "nice %{mda}"}, Words{"%{mda}", "%{mda}"}})
        EXPECT_FALSE(wrap_command(wrapper, command).ok());
}

std::string expand(const std::string& word, const DeliveryValues& values) {
    const Result<Words> words = expand_command({word}, values);
    return words ? (words->size() == 1 ? words->front() : "more than one word")
                 : "error: " + words.error().message;
}

TEST(CommandWords, ValuesStayInTheirWord) {
    struct {
        const char* word;
        const char* recipient;
        const char* expected;
    } const cases[] = {
        {"%{rcpt}", "bob@d.test", "bob@d.test"},
        {"--to=%{rcpt.user}", "bob+x@d.test", "--to=bob+x"},
        {"%{user.username}:%{user.directory}", "bob@d.test", "alice:/home/alice"},
        {"100%", "bob@d.test", "100%"},
        // What means something to a shell, and options.
        {"%{rcpt.user}", "\"$(touch x)\"@d.test", "::touch:x:"},
        {"%{rcpt.user}", "\"a; rm -rf b\"@d.test", "a::rm:-rf:b"},
        {"%{rcpt.user}", "\"a/../b\"@d.test", "a:..:b"},
        {"%{rcpt.user}", "`id`|x@d.test", ":id::x"},
        {"%{rcpt.user}", "-f@d.test", ":f"},
        {"x%{rcpt.user}", "-f@d.test", "x-f"},
        {"mda -a %{rcpt.user}", "-f@d.test", "mda -a :f"},
        {"mda '%{rcpt.user}' \"%{rcpt.user}\"", "-f@d.test", "mda ':f' \":f\""},
        {"%{rcpt.user:raw}", "o'brien@d.test", "o'brien"},
        {"%{rcpt.user:raw}", "\"$(id) /x\"@d.test", "$(id) /x"},
        {"sh -c %{rcpt.user}", "\"a b'c\"@d.test", "sh -c a:b:c"},
        {"%{rcpt.user:raw}", "\"\x01\x7f\"@d.test", "::"},
    };
    for (const auto& c : cases) {
        DeliveryValues values;
        values.user = "alice";
        values.directory = "/home/alice";
        values.recipient = c.recipient;
        std::string expanded = expand(c.word, values);
        // No address at all is taken whole, and made harmless.
        if (std::string_view(c.recipient).find('\x01') != std::string_view::npos) {
            EXPECT_EQ(expanded.find('\x01'), std::string::npos);
            continue;
        }
        EXPECT_EQ(expanded, c.expected) << c.recipient;
    }
}

TEST(CommandWords, NothingIsAWordToo) {
    DeliveryValues values;
    values.recipient = "postmaster";
    EXPECT_EQ(expand("%{sender}", values), "");
    EXPECT_EQ(expand("%{mbox.from}", values), "MAILER-DAEMON");
    EXPECT_EQ(expand("%{rcpt.user[20]}", values),
              "error: a value is too short for the part of it that is asked for");
}

} // namespace
} // namespace postern
