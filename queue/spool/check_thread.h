// Verification beside the event loop: one piece at a time of an OnlineCheck, on a thread of its own
// that ends with the piece.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <thread>

#include "queue/spool/online_check.h"

namespace postern {

class CheckThread {
  public:
    // `tell`: a piece is there. Without `threaded` it is read in run().
    CheckThread(FileSystem& files, SpoolState& state, MessageReader& reader, bool threaded,
                std::function<void()> tell)
        : files_(files), state_(state), reader_(reader), threaded_(threaded),
          tell_(std::move(tell)) {}
    ~CheckThread() { stop(); }

    // See Spool::check().
    Result<void> start(bool anew);
    std::optional<SpoolCheckPiece> take();
    bool running() const { return running_; }
    void run();
    // The piece is given up soon.
    void ask_to_stop() { stop_ = true; }
    // It is, and this waits for it.
    void stop();

  private:
    FileSystem& files_;
    SpoolState& state_;
    MessageReader& reader_;
    const bool threaded_;
    const std::function<void()> tell_;
    std::unique_ptr<OnlineCheck> check_; // the thread's while it runs
    bool running_ = false;               // until the piece is taken
    std::atomic<bool> stop_ = false;
    std::thread thread_;
};

} // namespace postern
