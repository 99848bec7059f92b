// Questions that may have to wait for what external tables have, several times: what is to be asked
// next may depend on it. Each is evaluated over the answers that it has, until it wants no more:
//
//     void Owner::evaluate(const std::shared_ptr<Kind>& question) {
//         … work it out over question->answers …
//         if (question->answers.wanting()) {
//             const Learned learned = pending.learn(question, [=] { evaluate(question); });
//             … now: evaluate(question); never: answer "temporary"; return …
//
// Bounds: routing_credit questions of one peer wait, each for question_limit.
#pragma once

#include <functional>
#include <memory>

#include "common/base/shares.h"
#include "common/loop/executor.h"
#include "smtpd/lookup/peers.h"
#include "smtpd/lookup/tables_client.h"

namespace postern {

struct PendingQuestion {
    Asker asker;
    TimePoint until;                   // then it is answered "temporary"
    std::shared_ptr<const void> place; // among those of its asker that wait
    TableAnswers answers;
};

// now: what was wanted has been learned; later: then it calls back; never: the question has waited
// for too long, or its asker has too many that wait.
enum class Learned : uint8_t { now, later, never };

class PendingQuestions {
  public:
    // With the patience of the last question it is less than that of a listener, 60 s.
    static constexpr Duration question_limit = std::chrono::seconds(45);
    // Of the members of a large list some are asked for at once, so that others are answered in
    // between: keys of aliases of one question.
    static constexpr size_t members_at_once = 512;

    PendingQuestions(Executor& executor, TablesClient& tables)
        : executor_(executor), tables_(tables) {}

    // A new one, which waits for nothing yet. `Kind` is a PendingQuestion.
    template <class Kind> std::shared_ptr<Kind> begin(Asker asker) const {
        auto question = std::make_shared<Kind>();
        question->asker = asker;
        question->until = executor_.now() + question_limit;
        return question;
    }
    // Asks for what its answers are wanting. `then` is called for `later` alone.
    Learned learn(const std::shared_ptr<PendingQuestion>& question, std::function<void()> then);

  private:
    Executor& executor_;
    TablesClient& tables_;
    Shares<uint64_t> waiting_of_peers_{ipc::routing_credit}; // by life
};

} // namespace postern
