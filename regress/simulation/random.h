// Randomness from a seed, for simulations: the same on every machine, and cheap to seed and to draw
// (SplitMix64, by S. Vigna after G. L. Steele and others, "Fast splittable pseudorandom number
// generators", 2014). Not for secrets.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>

namespace postern {

class SimulationRandom {
  public:
    explicit SimulationRandom(uint64_t seed) : state_(seed) {}

    uint64_t operator()() {
        uint64_t z = state_ += 0x9e3779b97f4a7c15u;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        return z ^ z >> 31;
    }
    // Of 0 to limit - 1.
    size_t below(size_t limit) { return static_cast<size_t>((*this)() % limit); }
    bool chance(double probability) {
        return probability > 0 && static_cast<double>((*this)() >> 11) * 0x1p-53 < probability;
    }
    std::string bytes(size_t length) {
        std::string out(length, '\0');
        for (size_t at = 0; at < length; at += 8) {
            const uint64_t eight = (*this)();
            std::memcpy(out.data() + at, &eight, std::min<size_t>(8, length - at));
        }
        return out;
    }

  private:
    uint64_t state_;
};

} // namespace postern
