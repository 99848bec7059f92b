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
        requests_.at(open->second)->waiting.push_back(std::move(done));
        return;
    }
    uint32_t& of_table = of_tables_[key.table];
    if (!channel_ || of_table >= ipc::tables_credit) {
        ++counters_["lookup.tables.away"];
        return done({});
    }
    const uint32_t number = next_++;
    ++of_table;
    numbers_[key] = number;
    std::unique_ptr<Request>& request = requests_[number];
    request = std::make_unique<Request>(*this, key, number);
    request->waiting.push_back(std::move(done));
    request->arm(loop_, loop_.now() + patience);
    ipc::TableQuery query;
    query.request = number;
    query.table = key.table;
    query.service = key.service;
    query.key = key.key;
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
    numbers_.erase(request->key);
    --of_tables_[request->key.table];
    cache_.add(request->key, answer, loop_.now());
    if (answer.verdict == ipc::TableVerdict::away)
        counters_["lookup.tables.away"] += request->waiting.size();
    for (const Done& done : request->waiting)
        done(answer);
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
