#include "queue/intake.h"

#include <algorithm>

#include "common/base/log.h"
#include "common/ipc/channel.h"

namespace postern {

namespace {

// RFC 5321 4.5.3.1 has 256 for a path; quoting cannot make one longer than this.
constexpr size_t path_limit = 1024;
constexpr size_t domain_limit = 255; // 4.5.3.1.2
// Seconds that a message can be held for (RFC 4865): ten years, as the configuration allows at
// most.
constexpr WallTime longest_release = WallTime{10} * 366 * 86400;

bool plain(const std::string& path) {
    return path.size() <= path_limit && std::none_of(path.begin(), path.end(), [](char c) {
               return c == '\r' || c == '\n' || c == '\0';
           });
}

bool sane_parameters(const ipc::Envelope& envelope) {
    if (!is_valid(envelope.parameters))
        return false;
    uint64_t next = 0; // they are in order
    for (const ipc::RecipientOptions& options : envelope.options) {
        if (options.index < next || options.index >= envelope.recipients.size() ||
            !is_valid(options.parameters))
            return false;
        next = uint64_t{options.index} + 1;
    }
    return true;
}

// What a listener has checked before it submits. Should a client have found a way through, it is
// answered for this message; to cut the listener off would end the sessions of all others.
bool sane(const ipc::Submit& submit, uint64_t size, WallTime now) {
    const ipc::Envelope& envelope = submit.envelope;
    const auto usable = [](const std::string& recipient) {
        return !recipient.empty() && plain(recipient);
    };
    return !envelope.recipients.empty() && plain(envelope.reverse_path) &&
           std::all_of(envelope.recipients.begin(), envelope.recipients.end(), usable) &&
           sane_parameters(envelope) && envelope.release_at >= 0 &&
           envelope.release_at <= now + longest_release && submit.traits.header_length <= size;
}

// What no client has a say in: if it is not so, the listener is broken or taken over.
bool keeps_protocol(const ipc::Submit& submit, bool has_file, Intake::Submitter submitter) {
    const ipc::Envelope& envelope = submit.envelope;
    const bool is_policy = submitter == Intake::Submitter::policy;
    if (is_policy && (!envelope.reverse_path.empty() || envelope.recipients.size() != 1 ||
                      !envelope.origin.authenticated.empty() || has_file))
        return false;
    if (envelope.origin.internal != is_policy || !submit.envelope.targets.empty())
        return false;
    if (has_file)
        return submit.content.bytes.empty();
    return submit.file_length == 0 && submit.content.bytes.size() <= ipc::inline_content_limit;
}

} // namespace

Intake::Intake(Executor& executor, Spool& spool, FreshContents& fresh, Recorder& recorder,
               Accept accept, Wake wake)
    : executor_(executor), spool_(spool), fresh_(fresh), recorder_(recorder),
      accept_(std::move(accept)), wake_(std::move(wake)) {}

void Intake::connect(uint32_t listener, Send send, Submitter submitter) {
    auto& [life, state] = listeners_[listener];
    life = ++lives_; // what the former one asked for is not answered to this one
    state = Listener{};
    state.send = std::move(send);
    state.submitter = submitter;
}

void Intake::disconnect(uint32_t listener) { listeners_.erase(listener); }

bool Intake::handle(uint32_t index, ipc::ListenerToQueue message) {
    auto found = listeners_.find(index);
    if (found == listeners_.end())
        return false;
    Listener& listener = found->second.second;
    return std::visit(
        ipc::Overloaded{
            [&](ipc::ContentFileRequest& request) { return open_file(listener, request); },
            [&](ipc::Submit& request) { return submit(index, listener, std::move(request)); },
            [&](ipc::Abandon& abandon) {
                listener.files.erase(abandon.request);
                return true;
            },
            [&](ipc::Wake& question) { return wake(index, listener, question); },
        },
        message);
}

bool Intake::open_file(Listener& listener, const ipc::ContentFileRequest& request) {
    if (listener.submitter == Submitter::policy || listener.open() >= ipc::submission_credit ||
        listener.files.count(request.request) || listener.submitted.count(request.request))
        return false;
    if (closed_) {
        listener.send(refusal(request.request, Error{"the queue is closing"}));
        return true;
    }
    Result<ContentFile> file = spool_.create_content_file();
    Result<FileDescriptor> descriptor =
        file ? file->descriptor() : Result<FileDescriptor>(file.error());
    if (!descriptor) {
        listener.send(refusal(request.request, descriptor.error()));
        return true;
    }
    ipc::ContentFile answer;
    answer.request = request.request;
    answer.file = std::move(*descriptor);
    listener.files.emplace(request.request, std::move(*file));
    listener.send(std::move(answer));
    return true;
}

bool Intake::submit(uint32_t index, Listener& listener, ipc::Submit submit) {
    ContentFile file;
    if (auto found = listener.files.find(submit.request); found != listener.files.end()) {
        file = std::move(found->second);
        listener.files.erase(found);
    }
    if (!keeps_protocol(submit, static_cast<bool>(file), listener.submitter) ||
        listener.open() >= ipc::submission_credit ||
        !listener.submitted.insert(submit.request).second)
        return false;
    const uint32_t request = submit.request;
    const uint64_t life = listeners_.at(index).first;
    const uint64_t size = file ? submit.file_length : submit.content.bytes.size();
    const auto refuse = [&](const Error& error) {
        answer(index, life, request, refusal(request, error));
        return true;
    };
    if (closed_)
        return refuse(Error{"the queue is closing"});
    if (size > size_limit_)
        return refuse(Error{"the message is too large", EMSGSIZE});
    if (!sane(submit, size, executor_.wall_seconds()))
        return refuse(Error{"its envelope is not one", EPROTO});
    StoredMessage message;
    message.envelope = std::move(submit.envelope);
    message.envelope.accepted_at = executor_.wall_seconds();
    message.traits = submit.traits;
    std::string payload = encode(message);
    const uint64_t id = spool_.next_id();
    Result<Ticket> ticket = append(id, payload, std::move(file), submit);
    if (!ticket)
        return refuse(ticket.error());
    if (submit.file_length == 0)
        fresh_.keep(id, std::move(submit.content.bytes));
    recorder_.await(*ticket, [this, index, life, request, id, size, payload = std::move(payload),
                              message = std::move(message)](const Result<void>& result) mutable {
        if (!result) {
            fresh_.forget(id);
            return answer(index, life, request, refusal(request, result.error()));
        }
        ipc::Durable durable;
        durable.request = request;
        durable.message = id;
        answer(index, life, request, durable);
        accept_(id, std::move(payload), std::move(message), size);
    });
    return true;
}

Result<Ticket> Intake::append(uint64_t id, std::string_view payload, ContentFile file,
                              const ipc::Submit& submit) {
    if (file)
        return spool_.append_message(id, payload, std::move(file), submit.file_length,
                                     submit.file_checksum);
    return spool_.append_message(id, payload, submit.content.bytes);
}

bool Intake::wake(uint32_t index, Listener& listener, const ipc::Wake& question) {
    if (listener.submitter == Submitter::policy || question.domain.empty() ||
        question.domain.size() > domain_limit || listener.open() >= ipc::submission_credit ||
        !listener.submitted.insert(question.request).second)
        return false;
    const uint64_t life = listeners_.at(index).first;
    const auto reply = [this, index, life, request = question.request](ipc::WakeResult result,
                                                                       uint32_t messages) {
        ipc::Woken woken;
        woken.request = request;
        woken.result = result;
        woken.messages = messages;
        answer(index, life, request, woken);
    };
    if (closed_)
        reply(ipc::WakeResult::too_soon, 0);
    else
        wake_(question, reply);
    return true;
}

void Intake::answer(uint32_t index, uint64_t life, uint32_t request, ipc::QueueToListener answer) {
    auto found = listeners_.find(index);
    if (found == listeners_.end() || found->second.first != life)
        return; // it has died: its client was not told 250 and may send again
    Listener& listener = found->second.second;
    listener.submitted.erase(request);
    listener.send(std::move(answer));
}

ipc::Refused Intake::refusal(uint32_t request, const Error& error) {
    ++refused_;
    ipc::Refused refused;
    refused.request = request;
    if (error.code == EMSGSIZE) {
        refused.code = 552;
        refused.enhanced = "5.3.4";
        refused.text = "Message too large";
        return refused;
    }
    if (closed_) {
        refused.code = 451;
        refused.enhanced = "4.3.2";
        refused.text = "Shutting down, try again later";
        return refused;
    }
    if (error.code == EPROTO) {
        log::error("a message was refused", {{"reason", error.message}});
        refused.code = 554;
        refused.enhanced = "5.5.4";
        refused.text = "Transaction failed, its parameters cannot be kept";
        return refused;
    }
    log::error("a message was refused: it cannot be stored", {{"reason", error.message}});
    refused.code = 452;
    refused.enhanced = "4.3.1";
    refused.text = "Insufficient system storage";
    return refused;
}

} // namespace postern
