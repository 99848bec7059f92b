#include "regress/unit/relay/next_hop.h"

#include <sstream>

namespace postern::test {

namespace {

constexpr std::chrono::hours for_ever{1000};
constexpr size_t line_limit = 100 * 1024;

// \r, \n, \0, \xHH.
std::string unescape(std::string_view text) {
    std::string result;
    for (size_t i = 0; i < text.size(); ++i) {
        const bool escaped = text[i] == '\\' && i + 1 < text.size();
        const char c = escaped ? text[++i] : text[i];
        if (escaped && c == 'x') {
            result += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
            i += 2;
            continue;
        }
        result += !escaped ? c : c == 'r' ? '\r' : c == 'n' ? '\n' : c == '0' ? '\0' : c;
    }
    return result;
}

} // namespace

NextHop::NextHop(SimulatedTime& time, std::string_view script) : time_(time) {
    std::istringstream lines{std::string(script)};
    size_t number = 0;
    for (std::string line; std::getline(lines, line);) {
        ++number;
        const size_t start = line.find_first_not_of(' ');
        if (start == std::string::npos)
            continue;
        const size_t space = line.find(' ', start);
        Step step;
        step.line = number;
        step.verb = line.substr(start, space == std::string::npos ? space : space - start);
        step.text = space == std::string::npos ? "" : line.substr(space + 1);
        steps_.push_back(std::move(step));
    }
}

std::unique_ptr<Stream> NextHop::connect() {
    auto [client, server] = MemoryStream::make_pair(time_);
    ++connections_;
    tasks_.spawn(play(std::move(server)));
    return std::move(client);
}

void NextHop::complain(const Step& step, std::string what) {
    errors_ += "line " + std::to_string(step.line) + ": " + std::move(what) + "\n";
}

std::string NextHop::errors() const {
    std::string result = errors_;
    if (result.empty() && at_ < steps_.size() && steps_[at_].verb != "stall" &&
        steps_[at_].verb != "drip" && steps_[at_].verb != "silence")
        result = "line " + std::to_string(steps_[at_].line) + " was never reached\n";
    return result;
}

Task<bool> NextHop::expect(MemoryStream& stream, const Step& step) {
    Line line = co_await stream.read_line(line_limit, for_ever);
    std::string got(line.text);
    if (line.status != StreamStatus::ok)
        complain(step, "expected '" + step.text + "', but " + to_string(line.status));
    else if (got != step.text || !line.crlf)
        complain(step, "expected '" + step.text + "', got '" + got + "'");
    co_return errors_.empty();
}

Task<bool> NextHop::expect_octets(MemoryStream& stream, const Step& step) {
    const std::string wanted = unescape(step.text);
    StreamStatus status = StreamStatus::ok;
    while (stream.input().size() < wanted.size() && status == StreamStatus::ok)
        status = co_await stream.read_more(for_ever);
    const std::string got(stream.input().substr(0, wanted.size()));
    stream.consume(got.size());
    if (got != wanted)
        complain(step, "expected '" + step.text + "', got '" + got + "'");
    co_return errors_.empty();
}

Task<bool> NextHop::expect_lines(MemoryStream& stream, const Step& step) {
    for (int i = std::stoi(step.text); i > 0; --i) {
        Line line = co_await stream.read_line(line_limit, for_ever);
        if (line.status != StreamStatus::ok) {
            complain(step, "the client is gone");
            co_return false;
        }
    }
    co_return true;
}

Task<void> NextHop::play(std::unique_ptr<MemoryStream> stream) {
    for (; at_ < steps_.size(); ++at_) {
        const Step& step = steps_[at_];
        if (step.verb == "S:") {
            stream->write(step.text + "\r\n");
        } else if (step.verb == "C:") {
            const bool as_written = co_await expect(*stream, step);
            if (!as_written)
                co_return;
        } else if (step.verb == "C=") {
            const bool as_written = co_await expect_octets(*stream, step);
            if (!as_written)
                co_return;
        } else if (step.verb == "C*") {
            const bool came = co_await expect_lines(*stream, step);
            if (!came)
                co_return;
        } else if (step.verb == "quiet") {
            co_await time_.sleep(std::chrono::seconds(1));
            if (!stream->input().empty())
                complain(step, "expected nothing, got '" + stream->take() + "'");
        } else if (step.verb == "wait") {
            co_await time_.sleep(std::chrono::seconds(std::stoi(step.text)));
        } else if (step.verb == "raw") {
            stream->write(step.text);
        } else if (step.verb == "drip") {
            const size_t space = step.text.find(' ');
            while (!stream->closed()) {
                stream->write(step.text.substr(space + 1) + "\r\n");
                co_await time_.sleep(std::chrono::seconds(std::stoi(step.text)));
            }
            co_return;
        } else if (step.verb == "flood") {
            for (int i = 0; i < 10000; ++i)
                stream->write(step.text + "\r\n");
        } else if (step.verb == "deaf") {
            stream->stop_reading(true);
        } else if (step.verb == "reset") {
            stream->reset();
        } else if (step.verb == "stall") {
            StreamStatus status = StreamStatus::ok;
            while (status == StreamStatus::ok) {
                stream->take();
                status = co_await stream->read_more(for_ever);
            }
            co_return;
        } else if (step.verb == "silence") {
            StreamStatus status = co_await stream->read_more(for_ever);
            if (status == StreamStatus::ok)
                complain(step, "expected nothing, got '" + stream->take() + "'");
            co_return;
        } else if (step.verb == "close") {
            ++at_;
            break;
        } else {
            complain(step, "no such step: " + step.verb);
            co_return;
        }
    }
    finished_ = at_ == steps_.size();
    co_await stream->drain(for_ever);
}

namespace {

Task<void> note_end(Task<void> task, bool& ended) {
    co_await task;
    ended = true;
}

} // namespace

bool run_to_end(SimulatedTime& time, Task<void> task) {
    bool ended = false;
    TaskGroup group;
    group.spawn(note_end(std::move(task), ended));
    time.run();
    while (!ended && time.advance_to_next_timer())
        ;
    return ended;
}

} // namespace postern::test
