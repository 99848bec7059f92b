#include "queue/concurrency_window.h"

#include <algorithm>

namespace postern {

void ConcurrencyWindow::answered(uint32_t out, uint32_t most) {
    known_ = true;
    failures_ = 0;
    before_ = std::min(before_, out); // some may have come back untried
    if (before_ > 0) {
        --before_;
        return;
    }
    if (size_ >= most)
        return;
    if (size_ < threshold_ || ++answers_ >= size_) {
        ++size_;
        answers_ = 0;
    }
}

bool ConcurrencyWindow::failed(Failure failure, uint32_t out, uint32_t most) {
    if (failures_ == 0)
        together_ = out;
    failures_ += failures_ < UINT32_MAX;
    if (failure == Failure::unreachable && (!known_ || failures_ >= together_)) {
        if (known_)
            threshold_ = std::max<uint32_t>(together_ / 2, 1);
        return false;
    }
    before_ = std::min(before_, out);
    if (before_ > 0) {
        --before_;
        return true;
    }
    if (size(most) == 1)
        return true;
    threshold_ = size_ = size(most) / 2;
    answers_ = 0;
    before_ = out - 1;
    return true;
}

void ConcurrencyWindow::reopen() {
    size_ = std::min(first, threshold_);
    answers_ = before_ = failures_ = 0;
    known_ = false;
}

} // namespace postern
