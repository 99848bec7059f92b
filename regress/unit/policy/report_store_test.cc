// Files of reports on TLS are what they are among the policies' too.
#include "smtpd/policy/report_store.h"

#include <fcntl.h>

#include "regress/unit/policy/report_fixture.h"
#include "smtpd/policy/policy_store.h"

namespace postern::policy {
namespace {

FileDescriptor open_directory(const TestDirectory& directory) {
    return FileDescriptor(open(directory.path().c_str(), O_RDONLY | O_DIRECTORY));
}

Batch batch_of(const Tally& tally) {
    Batch batch;
    batch.id = "0123456789abcdef";
    batch.begin = 1795392000;
    batch.end = 1795478399;
    batch.counts = tally.counts();
    return batch;
}

// Everything that a report can say is there again.
TEST(ReportStoreTest, KeepsAll) {
    using ipc::TlsResult;
    Tally tally(1795392000);
    for (int i = 0; i <= static_cast<int>(last_enumerator(TlsResult())); ++i)
        for (const ipc::PolicyType type :
             {ipc::PolicyType::none, ipc::PolicyType::sts, ipc::PolicyType::tlsa}) {
            ipc::SessionResult one = session(static_cast<TlsResult>(i));
            one.type = type;
            if (type != ipc::PolicyType::sts)
                one.mx.clear();
            if (type == ipc::PolicyType::none)
                one.policy.clear();
            tally.add(one);
            one.sending = IpAddress();
            one.receiving = IpAddress();
            one.reason = "a \"reason\" with \\x1f";
            tally.add(one);
            one.domain = "e_x.example";
            tally.add(one);
        }
    tally.take("e_x.example", 1795400000);
    const TestDirectory directory;
    ReportStore store(open_directory(directory));
    const Batch batch = batch_of(tally);
    Batch today = batch;
    today.id = "0123456789abcdee";
    EXPECT_TRUE(store.write_today(today));
    EXPECT_TRUE(store.write(batch));
    const ReportStore::Found found = store.read();
    ASSERT_TRUE(found.today);
    ASSERT_EQ(found.waiting.size(), 1u);
    EXPECT_EQ(to_text(*found.today), to_text(today));
    EXPECT_EQ(to_text(found.waiting[0].batch), to_text(batch));
    EXPECT_EQ(found.today->counts.at("d.example").policies.at(1).details,
              batch.counts.at("d.example").policies.at(1).details);
    EXPECT_EQ(found.today->counts.at("e_x.example").begin, 1795400000);
}

TEST(ReportStoreTest, WhoWasTold) {
    Tally tally(1795392000);
    for (const char* domain : {"d.example", "e.example", "f.example"}) {
        ipc::SessionResult one = session();
        one.domain = domain;
        tally.add(one);
    }
    const TestDirectory directory;
    ReportStore store(open_directory(directory));
    const Batch batch = batch_of(tally);
    EXPECT_TRUE(store.write(batch));
    EXPECT_TRUE(store.tell(batch.id, "d.example", "mailto:a b@d.example"));
    EXPECT_TRUE(store.tell(batch.id, "e.example", ""));
    const ReportStore::Found found = store.read();
    ASSERT_EQ(found.waiting.size(), 1u);
    EXPECT_TRUE(found.waiting[0].batch.counts.contains("d.example"));
    EXPECT_FALSE(found.waiting[0].batch.counts.contains("e.example"));
    EXPECT_TRUE(found.waiting[0].batch.counts.contains("f.example"));
    const std::map<std::string, std::set<std::string>> told = {
        {"d.example", {"mailto:a b@d.example"}}};
    EXPECT_EQ(found.waiting[0].told, told);
    store.remove(batch.id);
    EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
}

// The one that waits may be on its way already, and have marks.
TEST(ReportStoreTest, NoBatchTakesThePlaceOfAnother) {
    Tally tally(1795392000);
    tally.add(session());
    const TestDirectory directory;
    ReportStore store(open_directory(directory));
    const Batch batch = batch_of(tally);
    EXPECT_TRUE(store.write(batch));
    Batch other = batch;
    other.counts.clear();
    EXPECT_FALSE(store.write(other));
    EXPECT_TRUE(store.write_today(other));
    EXPECT_FALSE(store.end_today(batch.id));
    EXPECT_TRUE(store.end_today("0123456789abcdee"));
    const ReportStore::Found found = store.read();
    ASSERT_EQ(found.waiting.size(), 2u);
    EXPECT_EQ(to_text(found.waiting[1].batch), to_text(batch));
}

// The process ended when a part of today was written, but not the rest.
TEST(ReportStoreTest, WhatABatchHasIsNotInTodayToo) {
    Tally tally(1795392000);
    for (const char* domain : {"d.example", "e.example", "f.example"}) {
        ipc::SessionResult one = session();
        one.domain = domain;
        tally.add(one);
    }
    const TestDirectory directory;
    ReportStore store(open_directory(directory));
    Batch batch = batch_of(tally);
    EXPECT_TRUE(store.write_today(batch));
    batch.counts.erase("f.example");
    EXPECT_TRUE(store.write(batch));
    EXPECT_TRUE(store.tell(batch.id, "d.example", ""));
    const ReportStore::Found found = store.read();
    ASSERT_TRUE(found.today);
    EXPECT_EQ(found.today->id, "");
    EXPECT_EQ(found.today->counts.size(), 1u);
    EXPECT_TRUE(found.today->counts.contains("f.example"));
    ASSERT_EQ(found.waiting.size(), 1u);
    EXPECT_EQ(found.waiting[0].batch.counts.size(), 1u);
    EXPECT_TRUE(found.waiting[0].batch.counts.contains("e.example"));
}

TEST(ReportStoreTest, ThePolicyStoreLeavesThemAlone) {
    Tally tally(1795392000);
    tally.add(session());
    const TestDirectory directory;
    ReportStore store(open_directory(directory));
    EXPECT_TRUE(store.write_today(batch_of(tally)));
    PolicyStore policies(open_directory(directory), 1795392000);
    EXPECT_TRUE(policies.keep("d.example", "one",
                              "version: STSv1\nmode: enforce\nmx: mx.d.example\nmax_age: 86400\n",
                              1795392000));
    EXPECT_EQ(PolicyStore(open_directory(directory), 1795392000).size(), 1u);
    EXPECT_TRUE(store.read().today);
    EXPECT_TRUE(store.read().waiting.empty());
}

} // namespace
} // namespace postern::policy
