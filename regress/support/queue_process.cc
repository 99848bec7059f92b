#include "regress/support/queue_process.h"

#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <sys/wait.h>
#include <unistd.h>

#include "common/process/process.h"

namespace postern::test {

using namespace std::chrono_literals;

QueueProcess::QueueProcess(std::string program, const std::string& place)
    : destination([](const ipc::RouteQuery&) { return "dest.example"; }),
      program_(std::move(program)) {
    std::string pattern = place + "/queue.XXXXXX";
    directory_ = mkdtemp(pattern.data());
}

QueueProcess::~QueueProcess() {
    if (pid_ > 0)
        kill_queue();
    std::filesystem::remove_all(directory_);
}

ipc::QueueSettings QueueProcess::default_settings() {
    ipc::QueueSettings settings;
    settings.hostname = "gateway.example";
    settings.ttl = 1h;
    settings.retry_delay = 300s;
    settings.retry_max = 1h;
    settings.max_per_destination = 5;
    settings.max_in_memory = 100'000;
    settings.max_message_size = 1 << 20;
    settings.relays = 1;
    return settings;
}

bool QueueProcess::start(ipc::Orders orders) {
    auto [ours, theirs] = ipc::make_pair();
    pid_ = fork();
    if (pid_ == 0) {
        if (theirs.get() == ipc::supervision_fd)
            fcntl(ipc::supervision_fd, F_SETFD, 0);
        else
            dup2(theirs.get(), ipc::supervision_fd);
        execl(program_.c_str(), "postern-queue", nullptr);
        _exit(127);
    }
    supervisor.emplace(
        loop, std::move(ours), [this](ipc::ToSupervisor&&) { ready = true; },
        [this](const std::string&) { gone = true; });
    ipc::Configure configure;
    configure.orders = orders;
    configure.settings = std::move(*make_memory_file("settings", ipc::encode_bytes(settings)));
    configure.files.emplace_back(open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    supervisor->send(std::move(configure));
    return until([this] { return ready; });
}

FileDescriptor QueueProcess::connect(ipc::Role role) {
    auto [ours, theirs] = ipc::make_pair();
    ipc::Connect message;
    message.role = role;
    message.channel = std::move(theirs);
    supervisor->send(std::move(message));
    return std::move(ours);
}

void QueueProcess::connect_listener() {
    listener.emplace(
        loop, connect(ipc::Role::listener),
        [this](ipc::QueueToListener&& message) {
            if (on_answer)
                on_answer(std::move(message));
            else
                answers.push_back(std::move(message));
        },
        [this](const std::string&) { listener_lost = true; });
}

void QueueProcess::connect_everybody(uint32_t capacity) {
    connect_listener();
    lookup.emplace(
        loop, connect(ipc::Role::lookup),
        [this](ipc::ToLookup&& message) {
            const auto& query = std::get<ipc::RouteQuery>(message);
            ipc::RouteAnswer answer;
            answer.request = query.request;
            answer.verdict = ipc::RouteVerdict::accepted;
            answer.route.domain = destination(query);
            lookup->send(std::move(answer));
        },
        [](const std::string&) {});
    relay.emplace(
        loop, connect(ipc::Role::relay),
        [this](ipc::QueueToDeliverer&& message) {
            auto& deliver = std::get<ipc::Deliver>(message);
            if (on_delivery)
                on_delivery(std::move(deliver));
            else
                handed.push_back(std::move(deliver));
        },
        [this](const std::string&) { relay_lost = true; });
    ipc::Capacity credit;
    credit.deliveries = capacity;
    relay->send(credit);
    control.emplace(
        loop, connect(ipc::Role::control),
        [this](ipc::Answer&& message) { reports.push_back(std::move(message)); },
        [](const std::string&) {});
}

void QueueProcess::submit(uint32_t request, const std::string& recipient, std::string content) {
    ipc::Submit submit;
    submit.request = request;
    submit.envelope.reverse_path = "a@from.example";
    submit.envelope.recipients = {recipient};
    submit.content.bytes = std::move(content);
    listener->send(std::move(submit));
}

void QueueProcess::answer(const ipc::Deliver& deliver, ipc::RecipientStatus status, bool down) {
    ipc::Outcome outcome;
    outcome.delivery = deliver.delivery;
    outcome.destination_down = down;
    for (const ipc::DeliveryRecipient& recipient : deliver.recipients) {
        ipc::RecipientOutcome one;
        one.index = recipient.index;
        one.status = status;
        const bool delivered = status == ipc::RecipientStatus::delivered;
        one.enhanced = delivered ? "2.0.0" : "4.4.1";
        one.diagnostic = delivered ? "" : "connection refused";
        outcome.recipients.push_back(std::move(one));
    }
    relay->send(std::move(outcome));
}

void QueueProcess::kill_queue() {
    kill(pid_, SIGKILL);
    wait_for_queue();
    forget_channels();
}

void QueueProcess::forget_channels() {
    control.reset();
    relay.reset();
    lookup.reset();
    listener.reset();
    supervisor.reset();
    handed.clear();
    answers.clear();
    ready = gone = false;
}

int QueueProcess::wait_for_queue() {
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = 0;
    return status;
}

bool QueueProcess::until(const std::function<bool()>& holds, Duration limit) {
    struct Look final : Timer {
        void expired() override { loop->stop(); }
        EventLoop* loop = nullptr;
    } look;
    look.loop = &loop;
    const auto deadline = std::chrono::steady_clock::now() + limit;
    while (!holds()) {
        if (std::chrono::steady_clock::now() > deadline)
            return false;
        look.arm(loop, loop.now() + 5ms);
        loop.run();
    }
    return true;
}

} // namespace postern::test
