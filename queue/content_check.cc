#include "queue/content_check.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "common/base/crc32c.h"
#include "common/ipc/submission.h"

namespace postern {

ContentCheck::ContentCheck(Executor& executor, Spool& spool, Done done)
    : executor_(executor), spool_(spool), done_(std::move(done)) {}

bool ContentCheck::needed(const QueuedMessage& message) {
    return message.size > ipc::inline_content_limit && !message.checked;
}

void ContentCheck::check(Job& job) {
    for (Check& check : open_)
        if (check.jobs.front()->message == job.message)
            return check.jobs.push_back(&job);
    open_.push_back({{&job}, 0, 0, false});
    go_on();
}

void ContentCheck::go_on() {
    if (!open_.empty())
        executor_.schedule(turn_);
}

void ContentCheck::give_back() {
    for (const Check& check : std::exchange(open_, {}))
        for (Job* job : check.jobs)
            done_(*job, {});
    turn_.cancel();
}

void ContentCheck::read_piece() {
    Check check = std::move(open_.front());
    open_.pop_front();
    Result<bool> complete = advance(check);
    if (complete && !*complete) {
        open_.push_back(std::move(check));
        return go_on();
    }
    if (!complete && complete.error().code == EBADMSG && !check.again) {
        open_.push_back({std::move(check.jobs), 0, 0, true});
        return go_on();
    }
    check.jobs.front()->message->checked = complete.ok();
    for (Job* job : check.jobs)
        done_(*job, complete ? Result<void>() : Result<void>(complete.error()));
    go_on();
}

Result<bool> ContentCheck::advance(Check& check) {
    const QueuedMessage& message = *check.jobs.front()->message;
    Result<std::string> piece =
        spool_.read_content(message.id, check.position, ipc::inline_content_limit);
    if (!piece)
        return piece.error();
    check.checksum = crc32c(*piece, check.checksum);
    check.position += piece->size();
    if (check.position < message.size && !piece->empty())
        return false;
    Result<Content> content = spool_.open_content(message.id);
    if (!content)
        return content.error();
    if (check.position != content->length || check.checksum != content->crc32c)
        return Error{"the content is not what was received", EBADMSG};
    return true;
}

} // namespace postern
