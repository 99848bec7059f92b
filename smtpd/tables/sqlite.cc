// Tables in SQLite files, opened for reading only. The key is the first parameter of a prepared
// statement.
#include <map>
#include <sqlite3.h>
#include <sys/stat.h>

#include "smtpd/tables/backend.h"

namespace postern::tables {

namespace {

struct Close {
    void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, Close>;

// Instructions of its virtual machine between two looks at the clock.
constexpr int instructions_at_once = 10'000;

class Sqlite final : public Backend {
  public:
    explicit Sqlite(const ExternalTable& table) : table_(table) {}

    Result<void> connect() override;
    bool connected() const override { return database_ && is_same_file(); }
    Result<std::vector<Row>> find(TableService service, const std::string& key) override;

  private:
    bool is_same_file() const;
    bool has_time() const { return std::chrono::steady_clock::now() < deadline_; }
    Error failure(const char* what);
    Result<sqlite3_stmt*> statement(TableService service);
    Result<std::vector<Row>> rows_of(sqlite3_stmt* statement);

    ExternalTable table_;
    std::unique_ptr<sqlite3, Close> database_;
    std::map<TableService, Statement> statements_; // closed before the database
    struct stat file_ {};
    std::chrono::steady_clock::time_point deadline_;
};

Result<void> Sqlite::connect() {
    statements_.clear();
    database_.reset();
    // Before it is opened: of a file that comes in its place meanwhile is_same_file() is false.
    if (::stat(table_.location.c_str(), &file_) != 0)
        return system_error("open " + table_.location);
    sqlite3* database = nullptr;
    const int code = sqlite3_open_v2(table_.location.c_str(), &database,
                                     SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, nullptr);
    database_.reset(database);
    if (code != SQLITE_OK) {
        Error error = failure("open");
        database_.reset();
        return error;
    }
    sqlite3_busy_timeout(database,
                         static_cast<int>(std::chrono::milliseconds(answer_limit).count() / 2));
    sqlite3_progress_handler(
        database, instructions_at_once,
        [](void* self) { return static_cast<Sqlite*>(self)->has_time() ? 0 : 1; }, this);
    sqlite3_limit(database, SQLITE_LIMIT_LENGTH, 1 << 20);
    return {};
}

// A file that was put in the place of another.
bool Sqlite::is_same_file() const {
    struct stat now;
    return ::stat(table_.location.c_str(), &now) == 0 && now.st_dev == file_.st_dev &&
           now.st_ino == file_.st_ino;
}

Error Sqlite::failure(const char* what) {
    const char* message = database_ ? sqlite3_errmsg(database_.get()) : "out of memory";
    return Error{std::string(what) + " " + table_.location + ": " + message};
}

Result<sqlite3_stmt*> Sqlite::statement(TableService service) {
    Statement& statement = statements_[service];
    const auto query = table_.queries.find(service);
    if (query == table_.queries.end())
        return Error{"there is no query for this kind of key"};
    if (!statement) {
        sqlite3_stmt* prepared = nullptr;
        if (sqlite3_prepare_v3(database_.get(), query->second.text.c_str(), -1,
                               SQLITE_PREPARE_PERSISTENT, &prepared, nullptr) != SQLITE_OK)
            return failure("prepare a query for");
        statement.reset(prepared);
    }
    if (!statement || sqlite3_bind_parameter_count(statement.get()) != 1)
        return Error{"the query has to have one parameter, ? or ?1"};
    return statement.get();
}

Result<std::vector<Row>> Sqlite::rows_of(sqlite3_stmt* statement) {
    Rows rows;
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        Row row;
        bool has_value = false;
        for (int i = 0; i < sqlite3_column_count(statement); ++i) {
            const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, i));
            has_value = has_value || text;
            row.emplace_back(text ? text : "",
                             text ? static_cast<size_t>(sqlite3_column_bytes(statement, i)) : 0);
        }
        // NULL alone, as max() has it of nothing: it is not there.
        if (has_value && !rows.add(std::move(row)))
            return rows.take();
    }
    if (code != SQLITE_DONE)
        return failure("ask");
    return rows.take();
}

Result<std::vector<Row>> Sqlite::find(TableService service, const std::string& key) {
    deadline_ = std::chrono::steady_clock::now() + answer_limit;
    if (!is_same_file()) {
        database_.reset();
        statements_.clear();
        return Error{table_.location + " has gone or was replaced"};
    }
    const Result<sqlite3_stmt*> prepared = statement(service);
    if (!prepared)
        return prepared.error();
    if (sqlite3_bind_text(*prepared, 1, key.data(), static_cast<int>(key.size()),
                          SQLITE_TRANSIENT) != SQLITE_OK)
        return failure("bind the key for");
    Result<std::vector<Row>> rows = rows_of(*prepared);
    sqlite3_reset(*prepared); // it holds a lock until then
    sqlite3_clear_bindings(*prepared);
    return rows;
}

} // namespace

std::unique_ptr<Backend> make_sqlite(const ExternalTable& table) {
    return std::make_unique<Sqlite>(table);
}

} // namespace postern::tables
