// One connection to whatever holds a table, for one thread: every call may block, but no longer
// than its limit. Each kind of table has a file of its own.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/config/external_table.h"

namespace postern::tables {

// Of a connection, and of a question over it.
inline constexpr std::chrono::seconds connect_limit{5};
inline constexpr std::chrono::seconds answer_limit{5};

using Row = std::vector<std::string>;

// The rows that are found for a key. More than a value could be made of is an error, and not the
// first ones of them: half of a list is a wrong answer.
class Rows {
  public:
    static constexpr size_t most_rows = 1000;
    static constexpr size_t most_bytes = 256 * 1024;

    // False: there are too many.
    bool add(Row row);
    Result<std::vector<Row>> take();

  private:
    std::vector<Row> rows_;
    size_t bytes_ = 0;
    bool too_many_ = false;
};

class Backend {
  public:
    virtual ~Backend() = default;

    // Connects anew, whatever there was before.
    virtual Result<void> connect() = 0;
    virtual bool connected() const = 0;
    // The rows that there are for a key; none: it is not in the table. After an error without
    // connected() the connection is lost, else the question itself is at fault.
    virtual Result<std::vector<Row>> find(TableService service, const std::string& key) = 0;
};

// What an answer says (common/ipc/tables.h): the value that rows have for a service, of at most
// table_value_limit bytes. There is at least one row.
Result<std::string> value_of(TableService service, const std::string& key,
                             const std::vector<Row>& rows);

// Null: this build has none for this kind of table, which the configuration does not have either.
std::unique_ptr<Backend> make_backend(const std::string& name, const ExternalTable& table);

std::unique_ptr<Backend> make_cdb(const ExternalTable& table);
std::unique_ptr<Backend> make_sqlite(const ExternalTable& table);
std::unique_ptr<Backend> make_postgresql(const ExternalTable& table);
std::unique_ptr<Backend> make_redis(const ExternalTable& table);
std::unique_ptr<Backend> make_ldap(const std::string& name, const ExternalTable& table);
std::unique_ptr<Backend> make_socketmap(const ExternalTable& table);

} // namespace postern::tables
