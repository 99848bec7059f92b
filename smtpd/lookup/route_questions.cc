#include "smtpd/lookup/route_questions.h"

#include <utility>

#include "common/base/log.h"
#include "smtpd/lookup/users.h"

namespace postern {

namespace {

constexpr size_t expanded_part = 64 * 1024; // bytes of one answer: a packet's worth
constexpr size_t paced_limit = 8u << 20;    // unread bytes; beyond it nothing more is worked out

const char* counter_name(ipc::RouteVerdict verdict) {
    switch (verdict) {
    case ipc::RouteVerdict::accepted:
        return "lookup.accepted";
    case ipc::RouteVerdict::refused:
        return "lookup.refused";
    case ipc::RouteVerdict::no_rule:
        return "lookup.no_rule";
    case ipc::RouteVerdict::no_mailbox:
        return "lookup.no_mailbox";
    case ipc::RouteVerdict::temporary:
        return "lookup.temporary";
    case ipc::RouteVerdict::expanded:
        return "lookup.expanded";
    }
    return "lookup.temporary";
}

ipc::RouteAnswer temporary_answer(const ipc::RouteQuery& query) {
    ipc::RouteAnswer answer;
    answer.request = query.request;
    return answer;
}

size_t size_of(const ipc::ExpandedRecipient& one) {
    return one.recipient.size() + one.owner.size() + 32 +
           (one.target ? one.target->text.size() + one.target->user.size() : 0);
}

} // namespace

std::unique_ptr<Paced> RouteQuestions::pace_of(Executor& executor,
                                               const Peer::OtherChannel& channel) {
    return std::make_unique<Paced>(executor, [&channel] { return channel.unsent() < paced_limit; });
}

void RouteQuestions::ask(Asker asker, ipc::RouteQuery query) {
    ++counters_["lookup.queries"];
    const auto question = pending_.begin<Question>(asker);
    question->query = std::move(query);
    evaluate_in_turn(question);
}

void RouteQuestions::evaluate_in_turn(const std::shared_ptr<Question>& question) {
    Peer* asker = peers_.find(question->asker);
    if (!asker)
        return; // nobody wants to know any more
    if (!asker->paced)
        return evaluate(question);
    if (asker->paced->waiting() >= ipc::routing_credit)
        return answer(*question, temporary_answer(question->query));
    asker->paced->add([this, question] { evaluate(question); });
}

// With what has become known.
void RouteQuestions::evaluate(const std::shared_ptr<Question>& question) {
    const bool of_listener = question->asker.place.first == ipc::Role::listener;
    const UserExists exists = [this](const std::string& name) { return user_exists(name); };
    Learned learned = Learned::now;
    while (learned == Learned::now) {
        std::vector<std::string> problems;
        ipc::RouteAnswer known =
            router_->route(question->query, exists, question->answers, &problems,
                           of_listener ? Wanted::somebody : Wanted::everybody);
        if (!question->answers.wanting()) {
            for (const std::string& problem : problems) // who asks at RCPT fills no log
                if (!of_listener)
                    log::warning("an alias cannot be used as it is",
                                 {{"to", question->query.recipient}, {"reason", problem}});
            return answer(*question, std::move(known));
        }
        learned = pending_.learn(question, [this, question] { evaluate_in_turn(question); });
    }
    if (learned == Learned::never)
        answer(*question, temporary_answer(question->query));
}

// Large lists name the same users again and again.
Result<bool> RouteQuestions::user_exists(const std::string& name) {
    if (users_at_ != executor_.now()) {
        users_at_ = executor_.now();
        users_.clear();
    }
    if (const auto known = users_.find(name); known != users_.end())
        return known->second;
    const Result<bool> exists = system_user_exists(name);
    if (exists)
        users_.emplace(name, *exists);
    else
        log::warning("user database", {{"reason", exists.error().message}});
    return exists;
}

void RouteQuestions::answer(const Question& question, ipc::RouteAnswer answer) {
    ++counters_[counter_name(answer.verdict)];
    if (question.asker.place.first != ipc::Role::listener)
        return answer_in_parts(question.asker, std::move(answer));
    answer.expanded.clear(); // they need not know who is in a recipient's place
    peers_.answer_listener(question.asker, std::move(answer));
}

void RouteQuestions::answer_in_parts(Asker asker, ipc::RouteAnswer answer) {
    std::vector<ipc::ExpandedRecipient> all = std::exchange(answer.expanded, {});
    for (size_t next = 0; next == 0 || next < all.size();) {
        if (!peers_.find(asker))
            return; // or it did not read the ones before
        ipc::RouteAnswer part = answer;
        size_t size = 0;
        for (; next < all.size() && size < expanded_part; ++next) {
            size += size_of(all[next]);
            part.expanded.push_back(std::move(all[next]));
        }
        part.more = next < all.size();
        peers_.answer_other(asker, std::move(part));
        if (all.empty())
            return;
    }
}

} // namespace postern
