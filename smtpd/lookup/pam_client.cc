#include "smtpd/lookup/pam_client.h"

#include <utility>

#include "common/base/log.h"
#include "common/smtp/internationalized.h"
#include "common/smtp/sasl.h"

namespace postern {

void PamClient::connect(FileDescriptor channel) {
    lose(ipc::peer_closed); // what was asked of a former one
    channel_ = std::make_unique<ipc::Channel<ipc::PamToLookup, ipc::LookupToPam>>(
        loop_, std::move(channel),
        [this](ipc::PamToLookup&& message) {
            std::visit(
                ipc::Overloaded{[this](ipc::PasswordChecked& answer) { take(std::move(answer)); }},
                message);
        },
        [this](const std::string& reason) { lose(reason); });
    channel_->wipe_packets();
}

void PamClient::check(ipc::CheckPassword question, Done done) {
    if (!channel_ || requests_.size() >= ipc::pam_credit)
        return done({});
    const uint32_t number = next_++;
    question.request = number;
    std::unique_ptr<Request>& request = requests_[number];
    request = std::make_unique<Request>(*this, std::move(done));
    request->arm(loop_, loop_.now() + patience);
    channel_->send(std::move(question));
}

// An answer that comes too late is for nobody.
void PamClient::take(ipc::PasswordChecked answer) {
    Outcome outcome;
    outcome.verdict = answer.verdict;
    if (answer.verdict == ipc::Authentication::ok) {
        outcome.user = comparable_name(answer.user);
        if (!is_user_identity(outcome.user)) {
            log::error("pam does not say who has authenticated");
            outcome = {};
        }
    }
    finish(answer.request, std::move(outcome));
}

void PamClient::finish(uint32_t number, Outcome outcome) {
    const auto found = requests_.find(number);
    if (found == requests_.end())
        return;
    const Done done = std::move(found->second->done);
    requests_.erase(found);
    done(std::move(outcome));
}

// It has an answer to everything: one that has none is of no more use, and ends itself when it is
// cut off.
void PamClient::time_out() { lose("it does not answer"); }

void PamClient::lose(const std::string& reason) {
    if (channel_)
        ipc::log_closed_channel("pam", reason);
    channel_.reset();
    const auto lost = std::exchange(requests_, {});
    for (const auto& [number, request] : lost)
        request->done({});
}

} // namespace postern
