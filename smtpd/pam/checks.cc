#include "smtpd/pam/checks.h"

#include <algorithm>
#include <unistd.h>
#include <utility>

#include "common/base/log.h"
#include "common/base/pipe.h"
#include "common/base/result.h"
#include "common/smtp/sasl.h"

namespace postern::pam {

using ipc::Authentication;

namespace {

// A pipe to read the question from: it is in there, and nothing comes after it.
Result<FileDescriptor> pipe_with(const ipc::PamQuestion& question) {
    Result<Pipe> pipe = make_pipe();
    if (!pipe)
        return pipe.error();
    std::string bytes;
    bytes.reserve(ipc::pam_pipe_limit); // that no part of it is left where it was before
    std::vector<FileDescriptor> none;
    ipc::Encoder(bytes, none).put(question);
    const ssize_t written = ::write(pipe->write_end.get(), bytes.data(), bytes.size());
    const bool whole = written == static_cast<ssize_t>(bytes.size());
    wipe(bytes);
    if (!whole)
        return system_error("write to a pipe");
    return std::move(pipe->read_end);
}

bool may_be_asked(const ipc::CheckPassword& question) {
    return is_system_user_name(question.user) && is_password(question.password.view());
}

ipc::PamFinding no_finding(std::string reason) {
    ipc::PamFinding finding;
    finding.reason = std::move(reason);
    return finding;
}

ipc::PamFinding finding_of(const ipc::Exited& exited, const FileDescriptor& pipe) {
    if (!exited.error.empty())
        return no_finding("the check broke off: " + exited.error);
    ipc::PamFinding finding;
    if (exited.status != 0 ||
        !ipc::decode_bytes(read_available(pipe, ipc::pam_pipe_limit + 1), finding))
        return no_finding("the check ended without a result, exit status " +
                          std::to_string(exited.status));
    if (finding.verdict == Authentication::ok && !is_user_identity(finding.user))
        return no_finding("it does not say who has authenticated");
    return finding;
}

} // namespace

bool Checks::check(ipc::CheckPassword question) {
    if (open_ >= ipc::pam_credit)
        return false;
    const uint32_t number = next_++;
    auto added = std::make_unique<Check>(*this, number, std::move(question));
    Check& check = *added;
    checks_.emplace(number, std::move(added));
    ++open_;
    if (draining_ || !may_be_asked(check.question)) {
        answer(check, draining_ ? Authentication::temporary : Authentication::failed);
        checks_.erase(number);
        return true;
    }
    check.arm(executor_, executor_.now() + limits_.waiting);
    waiting_.push_back(number);
    start_waiting();
    return true;
}

void Checks::start_waiting() {
    while (!waiting_.empty() && running_ < limits_.helpers) {
        const uint32_t number = waiting_.front();
        waiting_.pop_front();
        start(*checks_.at(number));
    }
}

void Checks::start(Check& check) {
    ipc::PamQuestion question;
    question.user = check.question.user;
    question.password = std::move(check.question.password);
    question.remote_host = check.question.client.to_string();
    if (std::find(services_.begin(), services_.end(), check.question.service) == services_.end())
        return finish(check, no_finding("there is no such service in the configuration"));
    Result<FileDescriptor> input = pipe_with(question);
    Result<Pipe> output = make_pipe();
    if (!input || !output)
        return finish(check, no_finding((input ? output.error() : input.error()).message));
    check.finding = std::move(output->read_end);
    check.arm(executor_, executor_.now() + limits_.running);
    ++running_;
    ipc::SpawnCheck spawn;
    spawn.request = check.number;
    spawn.service = check.question.service;
    spawn.question = std::move(*input);
    spawn.finding = std::move(output->write_end);
    peers_.to_supervisor(std::move(spawn));
}

void Checks::exited(const ipc::Exited& exited) {
    const auto found = checks_.find(exited.request);
    if (found == checks_.end() || !found->second->finding)
        return;
    --running_;
    Check& check = *found->second;
    finish(check, finding_of(exited, check.finding));
    start_waiting();
    if (draining_ && running_ == 0)
        on_drained_();
}

// Whoever waits for a helper has it no more; whose helper takes too long is told so now, however
// long it takes to end.
void Checks::time_out(Check& check) {
    if (!check.finding) {
        std::erase(waiting_, check.number);
        return finish(check, no_finding("too many checks are under way"));
    }
    // The first time it is asked to end what its modules have started; then it has to go.
    peers_.to_supervisor(ipc::Kill{check.number});
    check.arm(executor_, executor_.now() + limits_.ending);
    if (check.answered)
        return;
    log::warning("PAM takes too long", {{"service", check.question.service},
                                        {"user", check.question.user},
                                        {"client", check.question.client.to_string()}});
    answer(check, Authentication::temporary);
}

void Checks::finish(Check& check, ipc::PamFinding finding) {
    if (!check.answered && finding.verdict != Authentication::ok)
        log::write(finding.verdict == Authentication::failed ? log::Level::info
                                                             : log::Level::warning,
                   finding.verdict == Authentication::failed ? "PAM refuses" : "PAM cannot tell",
                   {{"service", check.question.service},
                    {"user", check.question.user},
                    {"client", check.question.client.to_string()},
                    {"reason", finding.reason}});
    answer(check, finding.verdict, std::move(finding.user));
    checks_.erase(check.number);
}

void Checks::answer(Check& check, Authentication verdict, std::string user) {
    if (std::exchange(check.answered, true))
        return;
    --open_;
    ipc::PasswordChecked answer;
    answer.request = check.question.request;
    answer.verdict = verdict;
    if (verdict == Authentication::ok)
        answer.user = std::move(user);
    peers_.to_lookup(std::move(answer));
}

void Checks::forget() {
    waiting_.clear();
    std::erase_if(checks_, [](const auto& entry) { return !entry.second->finding; });
    for (auto& [number, check] : checks_) {
        if (std::exchange(check->answered, true))
            continue;
        peers_.to_supervisor(ipc::Kill{number});
        check->arm(executor_, executor_.now() + limits_.ending);
    }
    open_ = 0;
}

void Checks::drain(std::function<void()> on_drained) {
    on_drained_ = std::move(on_drained);
    draining_ = true;
    for (const uint32_t number : std::exchange(waiting_, {}))
        finish(*checks_.at(number), no_finding("this process is ending"));
    if (running_ == 0)
        on_drained_();
}

} // namespace postern::pam
