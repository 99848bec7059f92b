// The pure parts of a session, each for itself.
#include <gtest/gtest.h>

#include "smtpd/listener/budget.h"
#include "smtpd/listener/header_watch.h"
#include "smtpd/listener/replies.h"
#include "smtpd/listener/transaction.h"

namespace postern::listener::test {
namespace {

Transaction begin(std::string_view line) {
    return Transaction(std::get<MailCommand>(parse_command(line)), 3, 0);
}

TEST(TransactionTest, KeepsWhatMailSaid) {
    Transaction transaction = begin("MAIL FROM:<\"a b\"@Client.Example> BODY=8BITMIME");
    EXPECT_EQ(transaction.number(), 3u);
    EXPECT_EQ(transaction.reverse_path(), "\"a b\"@client.example");
    EXPECT_FALSE(transaction.has_recipients());
    transaction.add_recipient("user@dest.example", {});
    ASSERT_TRUE(transaction.only_recipient());
    EXPECT_EQ(*transaction.only_recipient(), "user@dest.example");
    transaction.add_recipient("other@dest.example", {});
    EXPECT_FALSE(transaction.only_recipient());
    ipc::Origin origin;
    origin.helo = "client.example";
    ipc::Envelope envelope = transaction.take_envelope(origin, 12345);
    EXPECT_EQ(envelope.origin.helo, "client.example");
    EXPECT_EQ(envelope.reverse_path, "\"a b\"@client.example");
    EXPECT_EQ(envelope.parameters.body, Body::eight_bit_mime);
    EXPECT_EQ(envelope.accepted_at, 12345);
    EXPECT_EQ(envelope.recipients.size(), 2u);
}

TEST(TransactionTest, CountsARecipientOnce) {
    Transaction transaction = begin("MAIL FROM:<>");
    for (int round = 0; round < 2; ++round)
        for (int i = 0; i < 100; ++i)
            transaction.add_recipient("user" + std::to_string(i) + "@dest.example", {});
    EXPECT_EQ(transaction.recipients().size(), 100u);
    EXPECT_EQ(transaction.recipients()[99], "user99@dest.example");
    // The case of the local part counts (RFC 5321 2.4).
    transaction.add_recipient("User99@dest.example", {});
    EXPECT_EQ(transaction.recipients().size(), 101u);
}

TEST(TransactionTest, HasRoomByNumberAndBySize) {
    Transaction transaction = begin("MAIL FROM:<>");
    transaction.add_recipient("a@dest.example", {});
    EXPECT_TRUE(transaction.has_room("b@dest.example", {}, 0, 2));
    EXPECT_FALSE(transaction.has_room("b@dest.example", {}, 1, 2));
    EXPECT_TRUE(transaction.has_room("b@dest.example", {}, 1, 0)); // no limit
    // Whatever the operator allows, all of it must fit in one message to the queue.
    size_t bytes = 0;
    for (int i = 0;; ++i) {
        std::string address = std::string(150, 'x') + std::to_string(i) + "@dest.example";
        if (!transaction.has_room(address, {}, Transaction::max_recipient_bytes / 10'000, 0))
            break;
        bytes += address.size() + 4;
        transaction.add_recipient(address, {});
    }
    EXPECT_GT(transaction.recipients().size(), 1000u);
    EXPECT_LE(bytes, Transaction::max_recipient_bytes);
}

ipc::ListenerSettings limits_of(uint32_t errors, uint32_t recipients, uint32_t mails) {
    ipc::ListenerSettings settings;
    settings.max_errors = errors;
    settings.max_recipients = recipients;
    settings.max_mails = mails;
    return settings;
}

TEST(BudgetTest, BadCommands) {
    Budget budget(limits_of(2, 0, 0));
    budget.bad_command();
    budget.bad_command();
    EXPECT_FALSE(budget.exhausted());
    budget.bad_command();
    EXPECT_TRUE(budget.exhausted());
    budget.message_accepted();
    EXPECT_FALSE(budget.exhausted());
}

TEST(BudgetTest, IdleCommandsAreFreeForAWhile) {
    Budget budget(limits_of(2, 0, 0));
    for (uint32_t i = 0; i < Budget::free_commands + 2; ++i)
        budget.idle_command();
    EXPECT_FALSE(budget.exhausted());
    budget.idle_command();
    EXPECT_TRUE(budget.exhausted());
}

TEST(BudgetTest, RefusedRecipientsAreNoErrors) {
    Budget budget(limits_of(1, 3, 0));
    for (int i = 0; i < 3; ++i)
        budget.refused_recipient();
    EXPECT_FALSE(budget.exhausted());
    budget.refused_recipient();
    EXPECT_TRUE(budget.exhausted());
}

// A client may send many more recipients than there is room for (RFC 5321 4.5.3.1.10), not
// endlessly.
TEST(BudgetTest, SurplusRecipientsAreFreeForAWhile) {
    Budget budget(limits_of(2, 3, 0));
    for (uint32_t i = 0; i < Budget::free_recipients + 2; ++i)
        budget.surplus_recipient();
    EXPECT_FALSE(budget.exhausted());
    budget.surplus_recipient();
    EXPECT_TRUE(budget.exhausted());
    budget.message_accepted();
    EXPECT_FALSE(budget.exhausted());
    budget.surplus_recipient();
    EXPECT_FALSE(budget.exhausted());
}

TEST(BudgetTest, Transactions) {
    Budget budget(limits_of(0, 0, 2));
    EXPECT_TRUE(budget.take_transaction());
    EXPECT_TRUE(budget.take_transaction());
    budget.message_accepted();
    EXPECT_FALSE(budget.take_transaction());
}

TEST(BudgetTest, ZeroIsNoLimit) {
    Budget budget(limits_of(0, 0, 0));
    for (int i = 0; i < 10'000; ++i) {
        budget.bad_command();
        budget.idle_command();
        budget.refused_recipient();
        budget.surplus_recipient();
        EXPECT_TRUE(budget.take_transaction());
    }
    EXPECT_FALSE(budget.exhausted());
}

struct Header {
    const char* header; // with the empty line behind it, if there is one
    const char* body;
    uint32_t hops;
    bool ended;
};
class HeaderWatchTest : public testing::TestWithParam<Header> {};

TEST_P(HeaderWatchTest, InPiecesOfAnySize) {
    const std::string header = GetParam().header;
    const std::string content = header + GetParam().body;
    for (size_t step = 1; step <= content.size() + 1; ++step) {
        HeaderWatch watch;
        for (size_t at = 0; at < content.size(); at += step)
            watch.pass(std::string_view(content).substr(at, step));
        EXPECT_EQ(watch.length(), header.size()) << step;
        EXPECT_EQ(watch.received_fields(), GetParam().hops) << step;
        EXPECT_EQ(watch.ended(), GetParam().ended) << step;
    }
}

INSTANTIATE_TEST_SUITE_P(
    Table, HeaderWatchTest,
    testing::Values(Header{"", "", 0, false}, Header{"\r\n", "body\r\n", 0, true},
                    Header{"Subject: x\r\n\r\n", "Received: y\r\n\r\n", 0, true},
                    Header{"Subject: x\r\n", "", 0, false},
                    Header{"Received: a\r\n\tb\r\nReceived:c\r\n\r\n", "", 2, true},
                    Header{"RECEIVED \t: a\r\n\r\n", "x", 1, true},
                    Header{"Received-SPF: pass\r\nX-Received: x\r\nReceive: y\r\n\r\n", "", 0,
                           true},
                    Header{"Subject: x\r\n \r\nReceived: y\r\n\r\n", "", 1, true},
                    // Not a header section at all: it is watched all the same.
                    Header{"Hello\r\nReceived: x\r\n", "", 1, false}));

TEST(HeaderFieldsTest, DateAndMessageId) {
    struct Row {
        const char* header;
        bool date;
        bool message_id;
    };
    for (const Row& row : {Row{"Subject: x\r\n\r\nDate: y\r\n", false, false},
                           Row{"date: x\r\nMESSAGE-ID \t: <y>\r\n\r\n", true, true},
                           Row{"Message-Id:\r\n <y>\r\nDated: x\r\n\r\n", false, true},
                           Row{"Resent-Date: x\r\nX-Message-ID: y\r\n\r\n", false, false},
                           Row{"Subject: x\r\n Date: y\r\n\r\n", false, false}}) {
        for (size_t step : {1u, 3u, 1000u}) {
            HeaderWatch watch;
            const std::string_view header = row.header;
            for (size_t at = 0; at < header.size(); at += step)
                watch.pass(header.substr(at, step));
            EXPECT_EQ(watch.has_date(), row.date) << row.header;
            EXPECT_EQ(watch.has_message_id(), row.message_id) << row.header;
        }
    }
}

TEST(RepliesTest, TheClassOfTheEnhancedCodeIsThatOfTheReply) {
    for (const Reply& reply : {replies::ok(),
                               replies::recipient_ok(),
                               replies::queued("x"),
                               replies::goodbye("h"),
                               replies::too_many_recipients(),
                               replies::message_too_big(1),
                               replies::no_queue(),
                               replies::recipient_refused(ipc::RouteVerdict::temporary),
                               replies::recipient_refused(ipc::RouteVerdict::no_mailbox),
                               replies::storage_full(),
                               replies::shutting_down("h"),
                               replies::too_many_errors("h"),
                               replies::timed_out("h"),
                               replies::too_many_sessions("h"),
                               replies::too_many_messages("h"),
                               replies::not_smtp("h"),
                               replies::spoke_early("h"),
                               replies::routing_loop(),
                               replies::bare_line_ends(),
                               replies::authenticated(),
                               replies::authentication_failed(),
                               replies::authentication_later(),
                               replies::encryption_required(),
                               replies::sender_unchecked(),
                               replies::auth_response_too_long(),
                               replies::verified("a@x", false),
                               replies::verified("\xc3\xb6@x", false),
                               replies::cannot_verify_now(),
                               replies::no_address(),
                               replies::no_list(),
                               replies::no_service(),
                               replies::may_not_give_client(),
                               replies::node_started("x", 1),
                               replies::nothing_for_node("x"),
                               replies::node_later("x"),
                               replies::not_a_node("x"),
                               replies::no_such_queue()})
        EXPECT_EQ(reply.code / 100, reply.status.status_class) << reply.text;
}

// "error:550 text" of an alias; lookup is not believed more than it must be.
TEST(RepliesTest, WordsOfATableRefuseARecipient) {
    using ipc::RouteVerdict;
    struct {
        RouteVerdict verdict;
        const char* words;
        const char* reply;
    } const cases[] = {
        {RouteVerdict::refused, "551 5.1.6 Moved", "551 5.1.6 Moved"},
        {RouteVerdict::temporary, "450 4.2.1 Later", "450 4.2.1 Later"},
        {RouteVerdict::temporary, "550 5.2.1 Never", "451 4.3.0 *"},
        {RouteVerdict::refused, "250 2.0.0 Fine", "550 5.7.1 Recipient refused"},
        {RouteVerdict::refused, "521 5.3.2 Go", "550 5.7.1 Recipient refused"},
        {RouteVerdict::refused, "550 Words alone", "550 5.7.1 Recipient refused"},
        {RouteVerdict::refused, "550 5.1.1 a\r\n250 b", "550 5.1.1 a\\x0d\\x0a250 b"},
        {RouteVerdict::no_mailbox, "", "550 5.1.1 No such mailbox here"},
    };
    for (const auto& c : cases) {
        const std::string line = to_line(replies::recipient_refused(c.verdict, c.words));
        const std::string expected = c.reply;
        if (expected.ends_with('*'))
            EXPECT_TRUE(line.starts_with(expected.substr(0, expected.size() - 1))) << line;
        else
            EXPECT_EQ(line, expected);
    }
}

TEST(RepliesTest, ARefusalOfTheQueueIsAlwaysARefusal) {
    ipc::Refused refused;
    refused.code = 552;
    refused.enhanced = "5.3.4";
    refused.text = "too big";
    EXPECT_EQ(replies::refused_by_queue(refused), Reply(552, status::message_too_big, "too big"));
    for (uint16_t code : {0, 200, 250, 354, 399, 600, 65535}) {
        refused.code = code;
        EXPECT_EQ(replies::refused_by_queue(refused).code, 451) << code;
    }
    refused.code = 452;
    refused.enhanced = "nonsense";
    EXPECT_EQ(replies::refused_by_queue(refused).code, 451);
}

} // namespace
} // namespace postern::listener::test
