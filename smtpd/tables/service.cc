#include "smtpd/tables/service.h"

#include "common/base/log.h"

namespace postern::tables {

namespace {

constexpr std::chrono::seconds watch_interval{5};

const char* counter_name(ipc::TableVerdict verdict) {
    switch (verdict) {
    case ipc::TableVerdict::found:
        return "tables.found";
    case ipc::TableVerdict::not_found:
        return "tables.not_found";
    case ipc::TableVerdict::away:
        break;
    }
    return "tables.away";
}

} // namespace

Service::Service(EventLoop& loop, std::function<void()> stuck)
    : loop_(loop), stuck_(std::move(stuck)), operator_port_(loop, counters_) {
    arm(loop_, loop_.now() + watch_interval);
}

void Service::configure(const ipc::TablesSettings& settings) {
    std::map<std::string, Entry> entries;
    for (const auto& [name, table] : settings.tables) {
        Entry& entry = entries[name];
        if (const auto former = entries_.find(name);
            former != entries_.end() && former->second.table == table) {
            entry = std::move(former->second);
            continue;
        }
        entry.table = table;
        entry.workers = std::make_unique<Workers>(
            loop_, name, [name = name, table = table] { return make_backend(name, table); },
            [this](ipc::TableAnswer found) { answer(std::move(found)); });
    }
    std::set<std::string> gone;
    for (const auto& [name, entry] : entries_)
        if (entry.workers) // it is not kept
            gone.insert(name);
    entries_ = std::move(entries);
    answer_away(gone);
}

// The threads that were asked have nobody to tell any more.
void Service::answer_away(const std::set<std::string>& tables) {
    std::vector<uint32_t> numbers;
    for (const auto& [number, request] : requests_)
        if (tables.contains(request.table))
            numbers.push_back(number);
    for (const uint32_t number : numbers) {
        ipc::TableAnswer away;
        away.request = number;
        answer(std::move(away));
    }
}

void Service::connect(ipc::Connect connect) {
    if (connect.role == ipc::Role::control)
        return operator_port_.connect(std::move(connect.channel));
    if (connect.role != ipc::Role::lookup)
        return log::error("a peer that tables has no use for",
                          {{"peer", ipc::role_name(connect.role)}});
    requests_.clear(); // what was asked by another one
    for (const auto& [name, entry] : entries_)
        entry.workers->forget();
    lookup_ = std::make_unique<ipc::Channel<ipc::LookupToTables, ipc::TablesToLookup>>(
        loop_, std::move(connect.channel),
        [this](ipc::LookupToTables&& message) {
            std::visit(ipc::Overloaded{[this](ipc::TableQuery& query) { ask(std::move(query)); }},
                       message);
        },
        [this](const std::string& reason) {
            ipc::log_closed_channel("lookup", reason);
            lookup_.reset();
        });
    lookup_->wipe_packets();
}

void Service::ask(ipc::TableQuery query) {
    ++counters_["tables.queries"];
    const uint32_t number = next_++;
    requests_[number] = {std::exchange(query.request, number), query.table};
    const auto entry = entries_.find(query.table);
    if (entry != entries_.end())
        return entry->second.workers->ask(std::move(query));
    ipc::TableAnswer away; // a reload has reached lookup first, or us
    away.request = query.request;
    answer(std::move(away));
}

void Service::answer(ipc::TableAnswer answer) {
    ++counters_[counter_name(answer.verdict)];
    const auto request = requests_.find(answer.request);
    if (request == requests_.end())
        return; // of a lookup that has gone
    answer.request = request->second.number;
    requests_.erase(request);
    if (lookup_)
        lookup_->send(std::move(answer));
}

void Service::expired() {
    for (const auto& [name, entry] : entries_)
        if (entry.workers->longest_running() > patience) {
            log::error("a table does not let go of a question: this process is started anew",
                       {{"table", name}});
            return stuck_();
        }
    arm(loop_, loop_.now() + watch_interval);
}

} // namespace postern::tables
