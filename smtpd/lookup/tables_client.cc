#include "smtpd/lookup/tables_client.h"

#include <utility>

#include "common/base/log.h"

namespace postern {

void TablesClient::connect(FileDescriptor channel) {
    lose(ipc::peer_closed); // what was asked of a former one
    channel_ = std::make_unique<ipc::Channel<ipc::TablesToLookup, ipc::LookupToTables>>(
        loop_, std::move(channel),
        [this](ipc::TablesToLookup&& message) {
            std::visit(
                ipc::Overloaded{[this](ipc::TableAnswer& answer) { take(std::move(answer)); }},
                message);
        },
        [this](const std::string& reason) { lose(reason); });
    channel_->wipe_packets();
}

void TablesClient::ask(const TableKey& key, Done done) {
    ++counters_["lookup.tables.queries"];
    if (const auto known = cache_.find(key, loop_.now())) {
        ++counters_["lookup.tables.cached"];
        return done(*known);
    }
    if (const auto open = numbers_.find(key); open != numbers_.end()) {
        std::vector<Done>& waiting = requests_.at(open->second)->waiting;
        if (waiting.size() >= most_askers)
            return away(done);
        waiting.push_back(std::move(done));
        return;
    }
    if (!may_ask(key.table))
        return away(done);
    const uint32_t number = next_++;
    numbers_[key] = number;
    std::unique_ptr<Request>& request = requests_[number];
    request = std::make_unique<Request>(*this, key, number);
    request->waiting.push_back(std::move(done));
    request->arm(loop_, loop_.now() + patience);
    OfTable& of_table = of_tables_[key.table];
    of_table.unsent.push_back(number);
    send_next(key.table);
}

void TablesClient::away(const Done& done) {
    ++counters_["lookup.tables.away"];
    done({});
}

bool TablesClient::may_ask(const std::string& table) {
    if (!channel_)
        return false;
    const auto of_table = of_tables_.find(table);
    if (of_table == of_tables_.end())
        return true;
    drop_void(of_table->second);
    return of_table->second.unsent.size() < most_unsent;
}

// All have the same patience, so that those who have lost theirs are in front.
void TablesClient::drop_void(OfTable& of_table) {
    while (!of_table.unsent.empty() && !requests_.contains(of_table.unsent.front()))
        of_table.unsent.pop_front();
}

void TablesClient::send_next(const std::string& table) {
    const auto found = of_tables_.find(table);
    if (found == of_tables_.end())
        return;
    OfTable& of_table = found->second;
    for (drop_void(of_table);
         channel_ && !of_table.unsent.empty() && of_table.sent < ipc::tables_credit;
         drop_void(of_table)) {
        ++of_table.sent;
        send(*requests_.at(of_table.unsent.front()));
        of_table.unsent.pop_front();
    }
    if (of_table.sent == 0 && of_table.unsent.empty())
        of_tables_.erase(found);
}

void TablesClient::send(Request& request) {
    ipc::TableQuery query;
    query.request = request.number;
    query.table = request.key.table;
    query.service = request.key.service;
    query.key = request.key.key;
    request.sent = true;
    channel_->send(std::move(query));
}

// An answer that comes too late is for nobody.
void TablesClient::take(ipc::TableAnswer answer) {
    finish(answer.request, {answer.verdict, std::move(answer.value)});
}

void TablesClient::finish(uint32_t number, TableAnswers::Answer answer) {
    const auto found = requests_.find(number);
    if (found == requests_.end())
        return;
    const std::unique_ptr<Request> request = std::move(found->second);
    requests_.erase(found);
    if (request->generation == generation_) {
        numbers_.erase(request->key);
        cache_.add(request->key, answer, loop_.now());
        if (!sweep_.armed())
            sweep();
    }
    if (request->sent)
        --of_tables_.at(request->key.table).sent;
    send_next(request->key.table);
    if (answer.verdict == ipc::TableVerdict::away)
        counters_["lookup.tables.away"] += request->waiting.size();
    for (const Done& done : request->waiting)
        done(answer);
}

void TablesClient::forget() {
    ++generation_;
    numbers_.clear();
    cache_.clear();
}

void TablesClient::sweep() {
    cache_.expire(loop_.now());
    if (const auto next = cache_.next_expiry())
        sweep_.arm(loop_, *next);
}

void TablesClient::lose(const std::string& reason) {
    if (channel_)
        ipc::log_closed_channel("tables", reason);
    channel_.reset();
    std::vector<uint32_t> lost;
    for (const auto& [number, request] : requests_)
        lost.push_back(number);
    for (const uint32_t number : lost)
        finish(number, {});
}

} // namespace postern
