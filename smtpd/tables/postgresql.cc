// Tables in PostgreSQL. The key is the first parameter of a query, which is prepared each time:
// what is kept is of no use when a table of the data base changes, or behind a pooler of
// connections. libpq is used without blocking: its own calls that wait have no limit.
#include <libpq-fe.h>
#include <poll.h>

#include "smtpd/tables/backend.h"

namespace postern::tables {

namespace {

using SteadyClock = std::chrono::steady_clock;

struct Free {
    void operator()(PGconn* connection) const { PQfinish(connection); }
    void operator()(PGresult* result) const { PQclear(result); }
};
using Answer = std::unique_ptr<PGresult, Free>;

std::string trimmed(std::string text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == ' '))
        text.pop_back();
    return text;
}

class PostgreSql final : public Backend {
  public:
    explicit PostgreSql(const ExternalTable& table) : table_(table) {}

    Result<void> connect() override;
    bool connected() const override { return connection_ != nullptr; }
    Result<std::vector<Row>> find(TableService service, const std::string& key) override;

  private:
    bool wait(short events);
    Error lost(const char* what);
    // What was sent is flushed, and its one answer taken.
    Result<Answer> take_answer(int sent);

    ExternalTable table_;
    std::unique_ptr<PGconn, Free> connection_;
    SteadyClock::time_point deadline_;
};

bool PostgreSql::wait(short events) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - SteadyClock::now());
    pollfd socket{PQsocket(connection_.get()), events, 0};
    return left.count() > 0 && socket.fd >= 0 &&
           ::poll(&socket, 1, static_cast<int>(left.count())) > 0;
}

Error PostgreSql::lost(const char* what) {
    std::string message =
        connection_ ? trimmed(PQerrorMessage(connection_.get())) : "out of memory";
    if (SteadyClock::now() >= deadline_)
        message = "it takes too long";
    connection_.reset();
    return Error{std::string(what) + ": " + message};
}

Result<void> PostgreSql::connect() {
    deadline_ = SteadyClock::now() + connect_limit;
    const char* const keywords[] = {"dbname", "fallback_application_name", "client_encoding",
                                    nullptr};
    const char* const values[] = {table_.location.c_str(), "postern-tables", "UTF8", nullptr};
    connection_.reset(PQconnectStartParams(keywords, values, 1));
    if (!connection_ || PQstatus(connection_.get()) == CONNECTION_BAD)
        return lost("connect");
    for (PostgresPollingStatusType state = PGRES_POLLING_WRITING; state != PGRES_POLLING_OK;
         state = PQconnectPoll(connection_.get())) {
        if (state == PGRES_POLLING_FAILED ||
            !wait(state == PGRES_POLLING_READING ? POLLIN : POLLOUT))
            return lost("connect");
    }
    PQsetnonblocking(connection_.get(), 1);
    // Whatever it is that takes so long there, nobody waits for it any more.
    const std::string limit = "SET statement_timeout = " +
                              std::to_string(std::chrono::milliseconds(answer_limit).count());
    const Result<Answer> set = take_answer(PQsendQuery(connection_.get(), limit.c_str()));
    return set.ok() ? Result<void>() : Result<void>(set.error());
}

Result<Answer> PostgreSql::take_answer(int sent) {
    if (!sent)
        return lost("ask");
    int unsent;
    while ((unsent = PQflush(connection_.get())) == 1)
        if (!wait(POLLOUT))
            return lost("ask");
    if (unsent < 0)
        return lost("ask");
    Answer last;
    for (;;) {
        while (PQisBusy(connection_.get()))
            if (!wait(POLLIN) || !PQconsumeInput(connection_.get()))
                return lost("ask");
        PGresult* result = PQgetResult(connection_.get());
        if (!result)
            break;
        last.reset(result);
    }
    if (!last || PQstatus(connection_.get()) == CONNECTION_BAD)
        return lost("ask");
    const ExecStatusType status = PQresultStatus(last.get());
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
        return last;
    Error error{"the server says " + trimmed(PQresultErrorMessage(last.get()))};
    // 57P: it is being stopped, or has not started yet.
    const char* state = PQresultErrorField(last.get(), PG_DIAG_SQLSTATE);
    if (state && std::string_view(state).starts_with("57P"))
        connection_.reset();
    return error;
}

Result<std::vector<Row>> PostgreSql::find(TableService service, const std::string& key) {
    deadline_ = SteadyClock::now() + answer_limit;
    const auto query = table_.queries.find(service);
    if (query == table_.queries.end())
        return Error{"there is no query for this kind of key"};
    const char* const parameters[] = {key.c_str()};
    const Result<Answer> answer =
        take_answer(PQsendQueryParams(connection_.get(), query->second.text.c_str(), 1, nullptr,
                                      parameters, nullptr, nullptr, 0));
    if (!answer.ok())
        return answer.error();
    PGresult* result = answer.value().get();
    Rows rows;
    for (int i = 0; i < PQntuples(result); ++i) {
        Row row;
        bool has_value = false;
        for (int column = 0; column < PQnfields(result); ++column) {
            has_value = has_value || !PQgetisnull(result, i, column);
            row.emplace_back(PQgetvalue(result, i, column),
                             static_cast<size_t>(PQgetlength(result, i, column)));
        }
        // NULL alone, as max() has it of nothing: it is not there.
        if (has_value && !rows.add(std::move(row)))
            break;
    }
    return rows.take();
}

} // namespace

std::unique_ptr<Backend> make_postgresql(const ExternalTable& table) {
    return std::make_unique<PostgreSql>(table);
}

} // namespace postern::tables
