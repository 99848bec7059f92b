#include "smtpd/smtpctl/client.h"

#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/loop/task.h"

namespace postern {

ControlClient::ControlClient(FileDescriptor socket)
    : channel_(
          loop_, std::move(socket),
          [this](ipc::Answer&& answer) {
              answer_ = std::move(answer);
              loop_.stop();
          },
          [this](const std::string& reason) {
              closed_ = reason;
              loop_.stop();
          }) {}

Result<std::unique_ptr<ControlClient>> ControlClient::connect(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path)
        return system_error(path, ENAMETOOLONG);
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    FileDescriptor socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    if (!socket)
        return system_error("socket");
    if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0)
        return system_error(path);
    return std::unique_ptr<ControlClient>(new ControlClient(std::move(socket)));
}

Result<ipc::Answer> ControlClient::ask(ipc::Question question) {
    answer_.reset();
    if (closed_.empty()) {
        channel_.send(std::move(question));
        TaskGroup limit;
        limit.spawn([](EventLoop& loop) -> Task<void> {
            co_await loop.sleep(client_limit);
            loop.stop();
        }(loop_));
        loop_.run();
    }
    if (answer_)
        return std::move(*answer_);
    return Error{closed_.empty() ? "no answer from the server"
                                 : "the server closed the connection"};
}

} // namespace postern
