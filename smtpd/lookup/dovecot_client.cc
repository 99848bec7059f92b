#include "smtpd/lookup/dovecot_client.h"

#include <algorithm>
#include <sys/random.h>

#include "common/base/log.h"
#include "common/ipc/channel.h"
#include "common/smtp/internationalized.h"

namespace postern {

namespace {

using ipc::SaslVerdict;

// Dovecot tells its clients apart by a number that is meant to be that of a process; but another
// one, in another container, may have ours.
uint32_t client_id() {
    uint32_t number = 0;
    [[maybe_unused]] const ssize_t got = getrandom(&number, sizeof number, 0);
    return number % 1'000'000'000 + 1;
}

// LOGIN is PLAIN by the time it comes here. What binds itself to our TLS Dovecot cannot check.
bool is_ours(SaslMechanism mechanism) { return mechanism != SaslMechanism::scram_sha_256_plus; }

DovecotClient::Outcome outcome(SaslVerdict verdict) {
    DovecotClient::Outcome outcome;
    outcome.verdict = verdict;
    return outcome;
}

} // namespace

DovecotClient::DovecotClient(Executor& executor, std::string name, Connect connect,
                             std::function<void()> announced)
    : executor_(executor), name_(std::move(name)), connect_(std::move(connect)),
      announced_(std::move(announced)) {
    tasks_.spawn(run());
}

DovecotClient::~DovecotClient() {
    tasks_.clear();
    abandon_requests();
}

Task<void> DovecotClient::run() {
    while (true) {
        Connected connected = co_await connect_();
        std::string reason;
        if (connected) {
            stream_ = std::move(*connected);
            reason = co_await shake_hands();
            if (reason.empty())
                reason = co_await serve();
        } else {
            reason = connected.error().message;
        }
        lose(reason);
        co_await executor_.sleep(retry);
    }
}

// Until Dovecot has said what it offers. The reason why it is over; empty: it is done.
Task<std::string> DovecotClient::shake_hands() {
    stream_->write(dovecot::hello(client_id()));
    std::vector<SaslMechanism> mechanisms;
    bool same_version = false;
    for (size_t lines = 0; lines < handshake_lines; ++lines) {
        Line line = co_await stream_->read_line(dovecot::line_limit, handshake);
        if (line.status != StreamStatus::ok)
            co_return to_string(line.status);
        const auto reply = dovecot::parse_reply(line.text);
        if (!reply)
            co_return "a malformed line";
        if (const auto* version = std::get_if<dovecot::Version>(&*reply))
            same_version = version->major == 1;
        else if (const auto* offer = std::get_if<dovecot::Mechanism>(&*reply);
                 offer && offer->mechanism && is_ours(*offer->mechanism))
            mechanisms.push_back(*offer->mechanism);
        if (!std::holds_alternative<dovecot::Done>(*reply))
            continue;
        if (!same_version)
            co_return "it speaks another version of the protocol";
        std::sort(mechanisms.begin(), mechanisms.end());
        mechanisms.erase(std::unique(mechanisms.begin(), mechanisms.end()), mechanisms.end());
        if (!std::binary_search(mechanisms.begin(), mechanisms.end(), SaslMechanism::plain))
            std::erase(mechanisms, SaslMechanism::login);
        ready_ = true;
        complained_ = false;
        log::info("connected to Dovecot", {{"socket", name_}});
        if (mechanisms != mechanisms_) {
            mechanisms_ = std::move(mechanisms);
            announced_();
        }
        co_return "";
    }
    co_return "a handshake without an end";
}

// Until the connection breaks; the reason.
Task<std::string> DovecotClient::serve() {
    constexpr Duration idle = std::chrono::hours(1); // there may be nothing to ask
    while (true) {
        Line line = co_await stream_->read_line(dovecot::line_limit, idle);
        if (line.status == StreamStatus::timed_out)
            continue;
        if (line.status != StreamStatus::ok)
            co_return to_string(line.status);
        const auto reply = dovecot::parse_reply(line.text);
        stream_->wipe_line(); // a token may be in it
        if (!reply)
            co_return "a malformed line";
        take(*reply);
    }
}

void DovecotClient::take(const dovecot::Reply& reply) {
    silent_ = false;
    std::visit(
        ipc::Overloaded{
            [this](const dovecot::Challenge& challenge) {
                Outcome step = outcome(SaslVerdict::challenge);
                step.challenge = challenge.text;
                finish(challenge.request, std::move(step));
            },
            [this](const dovecot::Success& success) {
                Outcome end = outcome(SaslVerdict::ok);
                end.user = comparable_name(success.user);
                if (!is_user_identity(end.user)) {
                    log::error("Dovecot does not say who has authenticated", {{"socket", name_}});
                    end = outcome(SaslVerdict::temporary);
                }
                finish(success.request, std::move(end));
            },
            [this](const dovecot::Failure& failure) {
                Outcome end =
                    outcome(failure.temporary ? SaslVerdict::temporary : SaslVerdict::failed);
                if (is_user_identity(failure.user))
                    end.user = failure.user;
                finish(failure.request, std::move(end));
            },
            [](const auto&) {},
        },
        reply);
}

void DovecotClient::finish(uint32_t number, Outcome outcome) {
    const auto found = requests_.find(number);
    if (found == requests_.end() || !found->second->done)
        return; // nobody waits for it any more
    const Done done = std::exchange(found->second->done, nullptr);
    found->second->disarm();
    if (outcome.verdict != SaslVerdict::challenge)
        requests_.erase(found);
    done(std::move(outcome));
}

void DovecotClient::wait_for(uint32_t number, Done done) {
    std::unique_ptr<Request>& request = requests_[number];
    if (!request)
        request = std::make_unique<Request>(*this, number);
    request->done = std::move(done);
    request->arm(executor_, executor_.now() + patience);
}

uint32_t DovecotClient::begin(SaslMechanism mechanism, const Secret& message,
                              const IpAddress& client, Done done) {
    const uint32_t number = next_;
    // Dovecot would close the connection of all over a mechanism that it has not, or a long line.
    const bool sane = std::binary_search(mechanisms_.begin(), mechanisms_.end(), mechanism) &&
                      message.size() <= dovecot::message_limit;
    if (!sane || !can_write() || requests_.size() >= max_requests || requests_.contains(number))
        return 0;
    next_ = next_ % 999'999'999 + 1;
    wait_for(number, std::move(done));
    stream_->write_secret(dovecot::begin(number, mechanism, client, message.view()).view());
    return number;
}

bool DovecotClient::go_on(uint32_t number, const Secret& message, Done done) {
    if (!can_write() || !requests_.contains(number))
        return false;
    wait_for(number, std::move(done));
    stream_->write_secret(dovecot::go_on(number, message.view()).view());
    return true;
}

void DovecotClient::forget(uint32_t number) {
    if (requests_.erase(number) == 1 && can_write())
        stream_->write(dovecot::cancel(number));
}

void DovecotClient::time_out(uint32_t number) {
    const Done done = std::move(requests_.at(number)->done);
    forget(number);
    if (!std::exchange(silent_, true))
        log::warning("Dovecot does not answer", {{"socket", name_}});
    done(outcome(SaslVerdict::temporary));
}

void DovecotClient::lose(const std::string& reason) {
    ready_ = false;
    stream_.reset();
    if (!std::exchange(complained_, true))
        log::warning("no connection to Dovecot", {{"socket", name_}, {"reason", reason}});
    abandon_requests();
}

void DovecotClient::abandon_requests() {
    ready_ = false;
    const auto lost = std::exchange(requests_, {});
    for (const auto& [number, request] : lost)
        if (const Done done = std::exchange(request->done, nullptr))
            done(outcome(SaslVerdict::temporary));
}

DovecotExchange::~DovecotExchange() {
    if (const auto dovecot = dovecot_.lock())
        dovecot->forget(request_);
}

void DovecotExchange::respond(Secret message, Done done) {
    const auto dovecot = dovecot_.lock();
    if (message.size() > dovecot::message_limit)
        return done(outcome(SaslVerdict::malformed));
    bool asked = false;
    if (dovecot && request_ == 0) {
        request_ = dovecot->begin(mechanism_, message, client_, done);
        asked = request_ != 0;
    } else if (dovecot) {
        asked = dovecot->go_on(request_, message, done);
    }
    if (!asked)
        done(outcome(SaslVerdict::temporary)); // may destroy us
}

void check_password_with(DovecotClient& dovecot, std::string_view user, const Secret& password,
                         const IpAddress& client, DovecotClient::Done done) {
    std::string text;
    text.reserve(user.size() + password.size() + 2);
    text += '\0';
    text += user;
    text += '\0';
    text += password.view();
    const Secret message = Secret::take(text);
    const auto request = std::make_shared<uint32_t>(0);
    *request = dovecot.begin(SaslMechanism::plain, message, client,
                             [&dovecot, request, done](DovecotClient::Outcome end) {
                                 if (end.verdict == SaslVerdict::challenge) { // PLAIN has none
                                     dovecot.forget(*request);
                                     end = outcome(SaslVerdict::temporary);
                                 }
                                 done(std::move(end));
                             });
    if (*request == 0)
        done(outcome(SaslVerdict::temporary));
}

} // namespace postern
