// What a recipient is, and how it is delivered: the questions of common/ipc/routing.h, by the rules
// as they are when they are answered.
//
// What the queue asks is worked out as fast as it reads the answers, and answered in as many parts
// as those take who are in the recipient's place. Bounds: routing_credit questions of it wait for
// their turn, and those of pending_questions.h.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "common/process/operator_port.h"
#include "smtpd/lookup/pending_questions.h"
#include "smtpd/lookup/route.h"

namespace postern {

class RouteQuestions {
  public:
    RouteQuestions(Executor& executor, Counters& counters, Peers& peers, PendingQuestions& pending)
        : executor_(executor), counters_(counters), peers_(peers), pending_(pending) {}
    RouteQuestions(const RouteQuestions&) = delete;

    // The rules from now on, of questions under way as well. Before them nobody asks.
    void use(Router router) { router_.emplace(std::move(router)); }
    // Of a peer that is there.
    void ask(Asker asker, ipc::RouteQuery query);

    // The pace of answers over this channel.
    static std::unique_ptr<Paced> pace_of(Executor& executor, const Peer::OtherChannel& channel);

  private:
    struct Question : PendingQuestion {
        ipc::RouteQuery query;
    };
    void evaluate_in_turn(const std::shared_ptr<Question>& question);
    void evaluate(const std::shared_ptr<Question>& question);
    Result<bool> user_exists(const std::string& name);
    void answer(const Question& question, ipc::RouteAnswer answer);
    void answer_in_parts(Asker asker, ipc::RouteAnswer answer);

    Executor& executor_;
    Counters& counters_;
    Peers& peers_;
    PendingQuestions& pending_;
    std::optional<Router> router_;
    std::unordered_map<std::string, bool> users_; // who was found, or not, in this turn of the loop
    TimePoint users_at_{};
};

} // namespace postern
