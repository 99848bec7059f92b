#include "queue/loader.h"

#include <algorithm>

#include "common/base/log.h"
#include "common/mail/message_id.h"
#include "queue/backoff.h"

namespace postern {

namespace {

constexpr size_t read_per_turn = 500;
constexpr Backoff passes{std::chrono::seconds(60), std::chrono::seconds(3600)};

} // namespace

Loader::Loader(Executor& executor, Spool& spool, MailTable& table, Recorder& recorder,
               Handlers handlers)
    : executor_(executor), spool_(spool), table_(table), recorder_(recorder),
      handlers_(std::move(handlers)) {}

void Loader::start() {
    to_read_ = spool_.take_found();
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
    for (size_t i = 0; i < read_per_turn && next_ < to_read_.size(); ++i)
        read(to_read_[next_++]);
    if (next_ == to_read_.size())
        return finish_pass();
    // A nanosecond later is the next turn of the loop: what else is ready comes first.
    reading_.arm(executor_, executor_.now() + Duration(1));
}

void Loader::read(uint64_t id) {
    if (loaded_ && !unread_.contains(id))
        return; // removed by an operator
    Result<RecoveredMessage> found = spool_.recover(id);
    if (!found && found.error().code == ENOENT)
        return forget(id);
    if (!found) {
        if (failed_++ == 0)
            failure_ = found.error().message;
        return hold(id, found.error().message, false);
    }
    Result<StoredMessage> message = decode_message(found->envelope);
    if (message) {
        forget(id);
        return take(std::move(*found), *message);
    }
    // It stays in the spool, for a version that understands it.
    log::error("a message in the spool cannot be read",
               {{"message", to_string(MessageId{id})}, {"reason", message.error().message}});
    hold(id, message.error().message, true);
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

void Loader::take(RecoveredMessage&& found, const StoredMessage& message) {
    QueuedMessage& queued = table_.add(found.id, found.envelope, message, found.content_length);
    const bool reported = !found.has_progress || take_progress(queued, found.progress);
    handlers_.found(queued, message);
    if (message.cause)
        causes_.emplace(message.cause->message, *message.cause);
    if (!loaded_) {
        if (!reported)
            unreported_.push_back(queued.id);
        return;
    }
    handlers_.found_later(queued);
    if (message.cause)
        apply_cause(*message.cause);
    auto [first, last] = causes_.equal_range(found.id);
    for (auto cause = first; cause != last; ++cause)
        apply_cause(cause->second);
    if (!reported)
        handlers_.unreported(queued);
}

bool Loader::take_progress(QueuedMessage& queued, const std::string& bytes) {
    Result<StoredProgress> progress = decode_progress(bytes, queued.count);
    if (!progress) {
        log::error(
            "what happened to a message is unreadable: it is sent to all its recipients",
            {{"message", to_string(MessageId{queued.id})}, {"reason", progress.error().message}});
        return true;
    }
    bool reported = true;
    for (const RecipientProgress& one : progress->recipients) {
        QueuedRecipient& recipient = queued.recipients[one.index];
        recipient.attempts = static_cast<uint16_t>(std::min<uint32_t>(one.attempts, UINT16_MAX));
        if (one.attempts) // else it waits for its release, if for anything
            recipient.next_attempt = to_seconds(std::min<WallTime>(
                one.next_attempt, executor_.wall_seconds() + longest_wait_.count()));
        recipient.told = one.told & told::all;
        if (one.handover) {
            table_.set_stage(recipient, Stage::reporting);
            reported = false;
            recipient.delivered = true;
            recipient.relayed = *one.handover == ipc::Handover::relayed;
        }
        if (one.error)
            table_.set_error(recipient, progress->errors[one.error - 1]);
    }
    for (uint32_t index = 0; index < queued.count; ++index)
        if (progress->is_finished(index))
            table_.finish(queued, index);
    if (!queued.unfinished)
        recorder_.changed(queued);
    return reported;
}

void Loader::apply_cause(const BounceCause& cause) {
    QueuedMessage* message = table_.find(cause.message);
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
    log::info("the spool is loaded", {{"messages", table_.messages()},
                                      {"recipients", table_.recipients()},
                                      {"unreadable", unread_.size()}});
    handlers_.loaded();
}

} // namespace postern
