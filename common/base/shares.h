// Who holds how many of something that is bounded, and may not hold more than a share of it, so
// that something is left for others. Counts only.
#pragma once

#include <cstdint>
#include <map>
#include <memory>

namespace postern {

template <class Holder> class Shares {
  public:
    class Place;

    // `share`: as many as one may hold at once.
    explicit Shares(uint32_t share) : share_(share) {}
    Shares(const Shares&) = delete;

    // One more place, held until it is destroyed, which is before this is. Null: that would be more
    // than a share.
    std::shared_ptr<const Place> take(const Holder& holder) {
        uint32_t& held = held_[holder];
        if (held >= share_)
            return nullptr;
        ++held;
        return std::make_shared<const Place>(*this, holder);
    }
    uint32_t held(const Holder& holder) const {
        const auto found = held_.find(holder);
        return found == held_.end() ? 0 : found->second;
    }

  private:
    uint32_t share_;
    std::map<Holder, uint32_t> held_; // who holds none is not in it
};

template <class Holder> class Shares<Holder>::Place {
  public:
    Place(Shares& shares, const Holder& holder) : shares_(shares), holder_(holder) {}
    ~Place() {
        const auto held = shares_.held_.find(holder_);
        if (--held->second == 0)
            shares_.held_.erase(held);
    }
    Place(const Place&) = delete;

  private:
    Shares& shares_;
    Holder holder_;
};

} // namespace postern
