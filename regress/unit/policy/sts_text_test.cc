// What domains publish about MTA-STS (RFC 8461 3), as tables.
#include <gtest/gtest.h>

#include "smtpd/policy/sts_policy.h"
#include "smtpd/policy/sts_record.h"
#include "smtpd/policy/tag_list.h"

namespace postern::policy {
namespace {

ipc::ResolveAnswer texts(const std::vector<std::string>& records) {
    ipc::ResolveAnswer answer;
    answer.status = ipc::ResolveStatus::ok;
    for (const std::string& record : records)
        answer.records.emplace_back().data = record;
    return answer;
}

TEST(StsRecord, Ids) {
    struct Row {
        std::vector<std::string> records;
        const char* id; // null: none
    };
    const Row rows[] = {
        {{"v=STSv1; id=20160831085700Z;"}, "20160831085700Z"},
        {{"v=STSv1;id=1"}, "1"},
        {{"v=STSv1; \t id=a1 ; ext-1=x y; "}, "a1"},
        {{"v=spf1 -all", "v=STSv1; id=7;", "hello"}, "7"}, // others' records
        {{"v=STSv1; ext=1; id=12345678901234567890123456789012"},
         "12345678901234567890123456789012"},
        {{}, nullptr},
        {{"v=STSv1"}, nullptr},
        {{"v=STSv1;"}, nullptr},
        {{"v=STSv2; id=1;"}, nullptr},
        {{"v=stsv1; id=1;"}, nullptr},
        {{" v=STSv1; id=1;"}, nullptr},
        {{"v=STSv1; id=1;", "v=STSv1; id=1;"}, nullptr}, // more than one
        {{"v=STSv1; id=1; id=2;"}, nullptr},
        {{"v=STSv1; id=;"}, nullptr},
        {{"v=STSv1; id=1-2;"}, nullptr},
        {{"v=STSv1; id=1;; x=1"}, nullptr},
        {{"v=STSv1; id"}, nullptr},
        {{"v=STSv1; =1; id=1"}, nullptr},
        {{std::string("v=STSv1; id=1\0;", 15)}, nullptr},
        {{"v=STSv1; id=123456789012345678901234567890123"}, nullptr}, // 33 octets
    };
    for (const Row& row : rows)
        EXPECT_EQ(sts_record_id(texts(row.records)),
                  row.id ? std::optional<std::string>(row.id) : std::nullopt)
            << (row.records.empty() ? "none" : row.records.front());
    ipc::ResolveAnswer unknown = texts({"v=STSv1; id=1;"});
    unknown.status = ipc::ResolveStatus::bogus;
    EXPECT_EQ(sts_record_id(unknown), std::nullopt);
}

TEST(StsRecord, NoEndOfFields) {
    std::string record = "v=STSv1; id=1;";
    for (int i = 0; i < 40; ++i)
        record += " x=" + std::to_string(i) + ";";
    EXPECT_EQ(sts_record_id(texts({record})), std::nullopt);
}

// "enforce 86400 mx1,mx2", or the error.
std::string read(const std::string& text) {
    static constexpr const char* modes[] = {"none", "testing", "enforce"};
    const Result<ipc::StsPolicy> policy = parse_sts_policy(text);
    if (!policy)
        return policy.error().message;
    std::string out = modes[static_cast<size_t>(policy->mode)];
    out += " " + std::to_string(policy->max_age);
    for (const std::string& mx : policy->mx)
        out += " " + mx;
    return out;
}

TEST(StsPolicy, Texts) {
    struct Row {
        const char* text;
        const char* expected;
    };
    const Row rows[] = {
        {"version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\n"
         "mx: backupmx.example.com\r\nmax_age: 604800\r\n",
         "enforce 604800 mail.example.com *.example.net backupmx.example.com"},
        {"max_age:1\nmx:A.Example\nmode:testing\nversion:STSv1", "testing 1 a.example"},
        {"version: STSv1\nmode: none\nmax_age: 86400\n", "none 86400"},
        {"version: STSv1 \n mode :\tnone\nfuture: :x:\n\nmax_age: 9999999999\n", "none 31557600"},
        {"version: STSv1\nmode: enforce\nmode: none\nmx: a.example\nmax_age: 5\nmax_age: x\n",
         "enforce 5 a.example"}, // the first counts
        {"", "version, mode or max_age is missing"},
        {"version: STSv1\nmode: enforce\nmax_age: 5\n", "no mx is named"},
        {"version: STSv1\nmode: testing\nmax_age: 5\n", "no mx is named"},
        {"version: STSv2\nmode: none\nmax_age: 5\n", "line 1: version: STSv2"},
        {"version: STSv1\nmode: strict\nmax_age: 5\n", "line 2: mode: strict"},
        {"version: STSv1\nmode: none\nmax_age: -5\n", "line 3: max_age: -5"},
        {"version: STSv1\nmode: none\nmax_age: 10000000000\n", "line 3: max_age: 10000000000"},
        {"version: STSv1\nmode: none\nmax_age:\n", "line 3: max_age:"},
        {"version: STSv1\nmode: enforce\nmx: a b\nmax_age: 5\n", "line 3: mx: a b"},
        {"version: STSv1\nmode: enforce\nmx: *.*.example\nmax_age: 5\n", "line 3: mx: *.*.example"},
        {"version: STSv1\nmode: enforce\nmx: .example\nmax_age: 5\n", "line 3: mx: .example"},
        {"<html>\n", "line 1: <html>"},
        {"version: STSv1\nmode: none\nmax_age: 5\n\x1b[2J\n", "line 4: \\x1b[2J"},
    };
    for (const Row& row : rows)
        EXPECT_EQ(read(row.text), row.expected) << row.text;
}

TEST(StsPolicy, HasBounds) {
    std::string text = "version: STSv1\nmode: enforce\nmax_age: 5\n";
    for (size_t i = 0; i < ipc::sts_patterns_limit; ++i)
        text += "mx: mx" + std::to_string(i) + ".example\n";
    EXPECT_TRUE(parse_sts_policy(text));
    EXPECT_FALSE(parse_sts_policy(text + "mx: one.more.example\n"));
    EXPECT_FALSE(parse_sts_policy(text + std::string(policy_text_limit, '\n')));
}

} // namespace
} // namespace postern::policy
