#include "queue/parked_messages.h"

#include <algorithm>
#include <cassert>

namespace postern {

namespace {

constexpr size_t largest_chunk = 512;
constexpr size_t small_chunk = 128;
constexpr size_t stale_allowed = 1000; // alarms, besides as many as there are messages

auto place_in(auto& chunk, uint64_t id) {
    return std::lower_bound(
        chunk.begin(), chunk.end(), id,
        [](const ParkedMessage& one, uint64_t other) { return one.id < other; });
}

} // namespace

std::map<uint64_t, ParkedMessages::Chunk>::iterator ParkedMessages::chunk_of(uint64_t id) {
    return std::prev(chunks_.upper_bound(id));
}

void ParkedMessages::park(const ParkedMessage& message) {
    auto chunk = chunk_of(message.id);
    if (chunk->second.size() == largest_chunk) {
        // What comes in order of ids leaves full chunks behind.
        const bool at_end = chunk->second.back().id < message.id;
        const auto middle =
            at_end ? chunk->second.end() : chunk->second.begin() + largest_chunk / 2;
        const uint64_t first = at_end ? message.id : middle->id;
        Chunk& behind = chunks_[first];
        behind.assign(middle, chunk->second.end());
        chunk->second.erase(middle, chunk->second.end());
        chunk = chunk_of(message.id);
    }
    const auto place = place_in(chunk->second, message.id);
    assert(place == chunk->second.end() || place->id != message.id);
    chunk->second.insert(place, message);
    ++messages_;
    recipients_ += message.recipients;
    add_alarm(message);
}

std::optional<ParkedMessage> ParkedMessages::take(uint64_t id) {
    const auto chunk = chunk_of(id);
    const auto place = place_in(chunk->second, id);
    if (place == chunk->second.end() || place->id != id)
        return std::nullopt;
    const ParkedMessage message = *place;
    chunk->second.erase(place);
    --messages_;
    recipients_ -= message.recipients;
    join_with_next(chunk);
    return message;
}

void ParkedMessages::join_with_next(std::map<uint64_t, Chunk>::iterator chunk) {
    const auto next = std::next(chunk);
    if (next == chunks_.end() || chunk->second.size() > small_chunk)
        return;
    if (chunk->second.empty())
        chunk->second.swap(next->second);
    else if (chunk->second.size() + next->second.size() <= largest_chunk - small_chunk)
        chunk->second.insert(chunk->second.end(), next->second.begin(), next->second.end());
    else
        return;
    chunks_.erase(next);
}

ParkedMessage* ParkedMessages::look_up(uint64_t id) {
    Chunk& chunk = chunk_of(id)->second;
    const auto place = place_in(chunk, id);
    return place == chunk.end() || place->id != id ? nullptr : &*place;
}

const ParkedMessage* ParkedMessages::find(uint64_t id) const {
    return const_cast<ParkedMessages*>(this)->look_up(id);
}

const ParkedMessage* ParkedMessages::after(uint64_t id) const {
    for (auto chunk = std::prev(chunks_.upper_bound(id)); chunk != chunks_.end(); ++chunk) {
        const auto place = place_in(chunk->second, id + 1);
        if (place != chunk->second.end())
            return &*place;
    }
    return nullptr;
}

// -- By time.

void ParkedMessages::add_alarm(const ParkedMessage& message) {
    if (alarms_.size() > 2 * messages_ + stale_allowed)
        return rebuild_alarms();
    alarms_.push_back(
        {message.due, static_cast<uint32_t>(message.id >> 32), static_cast<uint32_t>(message.id)});
    std::push_heap(alarms_.begin(), alarms_.end(), Alarm::later);
}

void ParkedMessages::rebuild_alarms() {
    alarms_.clear();
    alarms_.reserve(messages_);
    for (const auto& [first, chunk] : chunks_)
        for (const ParkedMessage& message : chunk)
            alarms_.push_back({message.due, static_cast<uint32_t>(message.id >> 32),
                               static_cast<uint32_t>(message.id)});
    std::make_heap(alarms_.begin(), alarms_.end(), Alarm::later);
}

void ParkedMessages::drop_stale_alarms() {
    while (!alarms_.empty()) {
        const ParkedMessage* message = find(alarms_.front().id());
        if (message && message->due == alarms_.front().due)
            return;
        std::pop_heap(alarms_.begin(), alarms_.end(), Alarm::later);
        alarms_.pop_back();
    }
}

uint64_t ParkedMessages::due(WallTime now) { return next_due() <= now ? alarms_.front().id() : 0; }

WallTime ParkedMessages::next_due() {
    drop_stale_alarms();
    return alarms_.empty() ? INT64_MAX : alarms_.front().due;
}

void ParkedMessages::hasten(uint64_t id) {
    ParkedMessage* message = look_up(id);
    if (!message || message->due == 0)
        return;
    message->due = 0;
    message->at_once = true;
    add_alarm(*message);
}

void ParkedMessages::hasten_all() {
    for (auto& [first, chunk] : chunks_)
        for (ParkedMessage& message : chunk) {
            message.due = 0;
            message.at_once = true;
        }
    rebuild_alarms();
}

void ParkedMessages::turn_back(WallTime seconds) {
    for (auto& [first, chunk] : chunks_)
        for (ParkedMessage& message : chunk) {
            message.due =
                message.due ? to_seconds(std::max<WallTime>(message.due - seconds, 1)) : 0;
            message.at_once = true; // what is on disk has the time by the old clock
        }
    rebuild_alarms();
}

void ParkedMessages::forget_destinations() {
    for (auto& [first, chunk] : chunks_)
        for (ParkedMessage& message : chunk)
            message.destination = 0;
}

} // namespace postern
