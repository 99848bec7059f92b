// Verification, of a spool at rest and of one that is used.
#include <algorithm>

#include "common/base/crc32c.h"
#include "queue/spool/segment.h"
#include "queue/spool/spool_check.h"
#include "queue/spool/spool_state.h"
#include "spool_lab.h"

namespace postern {
namespace {

TEST_F(SpoolTest, ACheckVerifiesEveryRecordAndWritesNothing) {
    std::vector<std::string> said;
    const auto check = [&] {
        said.clear();
        return check_spool(files_, [&said](const std::string& line) { said.push_back(line); });
    };
    EXPECT_FALSE(check()) << "it is no spool";
    open();
    EXPECT_EQ(check().error().code, EWOULDBLOCK);
    SpoolId a = store("small"), gone = store("gone");
    std::string large(200000, 'c');
    SpoolId b = spool_->next_id();
    auto ticket =
        spool_->append_message(b, "large", content_file(large), large.size(), crc32c(large));
    expect_completion(*ticket, 0);
    ASSERT_TRUE(spool_->append_progress(a, "tried", Durability::Lazy));
    ASSERT_TRUE(spool_->append_removed(gone, Durability::Lazy));
    spool_->commit();
    for (bool sealed : {false, true}) {
        SCOPED_TRACE(sealed);
        if (sealed)
            open();
        settle();
        if (sealed) {
            ASSERT_TRUE(spool_->close());
        }
        spool_.reset();
        files_.kill_process();
        const uint64_t steps = files_.steps();
        auto good = check();
        ASSERT_TRUE(good) << good.error().message;
        EXPECT_EQ(good->messages, 2u);
        EXPECT_EQ(good->records, 5u);
        EXPECT_EQ(good->damaged, 0u);
        EXPECT_EQ(good->orphans, 0u);
        EXPECT_EQ(files_.steps(), steps) << "nothing is written";
    }
    const std::string path = segment_path(0);
    SegmentHeader header;
    ASSERT_TRUE(decode_segment_header(files_.contents(path).substr(0, 4096), header));
    ASSERT_NE(header.index_offset, 0u);
    ASSERT_TRUE(files_.flip_bit(path, (header.index_offset + 40) * 8));
    EXPECT_EQ(check()->damaged, 1u);
    EXPECT_EQ(check()->records, 5u) << "they are found all the same";
    EXPECT_NE(said[0].find("the index is damaged"), std::string::npos) << said[0];
    ASSERT_TRUE(files_.flip_bit(path, (header.index_offset + 40) * 8));
    const size_t at = files_.contents(path).find("small");
    ASSERT_TRUE(files_.flip_bit(path, at * 8));
    EXPECT_EQ(check()->damaged, 1u);
    EXPECT_EQ(check()->messages, 1u);
    ASSERT_TRUE(files_.flip_bit(content_path(b), 77));
    EXPECT_EQ(check()->damaged, 2u);
    EXPECT_EQ(check()->messages, 0u);
    files_.set_contents("content/00000000000000ff", "x");
    EXPECT_EQ(check()->orphans, 1u);
    for (const char* part : {"a record is damaged", "damaged or missing", "belongs to no message"})
        EXPECT_TRUE(std::any_of(said.begin(), said.end(), [&](const std::string& line) {
            return line.find(part) != std::string::npos;
        })) << part;
}

TEST_F(SpoolTest, ACheckNeedsNoDirectoryOfWhatWasSetAside) {
    open();
    store("a");
    ASSERT_TRUE(spool_->close());
    spool_.reset();
    files_.kill_process();
    ASSERT_TRUE(files_.unlink("corrupt"));
    auto checked = check_spool(files_, [](const std::string&) {});
    ASSERT_TRUE(checked) << checked.error().message;
    EXPECT_EQ(checked->messages, 1u);
    EXPECT_EQ(checked->set_aside, 0u);
}

class SpoolOnlineCheckTest : public SpoolTest {
  protected:
    // All pieces of one; mail comes and goes between them.
    SpoolCheckResult check() {
        said_.clear();
        for (bool anew = true;; anew = false) {
            auto begun = spool_->check(anew);
            EXPECT_TRUE(begun) << begun.error().message;
            EXPECT_EQ(spool_->check(true).error().code, EBUSY);
            spool_->run_sync_step(false);
            auto piece = spool_->take_checked();
            if (!begun || !piece) {
                ADD_FAILURE();
                return {};
            }
            said_.insert(said_.end(), piece->lines.begin(), piece->lines.end());
            if (between_)
                between_();
            if (piece->last)
                return piece->totals;
        }
    }
    bool said(const std::string& part) const {
        return std::any_of(said_.begin(), said_.end(), [&](const std::string& line) {
            return line.find(part) != std::string::npos;
        });
    }
    std::string name(SpoolId id) {
        return content_path(id).substr(8); // sixteen digits
    }
    SpoolId store_large(const std::string& content) {
        SpoolId id = spool_->next_id();
        auto ticket = spool_->append_message(id, "large", content_file(content), content.size(),
                                             crc32c(content));
        expect_completion(*ticket, 0);
        return id;
    }

    std::vector<std::string> said_;
    std::function<void()> between_;
};

TEST_F(SpoolOnlineCheckTest, EveryRecordIsVerifiedWhileMailComesAndGoes) {
    ASSERT_TRUE(try_open());
    EXPECT_EQ(spool_->check(true).error().code, EAGAIN) << "it is not known yet what lives";
    await_found(*spool_);
    EXPECT_EQ(spool_->check(false).error().code, ESRCH);
    std::vector<SpoolId> ids;
    for (int i = 0; i < 40; i++)
        ids.push_back(store(std::string(6000, 'x')));
    ids.push_back(store_large(std::string(3 << 20, 'L')));
    for (SpoolId id : ids)
        ASSERT_TRUE(spool_->append_progress(id, "tried", Durability::Lazy));
    spool_->commit();
    settle();
    const uint64_t steps = files_.steps();
    auto good = check();
    EXPECT_EQ(files_.steps(), steps) << "nothing is written";
    EXPECT_EQ(good.messages, 41u);
    EXPECT_EQ(good.records, 82u);
    EXPECT_EQ(good.damaged, 0u) << said_[0];
    EXPECT_EQ(good.segments, spool_->statistics().segments);
    EXPECT_EQ(said_.back(), summary(good));
    // Segments go and are used again in the middle of it.
    between_ = [&] {
        for (int i = 0; i < 10; i++) {
            ASSERT_TRUE(spool_->append_removed(ids.front(), Durability::Lazy));
            ids.erase(ids.begin());
            ids.push_back(store(std::string(6000, 'y')));
        }
        settle();
    };
    for (int i = 0; i < 20; i++)
        EXPECT_EQ(check().damaged, 0u) << said_[0];
}

TEST_F(SpoolOnlineCheckTest, WhatIsDamagedIsSaidAndWhatIsLostWithIt) {
    open();
    SpoolId message = store("a message"), progress = store("another"), dead = store("dead"),
            large = store_large(std::string(3 << 20, 'L')), missing = store_large("missing");
    ASSERT_TRUE(spool_->append_progress(progress, "what happened", Durability::Lazy));
    ASSERT_TRUE(spool_->append_removed(dead, Durability::Lazy));
    spool_->commit();
    settle();
    ASSERT_TRUE(files_.unlink(content_path(missing)));
    ASSERT_TRUE(files_.flip_bit(content_path(large), 12345678));
    const std::string path = segment_path(0);
    for (bool sealed : {false, true}) {
        SCOPED_TRACE(sealed);
        if (sealed) {
            ASSERT_TRUE(spool_->close());
            spool_.reset();
            files_.kill_process();
            open();
        }
        EXPECT_EQ(check().damaged, 2u);
        EXPECT_TRUE(said("the content of message " + name(missing) + " is lost"));
        EXPECT_TRUE(said("the content of message " + name(large) + " is lost"));
        for (const auto& [what, loss] :
             {std::pair("a message", "message " + name(message) + " is lost"),
              std::pair("what happened", "what happened to message " + name(progress)),
              std::pair("dead", std::string("nothing that is still needed is lost"))}) {
            const uint64_t bit = files_.contents(path).find(what) * 8;
            ASSERT_TRUE(files_.flip_bit(path, bit));
            EXPECT_EQ(check().damaged, 3u);
            EXPECT_TRUE(said(loss)) << what;
            EXPECT_TRUE(said(path + (sealed ? " at " : ": bytes ")));
            ASSERT_TRUE(files_.flip_bit(path, bit));
        }
    }
    SegmentHeader header;
    ASSERT_TRUE(decode_segment_header(files_.contents(path).substr(0, 4096), header));
    ASSERT_TRUE(files_.flip_bit(path, (header.index_offset + 40) * 8));
    EXPECT_EQ(check().damaged, 3u);
    EXPECT_TRUE(said(path + " at " + std::to_string(header.index_offset) + ": the index is"));
    EXPECT_EQ(content_of(message), "a message") << "and all is served as before";
}

// What is flipped on the way from the disk is no damage.
// It is known in memory; but the next start would need it.
TEST_F(SpoolOnlineCheckTest, AHeaderThatIsDamagedOnTheDiskIsSaid) {
    open();
    store("a message");
    const std::string path = segment_path(0);
    ASSERT_TRUE(files_.flip_bit(path, 100));
    EXPECT_EQ(check().damaged, 0u) << "there are two copies";
    ASSERT_TRUE(files_.flip_bit(path, 2048 * 8 + 100));
    EXPECT_EQ(check().damaged, 1u);
    EXPECT_TRUE(said("both copies of its header are damaged"));
}

TEST_F(SpoolOnlineCheckTest, WhatLooksDamagedIsReadAgain) {
    open();
    for (int i = 0; i < 30; i++)
        store(std::string(5000, 'x'));
    store_large(std::string(3 << 20, 'L'));
    files_.read_flip = 0.5;
    files_.good_after_flip = 8;
    for (int i = 0; i < 20; i++)
        EXPECT_EQ(check().damaged, 0u) << said_[0];
    EXPECT_GT(files_.flips(), 20u);
}

} // namespace
} // namespace postern
