// Mail that we write ourselves, handed to the queue.
#pragma once

#include <memory>
#include <string>

#include "common/ipc/channel.h"
#include "common/ipc/requests.h"
#include "common/ipc/submission.h"
#include "common/loop/event_loop.h"
#include "common/loop/task.h"

namespace postern::policy {

class QueueClient {
  public:
    QueueClient(EventLoop& loop, std::string hostname)
        : loop_(loop), hostname_(std::move(hostname)), submissions_(loop, 16) {}

    void set_hostname(std::string hostname) { hostname_ = std::move(hostname); }

    // Takes a channel in place of the former; what was handed over there counts as not taken.
    void connect(FileDescriptor channel);

    // A message with CRLF, in ASCII, from the null reverse-path: nobody is told if it cannot be
    // delivered. True: it is on disk. False: it is not, or is longer than inline_content_limit.
    Task<bool> submit(std::string recipient, std::string message);

  private:
    struct Answer {
        bool durable = false;
    };

    EventLoop& loop_;
    std::string hostname_;
    ipc::Requests<Answer> submissions_;
    std::unique_ptr<ipc::Channel<ipc::QueueToListener, ipc::ListenerToQueue>> channel_;
};

} // namespace postern::policy
