#include "smtpd/listener/queue_client.h"

#include <algorithm>

#include "common/base/client_network.h"
#include "common/base/log.h"

namespace postern::listener {

void QueueClient::wake_next(Credit& credit) {
    if (credit.waiting.empty())
        return;
    credit.waiting.front()->complete(true);
    credit.waiting.pop_front();
}

class QueueClient::Share {
  public:
    explicit Share(Credit& credit) : credit_(credit) { change(1); }
    ~Share() {
        change(-1);
        wake_next(credit_);
    }
    Share(const Share&) = delete;

  private:
    void change(int by) {
        credit_.used += static_cast<uint32_t>(by);
        if (credit_.changed)
            credit_.changed();
    }

    Credit& credit_;
};

// The queue has it open until Submit or Abandon.
class QueueClient::File final : public ContentFile {
  public:
    File(QueueClient& client, uint32_t request, FileDescriptor file, NetworkShare of_network,
         std::unique_ptr<Share> share)
        : client_(client), request_(request), generation_(client.generation_),
          file_(std::move(file)), of_network_(std::move(of_network)), share_(std::move(share)) {}
    ~File() override {
        if (submitted_ || !alive())
            return;
        ipc::Abandon abandon;
        abandon.request = request_;
        client_.send(std::move(abandon));
    }
    int fd() const override { return file_.get(); }
    uint32_t request() const { return request_; }
    // The queue that it belongs to is still there.
    bool alive() const { return client_.channel_ && generation_ == client_.generation_; }
    void submitted() { submitted_ = true; }

  private:
    QueueClient& client_;
    uint32_t request_;
    uint64_t generation_;
    bool submitted_ = false;
    FileDescriptor file_;
    NetworkShare of_network_;
    std::unique_ptr<Share> share_;
};

QueueClient::QueueClient(EventLoop& loop, uint32_t credit) : loop_(loop), questions_(loop, credit) {
    files_.limit = credit / 2;
    messages_.limit = credit - files_.limit;
    wakes_.limit = 1; // each takes the queue a while
}

void QueueClient::connect(FileDescriptor channel) {
    questions_.abandon();
    ++generation_;
    channel_ = std::make_unique<ipc::Channel<ipc::QueueToListener, ipc::ListenerToQueue>>(
        loop_, std::move(channel),
        [this](ipc::QueueToListener&& message) { received(std::move(message)); },
        [this](const std::string& reason) {
            ipc::log_closed_channel("queue", reason);
            lost();
        });
}

void QueueClient::lost() {
    channel_.reset();
    ++generation_;
    questions_.abandon();
}

void QueueClient::send(ipc::ListenerToQueue message) {
    if (channel_)
        channel_->send(std::move(message));
}

void QueueClient::received(ipc::QueueToListener&& message) {
    const uint32_t request = std::visit([](auto& answer) { return answer.request; }, message);
    const bool is_file = std::holds_alternative<ipc::ContentFile>(message);
    if (questions_.answer(request, std::move(message)) || !is_file)
        return;
    ipc::Abandon abandon; // it came too late
    abandon.request = request;
    send(std::move(abandon));
}

Task<std::unique_ptr<QueueClient::Share>> QueueClient::take_share(Executor& executor,
                                                                  Credit& credit, Duration limit) {
    const TimePoint end = executor.now() + limit;
    while (credit.used >= credit.limit) {
        Completion<bool> free(executor);
        struct Place { // in line, also when the waiting coroutine is destroyed
            Place(Credit& credit, Completion<bool>& free) : credit(credit), free(free) {
                credit.waiting.push_back(&free);
            }
            ~Place() {
                // Woken but gone before it took its share: the next one's turn.
                if (credit.waiting.remove(&free) == 0 && credit.used < credit.limit)
                    wake_next(credit);
            }
            Credit& credit;
            Completion<bool>& free;
        } place(credit, free);
        std::optional<bool> done = co_await free.wait(end - executor.now());
        if (!done)
            co_return nullptr;
        // Before the place is given up: what is free now is this one's, and not the next one's.
        if (credit.used < credit.limit)
            co_return std::make_unique<Share>(credit);
    }
    co_return std::make_unique<Share>(credit);
}

void QueueClient::watch_files(std::function<void(uint32_t used, uint32_t limit)> watcher) {
    files_.changed = [this, watcher = std::move(watcher)] { watcher(files_.used, files_.limit); };
}

std::shared_ptr<QueueClient::Credit> QueueClient::credit_of(const IpAddress& network) {
    std::weak_ptr<Credit>& known = networks_[network];
    std::shared_ptr<Credit> credit = known.lock();
    if (!credit) {
        credit = std::shared_ptr<Credit>(new Credit, [this, network](Credit* forgotten) {
            networks_.erase(network);
            delete forgotten;
        });
        credit->limit = std::max(files_.limit / 4, 1u);
        known = credit;
    }
    return credit;
}

Task<Submission::OpenedFile> QueueClient::open_content_file(IpAddress client, Duration limit) {
    OpenedFile opened;
    const TimePoint end = loop_.now() + limit;
    NetworkShare of_network;
    if (client.version != 0) {
        of_network.credit = credit_of(client_network(client));
        of_network.share = co_await take_share(loop_, *of_network.credit, limit);
        if (!of_network.share)
            co_return opened;
    }
    std::unique_ptr<Share> share = co_await take_share(loop_, files_, end - loop_.now());
    if (!share || !channel_)
        co_return opened;
    ipc::ContentFileRequest query;
    std::optional<Reply> reply = co_await questions_.ask(
        query, [this](ipc::ContentFileRequest question) { send(question); }, end - loop_.now());
    if (!reply)
        co_return opened;
    if (auto* file = std::get_if<ipc::ContentFile>(&*reply))
        opened.file = std::make_unique<File>(*this, file->request, std::move(file->file),
                                             std::move(of_network), std::move(share));
    else if (auto* refused = std::get_if<ipc::Refused>(&*reply))
        opened.refused = std::move(*refused);
    co_return opened;
}

Task<std::optional<Submission::Answer>>
QueueClient::submit(ipc::Submit message, std::unique_ptr<ContentFile> file, Duration limit) {
    const TimePoint end = loop_.now() + limit;
    std::unique_ptr<Share> share;
    auto* ours = static_cast<File*>(file.get());
    if (!ours)
        share = co_await take_share(loop_, messages_, limit);
    if (!channel_ || (ours ? !ours->alive() : !share))
        co_return std::nullopt;
    auto send_it = [this](ipc::Submit question) { send(std::move(question)); };
    std::optional<Reply> reply;
    if (ours) {
        ours->submitted();
        reply = co_await questions_.ask_as(ours->request(), std::move(message), send_it,
                                           end - loop_.now());
    } else {
        reply = co_await questions_.ask(std::move(message), send_it, end - loop_.now());
    }
    if (!reply)
        co_return std::nullopt;
    if (auto* durable = std::get_if<ipc::Durable>(&*reply))
        co_return Answer(*durable);
    if (auto* refused = std::get_if<ipc::Refused>(&*reply))
        co_return Answer(std::move(*refused));
    co_return std::nullopt; // a file is no answer to this
}

Task<std::optional<ipc::Woken>> QueueClient::wake(ipc::Wake question, Duration limit) {
    const TimePoint end = loop_.now() + limit;
    std::unique_ptr<Share> share = co_await take_share(loop_, wakes_, limit);
    if (!share || !channel_)
        co_return std::nullopt;
    std::optional<Reply> reply = co_await questions_.ask(
        std::move(question), [this](ipc::Wake asked) { send(std::move(asked)); },
        end - loop_.now());
    if (!reply || !std::holds_alternative<ipc::Woken>(*reply))
        co_return std::nullopt;
    co_return std::get<ipc::Woken>(*reply);
}

} // namespace postern::listener
