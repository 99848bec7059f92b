// Asks lookup where recipients go: anew at every attempt, so that a changed configuration reaches
// mail that is queued already.
//
// Owner: the queue. It gives a job and gets it back exactly once: routed, or, when lookup died or
// changed its mind meanwhile, unrouted. A question that is not answered in time counts as answered
// "temporary".
#pragma once

#include <functional>
#include <list>
#include <unordered_map>
#include <vector>

#include "common/ipc/routing.h"
#include "common/loop/executor.h"
#include "queue/mail_table.h"
#include "queue/place.h"

namespace postern {

// Pure. `recipient` in wire form.
Place place_of(const ipc::Route& route, const std::string& recipient);

struct RoutedRecipient {
    uint32_t index = 0;
    ipc::RouteVerdict verdict = ipc::RouteVerdict::temporary;
    uint32_t route = 0; // accepted: in MailTable::routes, with a reference
    Place place;
    std::vector<ipc::ExpandedRecipient> expanded; // who is in its place
    std::string words;                            // refused, temporary: of a table, or none
};

class Router {
  public:
    using Ask = std::function<void(ipc::RouteQuery)>;
    struct Handlers {
        std::function<void(Job&, std::vector<RoutedRecipient>)> routed;
        std::function<void(Job&)> unrouted;
    };

    Router(Executor& executor, MailTable& table, Handlers handlers);

    void connect(Ask ask);
    void disconnect();
    bool connected() const { return static_cast<bool>(ask_); }

    // Questions that may be asked now.
    size_t room() const;
    // Asks for all recipients of the job; connected, and there is room for them.
    void route(Job& job);
    // Answers to what was asked up to now do not count: its jobs come back unrouted.
    void forget_answers() { ++generation_; }
    // False: no sane lookup says that.
    bool answer(ipc::RouteAnswer answer);

  private:
    struct Batch {
        Job* job = nullptr;
        std::vector<RoutedRecipient> recipients;
        std::vector<uint32_t> requests;
        size_t unanswered = 0;
        TimePoint deadline;
        uint64_t generation = 0;
        std::list<Batch>::iterator self;
    };
    struct Question {
        Batch* batch = nullptr;
        uint32_t slot = 0;
        std::string recipient;
    };
    struct Overdue final : Timer {
        explicit Overdue(Router& router) : router_(router) {}
        void expired() override { router_.give_up_overdue(); }
        Router& router_;
    };

    bool take_expanded(RoutedRecipient& recipient, ipc::RouteAnswer& answer);
    void forget_expanded(Batch& batch);
    void finish(Batch& batch);
    void give_back(Batch& batch);
    void give_up_overdue();

    Executor& executor_;
    MailTable& table_;
    Handlers handlers_;
    Ask ask_;
    uint32_t next_request_ = 1;
    uint64_t generation_ = 0;
    std::unordered_map<uint32_t, Question> questions_;
    std::list<Batch> batches_; // in order of deadline
    size_t expanded_ = 0;      // recipients in others' place that batches have
    Overdue overdue_{*this};
};

} // namespace postern
