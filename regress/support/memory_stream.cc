#include "regress/support/memory_stream.h"

#include <algorithm>
#include <cerrno>
#include <vector>

namespace postern::test {

namespace {

constexpr size_t buffer_size = 64 * 1024;

} // namespace

MemoryStream::Pair MemoryStream::make_pair(Executor& executor, size_t capacity) {
    auto there = std::make_shared<Pipe>();
    auto back = std::make_shared<Pipe>();
    there->capacity = back->capacity = capacity;
    return {std::unique_ptr<MemoryStream>(new MemoryStream(executor, back, there)),
            std::unique_ptr<MemoryStream>(new MemoryStream(executor, there, back))};
}

MemoryStream::MemoryStream(Executor& executor, std::shared_ptr<Pipe> incoming,
                           std::shared_ptr<Pipe> outgoing)
    : Stream(executor), incoming_(std::move(incoming)), outgoing_(std::move(outgoing)),
      event_(*this) {
    incoming_->reader = this;
    outgoing_->writer = this;
}

MemoryStream::~MemoryStream() {
    incoming_->reader = nullptr;
    incoming_->broken = true;
    outgoing_->writer = nullptr;
    outgoing_->ended = true;
    notify(incoming_->writer);
    notify(outgoing_->reader);
}

std::string MemoryStream::take() {
    std::string taken(input());
    consume(taken.size());
    return taken;
}

void MemoryStream::end_output() {
    ending_ = true;
    on_writable();
    if (pending_output() == 0)
        outgoing_->ended = true;
    notify(outgoing_->reader);
}

void MemoryStream::reset() {
    for (Pipe* pipe : {incoming_.get(), outgoing_.get()}) {
        pipe->broken = true;
        pipe->bytes.clear();
        notify(pipe->reader);
        notify(pipe->writer);
    }
}

void MemoryStream::stop_reading(bool stopped) {
    stopped_ = stopped;
    notify();
}

bool MemoryStream::peer_gone() const { return outgoing_->reader == nullptr; }

size_t MemoryStream::under_way() const { return incoming_->bytes.size(); }

ssize_t MemoryStream::receive(char* buffer, size_t size) {
    if (!incoming_->bytes.empty()) {
        size_t length = std::min(size, incoming_->bytes.size());
        if (read_limit_ != 0)
            length = std::min(length, read_limit_);
        incoming_->bytes.copy(buffer, length);
        incoming_->bytes.erase(0, length);
        notify(incoming_->writer);
        return static_cast<ssize_t>(length);
    }
    if (incoming_->broken) {
        errno = ECONNRESET;
        return -1;
    }
    if (incoming_->ended)
        return 0;
    errno = EAGAIN;
    return -1;
}

ssize_t MemoryStream::transmit(const char* bytes, size_t size) {
    if (outgoing_->broken || outgoing_->ended) {
        errno = EPIPE;
        return -1;
    }
    const size_t length = std::min(size, outgoing_->capacity - outgoing_->bytes.size());
    if (length == 0) {
        errno = EAGAIN;
        return -1;
    }
    outgoing_->bytes.append(bytes, length);
    notify(outgoing_->reader);
    return static_cast<ssize_t>(length);
}

void MemoryStream::watch(bool input, bool output) {
    want_input_ = input;
    want_output_ = output;
    if (ending_ && !output && pending_output() == 0 && !outgoing_->ended) {
        outgoing_->ended = true;
        notify(outgoing_->reader);
    }
    notify();
}

bool MemoryStream::readable() const {
    return want_input_ && !stopped_ &&
           (!incoming_->bytes.empty() || incoming_->ended || incoming_->broken);
}

bool MemoryStream::writable() const {
    return want_output_ && (outgoing_->broken || outgoing_->bytes.size() < outgoing_->capacity);
}

void MemoryStream::notify() {
    if (readable() || writable())
        executor().schedule(event_);
}

void MemoryStream::notify(MemoryStream* stream) {
    if (stream != nullptr)
        stream->notify();
}

void MemoryStream::dispatch() {
    if (writable())
        on_writable();
    if (!readable())
        return;
    notify(); // there may be more than is read now
    // Never filled when reads are limited, so that each piece comes in an event of its own.
    std::vector<char> buffer(std::max(buffer_size, read_limit_ + 1));
    on_readable(buffer); // may destroy us
}

} // namespace postern::test
