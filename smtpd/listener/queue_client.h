// The listener's end of the channel to the queue.
//
// A queue that dies takes with it what was asked of it: every question is then answered with
// nothing, and its content files are void. What the queue says about something nobody waits for any
// more is given back to it.
#pragma once

#include <list>
#include <memory>
#include <optional>

#include "common/ipc/channel.h"
#include "common/ipc/requests.h"
#include "common/ipc/submission.h"
#include "common/loop/event_loop.h"
#include "smtpd/listener/collaborators.h"

namespace postern::listener {

class QueueClient final : public Submission {
  public:
    // `credit`: questions and content files open at once. Half of it is for files, whose clients
    // may be slow; who finds none left waits for it within the limit of the call.
    explicit QueueClient(EventLoop& loop, uint32_t credit = ipc::submission_credit * 3 / 4);

    // Takes a channel in place of the former.
    void connect(FileDescriptor channel);

    Task<OpenedFile> open_content_file(Duration limit) override;
    Task<std::optional<Answer>> submit(ipc::Submit message, std::unique_ptr<ContentFile> file,
                                       Duration limit) override;
    Task<std::optional<ipc::Woken>> wake(ipc::Wake question, Duration limit) override;

    uint32_t open_files() const { return files_.used; }

  private:
    // So many may be open; the others wait in line.
    struct Credit {
        uint32_t limit = 0;
        uint32_t used = 0;
        std::list<Completion<bool>*> waiting;
    };
    class Share; // of a Credit, given back when destroyed
    class File;
    using Reply = ipc::QueueToListener;
    using Questions = ipc::Requests<Reply>;

    static void wake_next(Credit& credit);
    static Task<std::unique_ptr<Share>> take_share(Executor& executor, Credit& credit,
                                                   Duration limit);
    void received(ipc::QueueToListener&& message);
    void lost();
    void send(ipc::ListenerToQueue message);

    EventLoop& loop_;
    Credit files_;
    Credit messages_; // Submits without a file
    Credit wakes_;
    Questions questions_;
    std::unique_ptr<ipc::Channel<ipc::QueueToListener, ipc::ListenerToQueue>> channel_;
    uint64_t generation_ = 0; // of the channel
};

} // namespace postern::listener
