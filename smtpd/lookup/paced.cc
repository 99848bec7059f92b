#include "smtpd/lookup/paced.h"

#include <utility>

namespace postern {

namespace {

constexpr auto turn_limit = std::chrono::milliseconds(4);
constexpr auto patience = std::chrono::milliseconds(5); // before a slow reader is looked at again

} // namespace

Paced::Paced(Executor& executor, std::function<bool()> ready)
    : executor_(executor), ready_(std::move(ready)) {}

Paced::~Paced() {
    if (destroyed_)
        *destroyed_ = true;
}

void Paced::add(Work work) {
    works_.push_back(std::move(work));
    if (!armed() && !working_)
        go_on();
}

void Paced::go_on() {
    if (turn_ != executor_.now()) {
        turn_ = executor_.now();
        begun_ = Clock::now();
    }
    bool destroyed = false;
    destroyed_ = &destroyed;
    working_ = true;
    bool ready = true;
    while (!works_.empty() && (ready = ready_()) && Clock::now() - begun_ < turn_limit) {
        const Work work = std::move(works_.front());
        works_.pop_front();
        work();
        if (destroyed)
            return;
    }
    working_ = false;
    destroyed_ = nullptr;
    if (!works_.empty()) // a nanosecond later is the next turn of the loop
        arm(executor_, executor_.now() + (ready ? Duration(1) : Duration(patience)));
}

} // namespace postern
