#include "queue/records.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

StoredMessage sample_message() {
    StoredMessage message;
    message.envelope.origin.client = *IpAddress::parse("192.0.2.7");
    message.envelope.origin.helo = "client.example";
    message.envelope.reverse_path = "a@from.example";
    message.envelope.recipients = {"b@dest.example", "\"c d\"@dest.example"};
    message.envelope.parameters.body = Body::eight_bit_mime;
    message.envelope.parameters.envelope_id = "QQ314159";
    message.envelope.parameters.deliver_by = DeliverBy{-3, false, true};
    message.envelope.options.push_back({1, {notify::never, "rfc822;b@c.example"}});
    message.envelope.accepted_at = 1795435200;
    message.traits.eight_bit = true;
    message.traits.header_length = 12;
    message.cause = BounceCause{77, {1, 5}, {{2, told::late}}};
    return message;
}

TEST(Records, AMessageComesBackAsItWas) {
    const StoredMessage before = sample_message();
    Result<StoredMessage> after = decode_message(encode(before));
    ASSERT_TRUE(after);
    EXPECT_EQ(encode(*after), encode(before));
    EXPECT_EQ(after->envelope.recipients, before.envelope.recipients);
    EXPECT_EQ(after->envelope.origin.client, before.envelope.origin.client);
    EXPECT_EQ(after->cause->recipients, before.cause->recipients);
    EXPECT_EQ(after->cause->delayed.at(0).told, told::late);
}

TEST(Records, WhatIsNoMessageIsAnError) {
    const std::string good = encode(sample_message());
    for (size_t length = 0; length < good.size(); ++length)
        EXPECT_FALSE(decode_message(good.substr(0, length))) << length;
    EXPECT_FALSE(decode_message(good + "x"));
    std::string newer = good;
    newer[0] = 5;
    Result<StoredMessage> unknown = decode_message(newer);
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().message, "an envelope record of an unknown format");
    StoredMessage to_nobody = sample_message();
    to_nobody.envelope.recipients.clear();
    EXPECT_FALSE(decode_message(encode(to_nobody)));
}

StoredProgress sample_progress() {
    StoredProgress progress;
    progress.set_finished(0);
    progress.set_finished(9);
    progress.errors.push_back({"4.4.1", "connection refused", false, "mx.example[192.0.2.1]:25"});
    progress.recipients.push_back({3, 2, 1795435500, 1, told::late | 1, std::nullopt});
    progress.recipients.push_back({4, 1, 1795435501, 0, 0, ipc::Handover::relayed});
    return progress;
}

TEST(Records, ProgressComesBackAsItWas) {
    Result<StoredProgress> after = decode_progress(encode(sample_progress()), 10);
    ASSERT_TRUE(after);
    for (uint32_t i = 0; i < 20; ++i)
        EXPECT_EQ(after->is_finished(i), i == 0 || i == 9) << i;
    ASSERT_EQ(after->recipients.size(), 2u);
    EXPECT_EQ(after->recipients[0].next_attempt, 1795435500);
    EXPECT_EQ(after->recipients[0].told, told::late | 1);
    EXPECT_FALSE(after->recipients[0].handover);
    EXPECT_EQ(after->recipients[1].handover, ipc::Handover::relayed);
    EXPECT_EQ(after->errors.at(after->recipients[0].error - 1).diagnostic, "connection refused");
}

TEST(Records, ProgressThatCannotBeIsAnError) {
    const std::string good = encode(sample_progress());
    EXPECT_TRUE(decode_progress(good, 10));
    EXPECT_FALSE(decode_progress(good, 8)) << "recipient 9 is finished, of 8";
    for (size_t length = 0; length < good.size(); ++length)
        EXPECT_FALSE(decode_progress(good.substr(0, length), 10)) << length;
    StoredProgress beyond = sample_progress();
    beyond.recipients[0].index = 10;
    EXPECT_FALSE(decode_progress(encode(beyond), 10));
    StoredProgress told_too_much = sample_progress();
    told_too_much.recipients[0].told = 16;
    EXPECT_FALSE(decode_progress(encode(told_too_much), 10));
    StoredProgress no_such_error = sample_progress();
    no_such_error.recipients[0].error = 2;
    EXPECT_FALSE(decode_progress(encode(no_such_error), 10));
}

} // namespace
} // namespace postern
