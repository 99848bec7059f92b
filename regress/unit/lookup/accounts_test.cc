// Tables of credentials and of senders.
#include "smtpd/lookup/accounts.h"

#include <gtest/gtest.h>

#include <set>

namespace postern {
namespace {

using ipc::SenderVerdict;

Table mapping(std::map<std::string, std::string> pairs) {
    Table table;
    table.is_mapping = true;
    table.pairs = std::move(pairs);
    return table;
}

// Salts of 16 octets and of 4.
const std::string keys = "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
                         "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
const std::string scram_4096 = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$" + keys;
const std::string scram_5000 = "SCRAM-SHA-256$5000:c2FsdA==$" + keys;

ipc::LookupSettings settings() {
    ipc::LookupSettings settings;
    settings.tables["users"] =
        mapping({{"alice", "$6$alice"}, {"bob@x.example", "$6$bob"}, {"carol", "*"}});
    settings.tables["scram"] =
        mapping({{"alice", scram_4096}, {"bob", scram_5000}, {"carol", "*"}, {"dave", "$6$dave"}});
    settings.decoy_key = "key of this supervisor";
    settings.tables["empty"] = Table();
    settings.tables["domains"] = mapping({{"x.example", "y.example"}});
    settings.tables["senders"] = mapping({
        {"alice", "alice@x.example, staff@x.example,alice@*.y.example"},
        {"bob@x.example", "@x.example"},
        {"root", "@"},
        {"reports", "<>, reports"},
        {"j\u00fcrgen", "j\u00fcrgen@b\u00fccher.example, kate@x.example"},
    });
    settings.credentials = {"users", "empty", "scram"};
    settings.senders = {"senders"};
    return settings;
}

TableAnswers none;

Accounts accounts() { return *Accounts::prepare(settings()); }

// Tables that are elsewhere: what they have is known, or not yet, or cannot be told.
class ExternalAccountsTest : public testing::Test {
  protected:
    ExternalAccountsTest() {
        settings_.tables["t"].kind = TableKind::external;
        settings_.credentials = {"t"};
        settings_.senders = {"t"};
        settings_.decoy_key = "key";
        accounts_ = *Accounts::prepare(settings_);
        answers_.learn(key("alice"), {ipc::TableVerdict::found, "$6$alice"});
        answers_.learn(key("locked"), {ipc::TableVerdict::found, "*"});
        answers_.learn(key("nobody"), {ipc::TableVerdict::not_found, ""});
        answers_.learn(key("somebody"), {ipc::TableVerdict::not_found, ""});
        answers_.learn(key("scram"), {ipc::TableVerdict::found, scram_4096});
        answers_.learn(key("away"), {});
    }
    static TableKey key(const char* user) { return {"t", TableService::credentials, user}; }

    const std::string first_hash = "$6$salt$" + std::string(86, 'x');
    ipc::LookupSettings settings_;
    Accounts accounts_;
    TableAnswers answers_;
};

TEST_F(ExternalAccountsTest, HashesOfThoseWhoAreThere) {
    EXPECT_TRUE(accounts_.find("t", "Alice", answers_)->exists);
    EXPECT_EQ(accounts_.find("t", "Alice", answers_)->hash, "$6$alice");
    EXPECT_FALSE(answers_.undecided());
    accounts_.find("t", "bob", answers_);
    EXPECT_EQ(answers_.take_wanted(), std::vector<TableKey>{key("bob")});
    accounts_.find("t", "away", answers_);
    EXPECT_TRUE(answers_.away());
}

// A check takes its time for them too; and what is checked is like what the table has, as soon as
// that is known.
TEST_F(ExternalAccountsTest, HashesForThoseWhoAreNot) {
    for (const char* user : {"nobody", "locked"}) {
        const auto candidate = accounts_.find("t", user, answers_);
        EXPECT_FALSE(candidate->exists);
        EXPECT_TRUE(candidate->hash.starts_with("$y$")) << user;
    }
    for (const char* bad :
         {"", "*", "!", "$6$alice", "plain", "$1$salt$2xWbQLOvPqcqrKZJFQ0fK1aaaaaa"})
        accounts_.remember("t", bad);
    EXPECT_TRUE(accounts_.find("t", "nobody", answers_)->hash.starts_with("$y$"))
        << "none of these";
    // The first one counts, also after a reload.
    accounts_.remember("t", first_hash);
    EXPECT_EQ(accounts_.find("t", "nobody", answers_)->hash, first_hash);
    for (int i = 0; i < 100; ++i)
        accounts_.remember("t", first_hash + std::to_string(i));
    EXPECT_EQ(accounts_.find("t", "somebody", answers_)->hash, first_hash);
    Accounts later = *Accounts::prepare(settings_);
    later.remember_all_of(accounts_);
    EXPECT_EQ(later.find("t", "nobody", answers_)->hash, first_hash);
}

TEST_F(ExternalAccountsTest, SecretsOfScram) {
    EXPECT_TRUE(accounts_.has_scram("t"));
    EXPECT_EQ(to_string(accounts_.find_scram("t", "scram", answers_)->secret), scram_4096);
    const auto nobody = accounts_.find_scram("t", "nobody", answers_);
    EXPECT_FALSE(nobody->exists);
    EXPECT_EQ(nobody->secret.iterations, 100'000u) << "as smtpctl encrypt makes them";
    EXPECT_EQ(nobody->secret.salt.size(), 16u);
    EXPECT_FALSE(accounts_.find_scram("t", "alice", answers_)->exists) << "she has none for it";
    accounts_.remember("t", scram_5000);
    const auto later = accounts_.find_scram("t", "nobody", answers_);
    EXPECT_EQ(later->secret.iterations, 5000u);
    EXPECT_EQ(later->secret.salt.size(), 4u);
    EXPECT_NE(later->secret.salt, "salt");
    accounts_.remember("t", scram_4096);
    const auto still = accounts_.find_scram("t", "nobody", answers_);
    EXPECT_EQ(to_string(still->secret), to_string(later->secret)) << "the first one counts";
}

TEST_F(ExternalAccountsTest, Senders) {
    const TableKey owner{"t", TableService::mailaddrmap, "alice"};
    ipc::SenderQuery query;
    query.table = "t";
    query.user = "alice";
    query.reverse_path = "alice@x.example";
    EXPECT_EQ(accounts_.may_send(query, answers_), SenderVerdict::temporary);
    EXPECT_EQ(answers_.take_wanted(), std::vector<TableKey>{owner});
    answers_.learn(owner, {ipc::TableVerdict::found, "a@y.example, @x.example"});
    EXPECT_EQ(accounts_.may_send(query, answers_), SenderVerdict::owned);
    query.reverse_path = "b@y.example";
    EXPECT_EQ(accounts_.may_send(query, answers_), SenderVerdict::not_owned);
    answers_.learn(owner, {ipc::TableVerdict::not_found, ""});
    EXPECT_EQ(accounts_.may_send(query, answers_), SenderVerdict::not_owned);
    answers_.learn(owner, {});
    EXPECT_EQ(accounts_.may_send(query, answers_), SenderVerdict::temporary);
}

TEST(AccountsTest, KnowsUsersInAnyCase) {
    const Accounts all = accounts();
    for (const char* name : {"alice", "Alice", "ALICE"}) {
        const auto candidate = all.find("users", name, none);
        ASSERT_TRUE(candidate);
        EXPECT_TRUE(candidate->exists);
        EXPECT_EQ(candidate->user, "alice");
        EXPECT_EQ(candidate->hash, "$6$alice");
    }
    EXPECT_EQ(all.find("users", "Bob@X.example", none)->user, "bob@x.example");
    EXPECT_FALSE(all.find("users", "bob", none)->exists);
    ipc::LookupSettings others = settings();
    others.tables["users"] = mapping({{"j\u00fcrgen", "$6$j"}});
    EXPECT_EQ(Accounts::prepare(others)->find("users", "Ju\u0308rgen", none)->hash, "$6$j");
}

// Somebody who does not exist costs what somebody who does would: there is always a hash to check,
// the same one each time, and together they are those of all users.
TEST(AccountsTest, AStandInForWhoDoesNotExist) {
    const Accounts all = accounts();
    std::set<std::string> hashes;
    for (int i = 0; i < 200; ++i) {
        const std::string name = "nobody" + std::to_string(i);
        const auto candidate = all.find("users", name, none);
        EXPECT_FALSE(candidate->exists);
        EXPECT_EQ(all.find("users", name, none)->hash, candidate->hash);
        hashes.insert(candidate->hash);
    }
    EXPECT_EQ(hashes, (std::set<std::string>{"$6$alice", "$6$bob"}));
    const auto locked = all.find("users", "carol", none);
    EXPECT_FALSE(locked->exists);
    EXPECT_TRUE(hashes.contains(locked->hash)) << locked->hash;
    EXPECT_TRUE(all.find("users", "", none)->hash.starts_with("$6$"));
}

// Only what the configuration says is one can be asked about.
TEST(AccountsTest, TablesThatAreNoneOfCredentials) {
    const Accounts all = accounts();
    EXPECT_FALSE(all.find("domains", "x.example", none));
    EXPECT_FALSE(all.find("senders", "alice", none));
    EXPECT_FALSE(all.find("nothing", "alice", none));
    const auto nobody = all.find("empty", "alice", none);
    ASSERT_TRUE(nobody);
    EXPECT_FALSE(nobody->exists);
    EXPECT_EQ(nobody->hash, "");
}

TEST(AccountsTest, SecretsForScram) {
    const Accounts all = accounts();
    const auto alice = all.find_scram("scram", "Alice", none);
    ASSERT_TRUE(alice);
    EXPECT_TRUE(alice->exists);
    EXPECT_EQ(alice->user, "alice");
    EXPECT_EQ(to_string(alice->secret), scram_4096);
    EXPECT_EQ(all.find("scram", "alice", none)->hash, scram_4096) << "it serves PLAIN too";
    EXPECT_TRUE(all.has_scram("scram"));
    for (const char* table : {"users", "empty", "senders", "nothing"}) {
        EXPECT_FALSE(all.has_scram(table));
        EXPECT_FALSE(all.find_scram(table, "alice", none));
    }
}

// Who has no secret for SCRAM looks as if he had one: salt and iterations are of the usual kind,
// and the same each time, also for the next lookup, but not for another supervisor.
TEST(AccountsTest, ASecretForWhoHasNone) {
    const Accounts all = accounts();
    const Accounts later = accounts();
    ipc::LookupSettings others = settings();
    others.decoy_key = "key of another supervisor";
    const Accounts other = *Accounts::prepare(others);
    std::set<uint32_t> iterations;
    std::set<std::string> salts;
    std::vector<std::string> names = {"carol", "dave", ""};
    for (int i = 0; i < 50; ++i)
        names.push_back("nobody" + std::to_string(i));
    for (const std::string& name : names) {
        const auto account = all.find_scram("scram", name, none);
        ASSERT_TRUE(account);
        EXPECT_FALSE(account->exists);
        EXPECT_EQ(account->secret.salt.size(), account->secret.iterations == 4096 ? 16u : 4u);
        EXPECT_EQ(account->secret.stored_key.size(), ScramSecret::key_size);
        EXPECT_EQ(account->secret.server_key.size(), ScramSecret::key_size);
        EXPECT_EQ(to_string(account->secret),
                  to_string(later.find_scram("scram", name, none)->secret));
        EXPECT_NE(account->secret.salt, other.find_scram("scram", name, none)->secret.salt);
        iterations.insert(account->secret.iterations);
        salts.insert(account->secret.salt);
    }
    EXPECT_EQ(iterations, (std::set<uint32_t>{4096, 5000}));
    EXPECT_EQ(salts.size(), names.size());
    EXPECT_EQ(to_string(all.find_scram("scram", "NOBODY1", none)->secret),
              to_string(all.find_scram("scram", "nobody1", none)->secret));
}

TEST(AccountsTest, WhoMaySendAsWhom) {
    struct Row {
        const char* user;
        const char* reverse_path;
        SenderVerdict verdict;
    };
    const Row rows[] = {
        {"alice", "alice@x.example", SenderVerdict::owned},
        {"alice", "Alice@X.EXAMPLE", SenderVerdict::owned},
        {"alice", "alice+tag@x.example", SenderVerdict::owned},
        {"alice", "staff@x.example", SenderVerdict::owned},
        {"alice", "alice@sub.y.example", SenderVerdict::owned},
        {"alice", "alice@y.example", SenderVerdict::not_owned},
        {"alice", "bob@x.example", SenderVerdict::not_owned},
        {"alice", "\"alice@x.example, bob\"@x.example", SenderVerdict::not_owned},
        {"alice", "", SenderVerdict::not_owned},
        {"bob@x.example", "anybody@x.example", SenderVerdict::owned},
        {"bob@x.example", "anybody@y.example", SenderVerdict::not_owned},
        {"root", "anybody@anywhere.example", SenderVerdict::owned},
        {"j\u00fcrgen", "j\u00fcrgen@b\u00fccher.example", SenderVerdict::owned},
        {"Ju\u0308rgen", "ju\u0308rgen@xn--bcher-kva.example", SenderVerdict::owned},
        {"j\u00fcrgen", "jurgen@b\u00fccher.example", SenderVerdict::not_owned},
        {"j\u00fcrgen", "\u043aate@x.example", SenderVerdict::not_owned}, // a Cyrillic letter
        {"j\u00fcrgen", "\uff4bate@x.example", SenderVerdict::not_owned}, // a full-width one
        {"j\u00fcrgen", "\xfc@x.example", SenderVerdict::not_owned},
        {"reports", "", SenderVerdict::owned},
        {"reports", "reports@z.example", SenderVerdict::owned},
        {"reports", "other@z.example", SenderVerdict::not_owned},
        {"nobody", "alice@x.example", SenderVerdict::not_owned},
        {"alice", "not an address", SenderVerdict::not_owned},
    };
    const Accounts all = accounts();
    for (const Row& row : rows) {
        ipc::SenderQuery query;
        query.table = "senders";
        query.user = row.user;
        query.reverse_path = row.reverse_path;
        EXPECT_EQ(all.may_send(query, none), row.verdict) << row.user << " as " << row.reverse_path;
        query.table = "users";
        EXPECT_EQ(all.may_send(query, none), SenderVerdict::temporary);
    }
}

TEST(AccountsTest, SettingsThatContradictThemselves) {
    ipc::LookupSettings bad = settings();
    bad.credentials.push_back("nothing");
    EXPECT_FALSE(Accounts::prepare(bad));
    bad = settings();
    bad.senders.push_back("nothing");
    EXPECT_FALSE(Accounts::prepare(bad));
    bad = settings();
    bad.tables["users"] = Table();
    bad.tables["users"].values = {"alice"};
    EXPECT_FALSE(Accounts::prepare(bad));
}

} // namespace
} // namespace postern
