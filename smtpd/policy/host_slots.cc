#include "smtpd/policy/host_slots.h"

namespace postern::policy {

HostSlots::Slot::Slot(HostSlots& slots, std::string host)
    : slots_(slots), host_(std::move(host)), given_(slots.executor_) {
    slots_.waiting_.push_back(this);
    slots_.give();
}

HostSlots::Slot::~Slot() {
    if (!has_) {
        slots_.waiting_.remove(this);
        return;
    }
    slots_.busy_.erase(host_);
    slots_.give();
}

void HostSlots::give() {
    for (auto at = waiting_.begin(); at != waiting_.end() && busy_.size() < limit_;) {
        Slot& slot = **at;
        if (!busy_.insert(slot.host_).second) {
            ++at;
            continue;
        }
        at = waiting_.erase(at);
        slot.has_ = true;
        slot.given_.complete(true);
    }
}

} // namespace postern::policy
