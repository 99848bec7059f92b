// One piece at a time.
#include "queue/spool/check_thread.h"

#include <cerrno>
#include <utility>

#include "queue/spool/worker_thread.h"

namespace postern {

Result<void> CheckThread::start(bool anew) {
    if (running_)
        return Error{"a check of the spool is under way", EBUSY};
    {
        std::lock_guard lock(state_.mutex);
        if (!state_.found)
            return Error{"the spool is still being read", EAGAIN};
    }
    if (!anew && !check_)
        return Error{"there is no check to go on with", ESRCH};
    if (anew)
        check_ = std::make_unique<OnlineCheck>(files_, state_, reader_);
    running_ = true;
    auto started = threaded_ ? start_thread(thread_, [this] { run(); }) : Result<void>();
    running_ = running_ && started;
    return started;
}

void CheckThread::run() {
    {
        std::lock_guard lock(state_.mutex);
        if (state_.checked)
            return; // not taken yet
    }
    SpoolCheckPiece piece = check_->step(stop_);
    {
        std::lock_guard lock(state_.mutex);
        state_.checked = std::move(piece);
    }
    tell_();
}

std::optional<SpoolCheckPiece> CheckThread::take() {
    std::optional<SpoolCheckPiece> piece;
    {
        std::lock_guard lock(state_.mutex);
        piece = std::exchange(state_.checked, std::nullopt);
        state_.told = 0;
    }
    if (!piece)
        return piece;
    if (thread_.joinable())
        thread_.join(); // it is at its end
    running_ = false;
    if (piece->last)
        check_.reset();
    return piece;
}

void CheckThread::stop() {
    ask_to_stop();
    if (thread_.joinable())
        thread_.join();
}

} // namespace postern
