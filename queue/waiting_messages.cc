#include "queue/waiting_messages.h"

#include <algorithm>

namespace postern {

namespace {

bool earlier(const QueuedMessage& a, const QueuedMessage& b) {
    return a.due != b.due ? a.due < b.due : a.id < b.id;
}

constexpr uint32_t nowhere = UINT32_MAX;

} // namespace

uint32_t next_time(const QueuedMessage& message) {
    uint32_t time = UINT32_MAX;
    for (uint32_t i = 0; i < message.count; ++i) {
        const QueuedRecipient& recipient = message.recipients[i];
        if (recipient.stage == Stage::finished || recipient.stage == Stage::reporting)
            continue;
        time = std::min(time, message.notice_at);
        if (recipient.stage == Stage::waiting)
            time = std::min(time, std::min(recipient.next_attempt, QueuedRecipient::held_for_good));
    }
    return time;
}

void WaitingMessages::update(QueuedMessage& message) {
    const uint32_t due = next_time(message);
    if (due == UINT32_MAX)
        return remove(message);
    message.due = due;
    if (message.heap_position == nowhere) {
        heap_.push_back(&message);
        message.heap_position = static_cast<uint32_t>(heap_.size() - 1);
    }
    move_up(message.heap_position);
    move_down(message.heap_position);
}

QueuedMessage* WaitingMessages::due(WallTime now) const {
    return heap_.empty() || heap_.front()->due > now ? nullptr : heap_.front();
}

void WaitingMessages::put(QueuedMessage& message, size_t position) {
    heap_[position] = &message;
    message.heap_position = static_cast<uint32_t>(position);
}

void WaitingMessages::move_up(size_t position) {
    QueuedMessage& message = *heap_[position];
    while (position > 0) {
        size_t parent = (position - 1) / 2;
        if (!earlier(message, *heap_[parent]))
            break;
        put(*heap_[parent], position);
        position = parent;
    }
    put(message, position);
}

void WaitingMessages::move_down(size_t position) {
    QueuedMessage& message = *heap_[position];
    for (;;) {
        size_t child = position * 2 + 1;
        if (child >= heap_.size())
            break;
        if (child + 1 < heap_.size() && earlier(*heap_[child + 1], *heap_[child]))
            ++child;
        if (!earlier(*heap_[child], message))
            break;
        put(*heap_[child], position);
        position = child;
    }
    put(message, position);
}

void WaitingMessages::remove(QueuedMessage& message) {
    if (message.heap_position == nowhere)
        return;
    size_t position = message.heap_position;
    message.heap_position = nowhere;
    QueuedMessage* last = heap_.back();
    heap_.pop_back();
    if (last == &message)
        return;
    put(*last, position);
    move_up(position);
    move_down(last->heap_position);
}

WallTime WaitingMessages::next_due(WallTime now) const {
    return heap_.empty() || heap_.front()->due <= now ? INT64_MAX : heap_.front()->due;
}

} // namespace postern
