// The listener's end of the channel to the queue.
//
// A queue that dies takes with it what was asked of it: every question is then answered with
// nothing, and its content files are void. What the queue says about something nobody waits for any
// more is given back to it.
#pragma once

#include <functional>
#include <list>
#include <map>
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
    // may be slow; the clients of one network have a quarter of that at most. Who finds none left
    // waits for it within the limit of the call.
    explicit QueueClient(EventLoop& loop, uint32_t credit = ipc::submission_credit * 3 / 4);

    // Takes a channel in place of the former.
    void connect(FileDescriptor channel);

    // How many content files are open, of how many; called when that changes.
    void watch_files(std::function<void(uint32_t used, uint32_t limit)> watcher);

    Task<OpenedFile> open_content_file(IpAddress client, Duration limit) override;
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
        std::function<void()> changed; // may be null
    };
    class Share; // of a Credit, given back when destroyed
    // Of the credit of a network, which is forgotten with the last one.
    struct NetworkShare {
        std::shared_ptr<Credit> credit;
        std::unique_ptr<Share> share; // null: of a client that none is counted for
    };
    class File;
    using Reply = ipc::QueueToListener;
    using Questions = ipc::Requests<Reply>;

    static void wake_next(Credit& credit);
    static Task<std::unique_ptr<Share>> take_share(Executor& executor, Credit& credit,
                                                   Duration limit);
    std::shared_ptr<Credit> credit_of(const IpAddress& network);
    void received(ipc::QueueToListener&& message);
    void lost();
    void send(ipc::ListenerToQueue message);

    EventLoop& loop_;
    Credit files_;
    std::map<IpAddress, std::weak_ptr<Credit>> networks_; // of files_
    Credit messages_;                                     // Submits without a file
    Credit wakes_;
    Questions questions_;
    std::unique_ptr<ipc::Channel<ipc::QueueToListener, ipc::ListenerToQueue>> channel_;
    uint64_t generation_ = 0; // of the channel
};

} // namespace postern::listener
