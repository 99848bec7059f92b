// When what has changed goes to disk.
#include "queue/recorder.h"

#include "regress/unit/queue/queue_lab.h"

namespace postern::test {
namespace {

TEST(Recorder, WhatNobodyWaitsForGoesToDiskWithWhatSomebodyDoes) {
    QueueLab lab;
    lab.accept("a@from.example", {"b@dest.example"});
    const uint64_t before = lab.queue->recorder().commits();
    lab.answer(lab.handed(0), delivered());
    lab.run();
    EXPECT_EQ(lab.queue->recorder().commits(), before);
    lab.accept("a@from.example", {"c@dest.example"});
    EXPECT_EQ(lab.queue->recorder().commits(), before + 1);
    lab.answer(lab.handed(1), delivered());
    lab.run();
    EXPECT_EQ(lab.queue->recorder().commits(), before + 1);
    lab.advance(Recorder::linger);
    EXPECT_EQ(lab.queue->recorder().commits(), before + 2) << "nothing came meanwhile";
}

} // namespace
} // namespace postern::test
