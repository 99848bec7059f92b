// The spool on a simulated disk, written in the test's own steps. What random workloads and crashes
// at every step do to it is in regress/simulation.
#pragma once

#include <algorithm>
#include <cerrno>
#include <gtest/gtest.h>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "queue/spool/spool.h"
#include "simulated_file_system.h"

namespace postern {

constexpr uint64_t segment_size = 64 << 10;
constexpr uint64_t second = 1'000'000; // microseconds

class SpoolTest : public testing::Test {
  protected:
    SpoolOptions options() {
        SpoolOptions options;
        options.segment_size = segment_size;
        options.growth_step = 4 << 10;
        options.max_spares = 2;
        options.min_free = 0;
        options.threaded = false;
        options.clock = [this] { return time_; };
        options.uptime = [this] { return uptime_; };
        options.report = [this](const SpoolEvent& event) { events_.push_back(event); };
        return options;
    }
    Result<void> try_open() { return try_open(options()); }
    Result<void> try_open(const SpoolOptions& options) {
        auto opened = Spool::open(files_, options);
        if (!opened)
            return opened.error();
        spool_ = std::move(*opened);
        return {};
    }
    // Until all indexes have been read.
    void open() { open(options()); }
    void open(const SpoolOptions& options) {
        auto opened = try_open(options);
        ASSERT_TRUE(opened) << opened.error().message;
        found_ = await_found(*spool_);
    }
    std::vector<SpoolId> await_found(Spool& spool) {
        for (int i = 0; i < 2000; i++) {
            if (auto found = spool.take_found())
                return std::move(*found);
            uptime_ += second;
            spool.run_sync_step(false);
            spool.collect();
        }
        ADD_FAILURE() << "the indexes are not read";
        return {};
    }
    void kill_and_open() {
        spool_.reset();
        files_.kill_process();
        open();
    }
    void crash_and_open() {
        spool_.reset();
        files_.crash(7);
        open();
    }
    void settle() {
        for (int i = 0; i < 2000 && spool_->run_sync_step(true); i++) {
        }
    }
    // Appends, writes and returns the id; its completion must be `code` (0: ok).
    SpoolId store(const std::string& content, int code = 0) {
        SpoolId id = spool_->next_id();
        auto ticket = spool_->append_message(id, "to:" + std::to_string(content.size()), content);
        EXPECT_TRUE(ticket);
        expect_completion(*ticket, code);
        return id;
    }
    void expect_completion(Ticket ticket, int code) {
        spool_->commit();
        spool_->run_sync_step(false);
        auto completions = spool_->collect();
        ASSERT_EQ(completions.size(), 1u);
        EXPECT_EQ(completions[0].ticket, ticket);
        EXPECT_EQ(completions[0].result ? 0 : completions[0].result.error().code, code);
    }
    ContentFile content_file(const std::string& bytes) {
        auto file = spool_->create_content_file();
        EXPECT_TRUE(file);
        std::vector<std::string_view> pieces{bytes};
        EXPECT_TRUE(file->file().write_at(0, pieces, false));
        return std::move(*file);
    }
    std::map<SpoolId, RecoveredMessage> load() {
        std::map<SpoolId, RecoveredMessage> messages;
        for (SpoolId id : std::exchange(found_, {})) {
            auto message = spool_->recover(id);
            if (message)
                messages[id] = std::move(*message);
            else
                EXPECT_EQ(message.error().code, ENOENT) << message.error().message;
        }
        return messages;
    }
    size_t count(SpoolEvent::Kind kind) const {
        return static_cast<size_t>(
            std::count_if(events_.begin(), events_.end(),
                          [kind](const SpoolEvent& event) { return event.kind == kind; }));
    }
    std::string content_of(SpoolId id) {
        auto content = spool_->read_content(id, 0, 1 << 20);
        return content ? *content : "error: " + content.error().message;
    }

    SimulatedFileSystem files_{1};
    std::unique_ptr<Spool> spool_;
    std::vector<SpoolId> found_;
    std::vector<SpoolEvent> events_;
    uint64_t time_ = 1'700'000'000'000'000;
    uint64_t uptime_ = 0;
};

} // namespace postern
