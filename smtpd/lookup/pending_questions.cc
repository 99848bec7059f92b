#include "smtpd/lookup/pending_questions.h"

#include <utility>

namespace postern {

Learned PendingQuestions::learn(const std::shared_ptr<PendingQuestion>& question,
                                std::function<void()> then) {
    std::vector<TableKey> wanted = question->answers.take_wanted();
    size_t members = 0;
    std::erase_if(wanted, [&](const TableKey& key) { // the next evaluation wants the rest
        return key.service == TableService::alias && ++members > members_at_once;
    });
    if (!question->place)
        question->place = waiting_of_peers_.take(question->asker.life);
    if (!question->place || executor_.now() >= question->until)
        return Learned::never;
    // One more: some may be known at once, and not before all are asked for it goes on.
    const auto missing = std::make_shared<size_t>(wanted.size() + 1);
    const auto learned = [missing, then = std::move(then)] {
        if (--*missing == 0)
            then();
    };
    for (const TableKey& key : wanted)
        tables_.ask(key, [question, key, learned](const TableAnswers::Answer& known) {
            question->answers.learn(key, known);
            learned();
        });
    return --*missing == 0 ? Learned::now : Learned::later;
}

} // namespace postern
