#include "smtpd/tables/backend.h"

#include "common/ipc/tables.h"
#include "common/smtp/text.h"
#include "table_features.h"

namespace postern::tables {

namespace {

std::string join(const Row& parts, std::string_view separator) {
    std::string text;
    for (const std::string& part : parts) {
        if (!text.empty())
            text += separator;
        text += part;
    }
    return text;
}

// Tables without columns may have "user:hash" for a user, as in OpenSMTPD.
std::string without_user(std::string value, const std::string& user) {
    if (value.size() > user.size() && value[user.size()] == ':' &&
        equal_ignoring_case(std::string_view(value).substr(0, user.size()), user))
        value.erase(0, user.size() + 1);
    return value;
}

} // namespace

bool Rows::add(Row row) {
    for (const std::string& column : row)
        bytes_ += column.size();
    too_many_ = too_many_ || rows_.size() == most_rows || bytes_ > most_bytes;
    if (!too_many_)
        rows_.push_back(std::move(row));
    return !too_many_;
}

Result<std::vector<Row>> Rows::take() {
    if (too_many_)
        return Error{"a key has more than " + std::to_string(most_rows) + " rows, or " +
                     std::to_string(most_bytes) + " bytes"};
    return std::move(rows_);
}

Result<std::string> value_of(TableService service, const std::string& key,
                             const std::vector<Row>& rows) {
    std::string value;
    const Row& first = rows.front();
    switch (service) {
    case TableService::alias:
    case TableService::mailaddrmap: {
        Row targets;
        for (const Row& row : rows)
            targets.insert(targets.end(), row.begin(), row.begin() + (row.empty() ? 0 : 1));
        value = join(targets, ", ");
        break;
    }
    case TableService::credentials: // the hash is the last of two columns
        value = first.empty() ? "" : without_user(first.back(), key);
        break;
    case TableService::userinfo:
        value = join(first, ":");
        break;
    default:
        value = first.empty() ? "" : first.front();
    }
    if (value.size() > ipc::table_value_limit)
        return Error{"a value is longer than " + std::to_string(ipc::table_value_limit) + " bytes"};
    return value;
}

std::unique_ptr<Backend> make_backend([[maybe_unused]] const std::string& name,
                                      const ExternalTable& table) {
    switch (table.backend) {
    case TableBackend::db:
#if POSTERN_WITH_CDB
        return make_cdb(table);
#else
        break;
#endif
    case TableBackend::sqlite:
#if POSTERN_WITH_SQLITE
        return make_sqlite(table);
#else
        break;
#endif
    case TableBackend::postgresql:
#if POSTERN_WITH_POSTGRESQL
        return make_postgresql(table);
#else
        break;
#endif
    case TableBackend::redis:
#if POSTERN_WITH_REDIS
        return make_redis(table);
#else
        break;
#endif
    case TableBackend::ldap:
#if POSTERN_WITH_LDAP
        return make_ldap(name, table);
#else
        break;
#endif
    case TableBackend::socketmap:
        return make_socketmap(table);
    }
    return nullptr;
}

} // namespace postern::tables
