// Listeners hand messages over here: content files, submissions, and the answer that a client's 250
// rests on.
//
// Owner: the queue. Promises: Durable is sent only after the spool's commit of that message has
// succeeded; whatever fails is Refused, and nothing of it is kept. A listener that breaks the
// protocol, or has more open than it may, is to be cut off; what it had submitted stays submitted.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "common/ipc/submission.h"
#include "common/loop/executor.h"
#include "queue/fresh_contents.h"
#include "queue/mail_table.h"
#include "queue/recorder.h"
#include "queue/spool/spool.h"

namespace postern {

class Intake {
  public:
    using Send = std::function<void(ipc::QueueToListener)>;
    using Accept =
        std::function<void(uint64_t id, std::string payload, StoredMessage message, uint64_t size)>;

    using Wake = std::function<void(const ipc::Wake& question,
                                    std::function<void(ipc::WakeResult, uint32_t)> answer)>;

    // `wake` is asked to try mail for a domain now.
    Intake(Executor& executor, Spool& spool, FreshContents& fresh, Recorder& recorder,
           Accept accept, Wake wake);

    void set_size_limit(uint64_t bytes) { size_limit_ = bytes; }
    // Nothing is accepted any more: the spool is closed.
    void close() { closed_ = true; }

    // Who submits. Listeners pass on what others say; policy writes reports of its own, from the
    // null reverse-path, and nothing else.
    enum class Submitter : uint8_t { listener, policy };
    void connect(uint32_t listener, Send send, Submitter submitter = Submitter::listener);
    void disconnect(uint32_t listener);
    // False: no sane listener says that; cut it off.
    bool handle(uint32_t listener, ipc::ListenerToQueue message);

    uint64_t refused() const { return refused_; }

  private:
    struct Listener {
        Send send;
        Submitter submitter = Submitter::listener;
        std::unordered_map<uint32_t, ContentFile> files;
        std::unordered_set<uint32_t> submitted;
        size_t open() const { return files.size() + submitted.size(); }
    };

    bool open_file(Listener& listener, const ipc::ContentFileRequest& request);
    bool submit(uint32_t index, Listener& listener, ipc::Submit submit);
    bool wake(uint32_t index, Listener& listener, const ipc::Wake& question);
    Result<Ticket> append(uint64_t id, std::string_view payload, ContentFile file,
                          const ipc::Submit& submit);
    void answer(uint32_t index, uint64_t life, uint32_t request, ipc::QueueToListener answer);
    ipc::Refused refusal(uint32_t request, const Error& error);

    Executor& executor_;
    Spool& spool_;
    FreshContents& fresh_;
    Recorder& recorder_;
    Accept accept_;
    Wake wake_;
    uint64_t size_limit_ = 0;
    bool closed_ = false;
    std::map<uint32_t, std::pair<uint64_t, Listener>> listeners_; // with a number for each life
    uint64_t lives_ = 0;
    uint64_t refused_ = 0;
};

} // namespace postern
