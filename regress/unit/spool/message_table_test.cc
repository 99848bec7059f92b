// The table of messages against std::map, and its promise about memory.
#include <gtest/gtest.h>
#include <map>
#include <random>

#include "queue/spool/message_table.h"

namespace postern {
namespace {

TableEntry entry(uint64_t id, uint32_t salt) {
    TableEntry e;
    e.id = id;
    e.message = {static_cast<uint16_t>(salt % 1000), salt * 8, salt % 100000};
    e.content_in_file = salt % 2 == 0;
    if (salt % 3 == 0)
        e.progress = {5, salt, 3};
    return e;
}

bool same(const TableEntry& a, const TableEntry& b) {
    return a.id == b.id && a.message == b.message && a.progress == b.progress &&
           a.content_in_file == b.content_in_file;
}

TEST(MessageTable, BehavesLikeAMap) {
    std::mt19937 random(1);
    MessageTable table;
    std::map<uint64_t, TableEntry> model;
    for (int i = 0; i < 200000; i++) {
        uint64_t id = 1 + random() % (i % 50000 < 25000 ? 5000 : 50);
        if (random() % 2 == 0) {
            table.put(entry(id, static_cast<uint32_t>(i)));
            model[id] = entry(id, static_cast<uint32_t>(i));
        } else {
            EXPECT_EQ(table.erase(id), model.erase(id) == 1);
        }
        ASSERT_EQ(table.size(), model.size());
    }
    for (uint64_t id = 1; id <= 5000; id++) {
        TableEntry found;
        ASSERT_EQ(table.find(id, &found), model.contains(id));
        if (model.contains(id)) {
            EXPECT_TRUE(same(found, model[id]));
        }
    }
    size_t visited = 0;
    table.for_each([&](const TableEntry& e) { visited += same(e, model[e.id]) ? 1 : 0; });
    EXPECT_EQ(visited, model.size());
}

TEST(MessageTable, AtMost48BytesAMessage) {
    MessageTable table;
    for (uint32_t i = 1; i <= 300000; i++) {
        table.put(entry(1'700'000'000'000'000 + i, i));
        if (i > 1000) {
            ASSERT_LE(table.memory(), i * 48u) << i;
        }
    }
    for (uint32_t i = 1; i <= 299000; i++)
        table.erase(1'700'000'000'000'000 + i);
    EXPECT_LT(table.memory(), 300000u) << "it shrinks again";
}

TEST(MessageTable, WhatIsReservedIsNotExceeded) {
    for (uint32_t messages : {1u, 54u, 55u, 1000u, 12345u}) {
        MessageTable table;
        table.reserve(messages);
        const size_t reserved = table.memory();
        for (uint32_t i = 1; i <= messages; i++)
            table.put(entry(i, i));
        EXPECT_EQ(table.memory(), reserved) << messages;
        table.reserve(1);
        EXPECT_EQ(table.memory(), reserved) << "and is no less afterwards";
    }
}

TEST(MessageTable, EmptyAnswersNo) {
    MessageTable table;
    EXPECT_FALSE(table.find(1, nullptr));
    EXPECT_FALSE(table.find(0, nullptr));
    EXPECT_FALSE(table.erase(1));
}

} // namespace
} // namespace postern
