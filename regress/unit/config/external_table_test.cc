// Tables of networks and expressions, and those that are elsewhere.
#include <gtest/gtest.h>

#include "common/config/parse.h"
#include "common/config/table_query.h"
#include "regress/unit/config/files.h"
#include "table_features.h"

namespace postern::test {
namespace {

constexpr bool has_all_tables = POSTERN_WITH_CDB && POSTERN_WITH_SQLITE &&
                                POSTERN_WITH_POSTGRESQL && POSTERN_WITH_REDIS &&
                                POSTERN_WITH_LDAP && POSTERN_WITH_REGEX;

const Files files({
    {"/networks", "192.0.2.0/24 inside\n2001:db8::/32 six\n"},
    {"/expressions", "# of lists\n^list-[0-9]+: numbered ones\n@x\\.example$ the rest\n"},
    {"/list", "^a b$\n"},
    {"/bad-networks", "192.0.2.0/24\nhost.example\n"},
    {"/bad-expressions", "good\n(unclosed\na**\n"},
    {"/sqlite", "dbpath\t/var/lists.db\nquery_domain SELECT d FROM t WHERE d = ?;\n"
                "query_mailaddr SELECT a FROM t WHERE a = ?\n"},
    {"/postgres", "conninfo host='db' user=\"mail\" password='p:w d'\n# yes\nscram yes\n"
                  "query_credentials SELECT n, h FROM u WHERE n = $1;\n"},
    {"/redis", "master 2001:db8::1\nmaster_port 6380\npassword pw\ndatabase 3\n"
               "query_domain SISMEMBER domains %s\n"},
    {"/small-redis", "query_alias LRANGE a:%s 0 -1\n"},
    {"/ldap", "url: ldaps://db.example\nusername: cn=r,dc=x\npassword: secret\nbasedn: dc=x\n"
              "alias_filter: (&(objectClass=person)(mail=%u))\nalias_attributes: mail, uid\n"},
});

ParsedConfiguration parse(const std::string& text) {
    return parse_configuration("f", text + "\nmatch reject\n", files.reader());
}

Configuration good(const std::string& text) {
    ParsedConfiguration parsed = parse(text);
    for (const Diagnostic& error : parsed.errors)
        ADD_FAILURE() << error.to_string();
    return parsed.configuration.value_or(Configuration());
}

std::string errors_of(const std::string& text) {
    std::string errors;
    for (const Diagnostic& error : parse(text).errors)
        errors += error.to_string() + "\n";
    return errors;
}

TEST(ExternalTable, NetworksAndExpressionsKeepTheirOrder) {
    if (!has_all_tables)
        GTEST_SKIP() << "this build has not all kinds of tables";
    const Configuration all = good("table n cidr:/networks\ntable e regex:/expressions\n"
                                   "table l regex:/list\nmatch from src <n> reject\n"
                                   "match for rcpt-to <e> reject\n"
                                   "smtp limit exempt <n>\n");
    using Texts = std::vector<std::string>;
    const Table& networks = all.tables.at("n");
    EXPECT_EQ(networks.kind, TableKind::cidr);
    EXPECT_TRUE(networks.is_mapping);
    EXPECT_EQ(networks.values, (Texts{"192.0.2.0/24", "2001:db8::/32"}));
    EXPECT_EQ(networks.results, (Texts{"inside", "six"}));
    const Table& expressions = all.tables.at("e");
    EXPECT_EQ(expressions.kind, TableKind::regex);
    EXPECT_EQ(expressions.values, (Texts{"^list-[0-9]+:", "@x\\.example$"}));
    EXPECT_EQ(expressions.results, (Texts{"numbered ones", "the rest"}));
    EXPECT_EQ(all.tables.at("l").values, (Texts{"^a"}));
}

TEST(ExternalTable, ExpressionsAreBoundedInNumber) {
    if (!has_all_tables)
        GTEST_SKIP() << "this build has not all kinds of tables";
    std::string lines;
    for (int i = 0; i < 2000; ++i)
        lines += "^user-" + std::to_string(i) + "@.*\\.example$\n";
    const auto errors = [](const std::string& text) {
        const Files one(std::map<std::string, std::string>{{"/e", text}});
        std::string all;
        for (const Diagnostic& error :
             parse_configuration("f", "table e regex:/e\nmatch reject\n", one.reader()).errors)
            all += error.to_string() + "\n";
        return all;
    };
    EXPECT_EQ(errors(lines), "");
    EXPECT_EQ(errors(lines + "x\n"), "f:1:9: the table has more than 2000 regular expressions\n");
}

TEST(ExternalTable, WhereEachIs) {
    if (!has_all_tables)
        GTEST_SKIP() << "this build has not all kinds of tables";
    const Configuration all =
        good("table s sqlite:/sqlite\ntable p postgres:/postgres\ntable p2 postgresql:/postgres\n"
             "table r redis:/redis\ntable r2 valkey:/small-redis\ntable l ldap:/ldap\n"
             "table d db:/d.cdb\ntable u socketmap:unix:/run/map\n"
             "table v \"socketmap:unix:/run/map:other\"\n"
             "table w \"socketmap:inet:[2001:db8::1]:6000:name\"\n"
             "table x socketmap:inet:map.example:6000\n");
    const auto& tables = all.external_tables;
    EXPECT_EQ(tables.size(), 11u);
    EXPECT_EQ(all.tables.at("s").kind, TableKind::external);
    EXPECT_EQ(tables.at("s").location, "/var/lists.db");
    EXPECT_EQ(tables.at("s").queries.at(TableService::domain).text, "SELECT d FROM t WHERE d = ?;");
    EXPECT_TRUE(tables.at("s").answers(TableService::mailaddr));
    EXPECT_FALSE(tables.at("s").answers(TableService::netaddr));
    EXPECT_EQ(tables.at("p").location, "host='db' user=\"mail\" password='p:w d'");
    EXPECT_TRUE(tables.at("p").scram);
    EXPECT_EQ(tables.at("p"), tables.at("p2"));
    EXPECT_EQ(tables.at("r").location, "2001:db8::1");
    EXPECT_EQ(tables.at("r").port, 6380);
    EXPECT_EQ(tables.at("r").database, 3u);
    EXPECT_EQ(tables.at("r").password, "pw");
    EXPECT_EQ(tables.at("r2").location, "127.0.0.1");
    EXPECT_EQ(tables.at("r2").port, 6379);
    const ExternalTable& ldap = tables.at("l");
    EXPECT_EQ(ldap.location, "ldaps://db.example");
    EXPECT_EQ(ldap.user, "cn=r,dc=x");
    EXPECT_EQ(ldap.queries.at(TableService::alias).attributes,
              (std::vector<std::string>{"mail", "uid"}));
    EXPECT_EQ(tables.at("d").location, "/d.cdb");
    EXPECT_TRUE(tables.at("d").answers(TableService::userinfo));
    const std::tuple<const char*, const char*, int, const char*> maps[] = {
        {"u", "unix:/run/map", 0, "u"},
        {"v", "unix:/run/map", 0, "other"},
        {"w", "2001:db8::1", 6000, "name"},
        {"x", "map.example", 6000, "x"},
    };
    for (const auto& [name, location, port, map] : maps) {
        EXPECT_EQ(tables.at(name).location, location);
        EXPECT_EQ(tables.at(name).port, port);
        EXPECT_EQ(tables.at(name).map, map);
    }
}

struct Bad {
    const char* text;
    const char* errors;
};

TEST(ExternalTable, WhatIsWrongIsSaidWhereItStands) {
    if (!has_all_tables)
        GTEST_SKIP() << "this build has not all kinds of tables";
    const Bad rows[] = {
        {"table n cidr:/bad-networks",
         "/bad-networks:2:1: found \"host.example\", expected an address or a network\n"},
        {"table n regex:/bad-expressions",
         "/bad-expressions:2:1: no regular expression: missing ): (unclosed\n"
         "/bad-expressions:3:1: no regular expression: bad repetition operator: **\n"},
        {"table n cidr:networks",
         "f:1:9: found \"cidr:networks\", expected { a list }, file:/path or \"/path\", or another "
         "type and its path\n"},
        {"table t sqlite:relative",
         "f:1:9: found \"sqlite:relative\", expected \"sqlite\": and an absolute path\n"},
        {"table t sqlite:/none",
         "f:1:9: cannot read the file of the table: /none: No such file or directory\n"},
        {"table t socketmap:/run/map",
         "f:1:9: found \"socketmap:/run/map\", expected socketmap:unix:/path or "
         "socketmap:inet:host:port, and :name if the map is called otherwise than the table\n"},
    };
    for (const Bad& row : rows)
        EXPECT_EQ(errors_of(row.text), row.errors) << row.text;
}

TEST(ExternalTable, WhatIsWrongInItsFile) {
    if (!has_all_tables)
        GTEST_SKIP() << "this build has not all kinds of tables";
    const struct {
        const char* type;
        const char* text;
        const char* errors;
    } rows[] = {
        {"sqlite", "dbpath lists.db\n", "/t:1:1: at \"dbpath\", expected an absolute path\n"},
        {"sqlite", "dbpath /a\ndbpath /b\n", "/t:2:1: \"dbpath\" is given already in line 1\n"},
        {"sqlite", "dbpath /a\n",
         "f:1:9: the file of the table has no query, such as query_domain\n"},
        {"sqlite", "query_domain SELECT ?\n", "f:1:9: the file of the table has no dbpath\n"},
        {"sqlite", "dbpath /a\n query_mail SELECT ?\n",
         "/t:2:2: at \"query_mail\", expected one of the keys of this kind of table\n"},
        {"sqlite", "dbpath\n", "/t:1:1: expected a key and its value\n"},
        // A value is not repeated: it may be a password.
        {"redis", "passwort secret\n",
         "/t:1:1: at \"passwort\", expected one of the keys of this kind of table\n"},
        {"redis", "master_port 0\n", "/t:1:1: at \"master_port\", expected a port\n"},
        {"postgres", "query_domain SELECT $1\n", "f:1:9: the file of the table has no conninfo\n"},
        {"postgres", "scram maybe\n", "/t:1:1: at \"scram\", expected yes or no\n"},
        {"sqlite", "dbpath /a\nquery_domain SELECT d FROM t\n",
         "/t:2:1: at \"query_domain\", expected a query in which one ? is the key\n"},
        {"postgres", "conninfo x\nquery_domain SELECT $1 WHERE $2\n",
         "/t:2:1: at \"query_domain\", expected a query in which $1, and no other parameter, is "
         "the key\n"},
        {"redis", "query_domain SISMEMBER domains %u\n",
         "/t:1:1: at \"query_domain\", expected a query in which %s is the key\n"},
        {"ldap", "url: ldap://x\ndomain_filter: (dc=%h)\n",
         "/t:2:1: at \"domain_filter\", expected a filter in parentheses, in which %u or %s is the "
         "key, %h the name of the table, and %% a \"%\"\n"},
        {"ldap", "url: ldap://x\nusername: cn=x\ndomain_filter: (dc=%u)\ndomain_attributes: dc\n",
         "f:1:9: the file of the table has no password for its username\n"},
        {"ldap", "url: ldap://x\npassword: x\ndomain_filter: (dc=%u)\ndomain_attributes: dc\n",
         "f:1:9: the file of the table has no username for its password\n"},
        {"ldap", "url: http://x\n",
         "/t:1:1: at \"url\", expected ldap://, ldaps:// or ldapi:// and where the server is\n"},
        {"ldap", "url: ldap://x\ndomain_filter: (dc=%x)\n",
         "/t:2:1: at \"domain_filter\", expected a filter in parentheses, in which %u or %s is the "
         "key, %h the name of the table, and %% a \"%\"\n"},
        {"ldap", "url: ldap://x\ndomain_filter: (dc=%u)\n",
         "f:1:9: the file of the table has no domain_attributes\n"},
        {"ldap", "url: ldap://x\ndomain_attributes: dc\n",
         "f:1:9: the file of the table has no domain_filter\n"},
        {"ldap", "alias_attributes: mail uid\n",
         "/t:1:1: at \"alias_attributes\", expected names of attributes, set apart by commas\n"},
    };
    for (const auto& row : rows) {
        const Files one(std::map<std::string, std::string>{{"/t", row.text}});
        std::string errors;
        for (const Diagnostic& error :
             parse_configuration("f", "table t " + std::string(row.type) + ":/t\nmatch reject\n",
                                 one.reader())
                 .errors)
            errors += error.to_string() + "\n";
        EXPECT_EQ(errors, row.errors) << row.type << "\n" << row.text;
    }
}

TEST(ExternalTable, TheKeyIsTheOnlyParameterOfAQuery) {
    const struct {
        TableBackend backend;
        const char* query;
        bool takes;
    } rows[] = {
        {TableBackend::sqlite, "SELECT a FROM t WHERE a = ?", true},
        {TableBackend::sqlite, "SELECT a FROM t WHERE a = ?1 OR b = ?1;", true},
        {TableBackend::sqlite, "SELECT a FROM t WHERE a = ? OR b = ?1", true},
        {TableBackend::sqlite, "SELECT a FROM t WHERE a = :key OR b = :key", true},
        {TableBackend::sqlite, "SELECT a, '?' FROM \"t?\", [u?], `v?` WHERE a=?", true},
        {TableBackend::sqlite, "SELECT a FROM t WHERE a = ? -- and not b = ?", true},
        {TableBackend::sqlite, "SELECT /* ? */ a FROM t WHERE a = ?", true},
        {TableBackend::sqlite, "SELECT 'it''s ?' WHERE a = ?", true},
        {TableBackend::sqlite, "", false},
        {TableBackend::sqlite, "SELECT a FROM t", false},
        {TableBackend::sqlite, "SELECT a FROM t WHERE a = '?'", false},
        {TableBackend::sqlite, "SELECT a FROM t -- ?", false},
        {TableBackend::sqlite, "SELECT a FROM t WHERE a = ? OR b = ?", false},
        {TableBackend::sqlite, "SELECT a FROM t WHERE a = ?2", false},
        {TableBackend::sqlite, "SELECT a FROM t WHERE a = ? OR b = :b", false},
        {TableBackend::postgresql, "SELECT a FROM t WHERE a = $1", true},
        {TableBackend::postgresql, "SELECT a FROM t WHERE a = $1 OR b=$1::text", true},
        {TableBackend::postgresql, "SELECT a FROM t WHERE a = $1 AND b[1] ? 'c'", true},
        {TableBackend::postgresql, "SELECT $$ $2 $$, $x$ $3 $x$, a$4 FROM t WHERE a = $1", true},
        {TableBackend::postgresql, "SELECT a FROM t WHERE a = ?", false},
        {TableBackend::postgresql, "SELECT a FROM t WHERE a = '$1'", false},
        {TableBackend::postgresql, "SELECT a FROM t WHERE a = $1 AND b = $2", false},
        {TableBackend::postgresql, "SELECT a FROM t WHERE a = $10", false},
        {TableBackend::redis, "SISMEMBER domains %s", true},
        {TableBackend::redis, "HMGET %s:%s user hash", true},
        {TableBackend::redis, "SMEMBERS domains", false},
        {TableBackend::ldap, "(mail=%u)", true},
        {TableBackend::ldap, "(|(mail=%s)(uid=%s))", true},
        {TableBackend::ldap, "(mail=%%u)", false},
        {TableBackend::ldap, "(ou=%h)", false},
    };
    for (const auto& row : rows)
        EXPECT_EQ(config::takes_key(row.backend, row.query), row.takes) << row.query;
}

TEST(ExternalTable, WhatItCanBeUsedFor) {
    if (!has_all_tables)
        GTEST_SKIP() << "this build has not all kinds of tables";
    const std::string tables = "table s sqlite:/sqlite\ntable p postgres:/postgres\n"
                               "table l ldap:/ldap\ntable n cidr:/networks\n"
                               "table e regex:/expressions\ntable d db:/d.cdb\n";
    for (const char* text : {"match for domain <s> reject", "match for rcpt-to <s> reject",
                             "match from src <d> reject", "match tag <d> reject",
                             "match from auth <e> reject", "match helo <e> reject"})
        EXPECT_EQ(errors_of(tables + text), "") << text;
    const Bad rows[] = {
        {"match from src <s> reject",
         "f:7:16: table \"s\" cannot be used for \"from src\": it has no query_netaddr\n"},
        {"match for domain <p> reject",
         "f:7:18: table \"p\" cannot be used for \"for domain\": it has no query_domain\n"},
        {"match for domain <l> reject",
         "f:7:18: table \"l\" cannot be used for \"for domain\": it has no domain_filter\n"},
        {"match for domain <n> reject",
         "f:7:18: table \"n\" cannot be used for \"for domain\": it is one of networks\n"},
        {"match from src <e> reject",
         "f:7:16: table \"e\" cannot be used for \"from src\": it is one of regular expressions\n"},
        {"smtp limit exempt <d>", "f:7:19: table \"d\" cannot be used for \"smtp limit exempt\": "
                                  "it is external, and what it "
                                  "has is not known here: a list or a file is needed\n"},
        {"mta limit for domain <e> max-deliveries 3",
         "f:7:22: table \"e\" cannot be used for \"mta limit for domain\": it is one of regular "
         "expressions\n"},
    };
    for (const Bad& row : rows)
        EXPECT_EQ(errors_of(tables + row.text), row.errors) << row.text;
}

} // namespace
} // namespace postern::test
