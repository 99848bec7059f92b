#include "queue/loader.h"

#include <algorithm>

#include "common/base/log.h"
#include "common/mail/message_id.h"
#include "queue/backoff.h"
#include "queue/restore.h"

namespace postern {

namespace {

constexpr size_t read_per_turn = 500;
constexpr Backoff passes{std::chrono::seconds(60), std::chrono::seconds(3600)};

} // namespace

Loader::Loader(Executor& executor, Spool& spool, MailTable& table, ParkedMessages& parked,
               Recorder& recorder, Handlers handlers)
    : executor_(executor), spool_(spool), table_(table), parked_(parked), recorder_(recorder),
      handlers_(std::move(handlers)) {}

void Loader::start() {
    expecting_ = true;
    look();
}

void Loader::look() {
    if (!expecting_)
        return;
    std::optional<std::vector<SpoolId>> found = spool_.take_found();
    if (!found)
        return;
    expecting_ = false;
    to_read_ = std::move(*found);
    reading_.arm(executor_, executor_.now());
}

void Loader::try_again_now() {
    if (loaded_ && to_read_.empty() && !unread_.empty())
        begin_pass();
}

void Loader::begin_pass() {
    for (const auto& [id, unread] : unread_)
        if (!unread.lasting)
            to_read_.push_back(id);
    if (!to_read_.empty())
        read_some();
}

void Loader::read_some() {
    if (to_read_.empty() && loaded_)
        return begin_pass();
    for (size_t i = 0; i < read_per_turn && next_ < to_read_.size(); ++i) {
        const uint64_t id = to_read_[next_++];
        if (!loaded_)
            read(id, From::start);
        else if (unread_.contains(id)) // else an operator has removed it
            read(id, From::unread);
    }
    if (next_ == to_read_.size())
        return finish_pass();
    // A nanosecond later is the next turn of the loop: what else is ready comes first.
    reading_.arm(executor_, executor_.now() + Duration(1));
}

bool Loader::read(uint64_t id, From from) {
    Result<RecoveredMessage> found = spool_.recover(id);
    if (!found && found.error().code == ENOENT) {
        forget(id);
        return true;
    }
    if (!found) {
        if (failed_++ == 0)
            failure_ = found.error().message;
        hold(id, found.error().message, false);
        return false;
    }
    Result<StoredMessage> message = decode_message(found->envelope);
    if (message) {
        forget(id);
        take(*found, *message, from);
        return true;
    }
    // It stays in the spool, for a version that understands it.
    log::error("a message in the spool cannot be read",
               {{"message", to_string(MessageId{id})}, {"reason", message.error().message}});
    hold(id, message.error().message, true);
    return true;
}

QueuedMessage* Loader::find(uint64_t id) {
    if (QueuedMessage* message = table_.find(id))
        return message;
    const std::optional<ParkedMessage> parked = parked_.take(id);
    if (!parked)
        return nullptr;
    if (!read(id, From::parked) && loaded_ && !reading_.armed())
        finish_pass();
    QueuedMessage* message = table_.find(id);
    if (message)
        message->content_returned = parked->content_returned;
    if (message && parked->at_once) {
        // But one that was not tried yet waits for its release, and an operator may hold it.
        for (uint32_t index = 0; index < message->count; ++index)
            if (message->recipients[index].attempts && !message->recipients[index].held)
                message->recipients[index].next_attempt = 0;
        handlers_.found_later(*message);
    }
    return message;
}

QueuedMessage* Loader::view(uint64_t id, MailTable& table) const {
    Result<RecoveredMessage> found = spool_.recover(id);
    if (!found)
        return nullptr;
    Result<StoredMessage> message = decode_message(found->envelope);
    return message ? &restore(table, *found, *message, latest()).message : nullptr;
}

void Loader::hold(uint64_t id, const std::string& reason, bool lasting) {
    AttemptError error;
    error.enhanced = "4.3.0";
    error.diagnostic = "the message cannot be read: " + reason;
    Unread& unread = unread_[id];
    const uint32_t number = table_.errors.intern(error);
    table_.errors.release(unread.error);
    unread.error = number;
    unread.lasting = lasting;
}

void Loader::forget(uint64_t id) {
    auto found = unread_.find(id);
    if (found == unread_.end())
        return;
    table_.errors.release(found->second.error);
    unread_.erase(found);
}

void Loader::take(const RecoveredMessage& found, const StoredMessage& message, From from) {
    const auto [queued, reported] = restore(table_, found, message, latest());
    if (!queued.unfinished)
        recorder_.changed(queued);
    handlers_.found(queued, message, from);
    if (from != From::parked && message.cause)
        causes_.emplace(message.cause->message, *message.cause);
    if (from == From::start) {
        if (!reported)
            unreported_.push_back(queued.id);
        return handlers_.read(queued);
    }
    handlers_.found_later(queued);
    if (from == From::parked)
        return;
    if (message.cause)
        apply_cause(*message.cause);
    auto [first, last] = causes_.equal_range(found.id);
    for (auto cause = first; cause != last; ++cause)
        apply_cause(cause->second);
    if (!reported)
        handlers_.unreported(queued);
}

void Loader::apply_cause(const BounceCause& cause) {
    QueuedMessage* message = find(cause.message);
    if (!message)
        return;
    for (uint32_t index : cause.recipients)
        if (index < message->count)
            handlers_.reported(*message, index);
    for (const RecipientTold& one : cause.delayed)
        if (one.index < message->count) {
            note_told(message->recipients[one.index], one.told);
            recorder_.changed(*message);
        }
}

void Loader::finish_pass() {
    to_read_ = {};
    next_ = 0;
    if (!loaded_)
        finish_loading();
    if (failed_ == 0)
        return;
    const auto delay = retry_after(passes, ++passes_, 0);
    log::error("messages in the spool cannot be read at present, they are tried again",
               {{"messages", failed_}, {"seconds", delay.count()}, {"first", failure_}});
    failed_ = 0;
    next_attempt_ = executor_.wall_seconds() + delay.count();
    reading_.arm(executor_, executor_.now() + delay);
}

void Loader::finish_loading() {
    loaded_ = true;
    for (const auto& [id, cause] : causes_)
        apply_cause(cause);
    for (uint64_t id : std::exchange(unreported_, {}))
        if (QueuedMessage* message = table_.find(id))
            handlers_.unreported(*message);
    // What is still to be read may be the cause of one of these.
    std::erase_if(causes_, [this](const auto& cause) { return !unread_.contains(cause.first); });
    log::info("the spool is loaded", {{"messages", table_.messages() + parked_.messages()},
                                      {"recipients", table_.recipients() + parked_.recipients()},
                                      {"unreadable", unread_.size()}});
    handlers_.loaded();
}

} // namespace postern
