// smtpctl's end of the control socket: one question, one answer, one after the other.
#pragma once

#include <optional>
#include <string>

#include "common/base/result.h"
#include "common/ipc/administration.h"
#include "common/ipc/channel.h"
#include "common/loop/event_loop.h"

namespace postern {

inline constexpr std::chrono::seconds client_limit{30}; // for one answer

class ControlClient {
  public:
    static Result<std::unique_ptr<ControlClient>> connect(const std::string& path);

    // Blocks until the answer is there. An error: the server went away or took too long.
    Result<ipc::Answer> ask(ipc::Question question);

  private:
    explicit ControlClient(FileDescriptor socket);

    EventLoop loop_;
    std::optional<ipc::Answer> answer_;
    std::string closed_;
    ipc::Channel<ipc::Answer, ipc::Question> channel_;
};

} // namespace postern
