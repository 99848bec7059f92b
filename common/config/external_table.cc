// `table NAME sqlite:/path` and the like: tables whose content is elsewhere, and the files that say
// where. These have the keys of OpenSMTPD's table-sqlite(5), table-postgres(5), table-redis(5) and
// table-ldap(5).
#include "common/config/external_table.h"

#include <algorithm>

#include "common/config/grammar.h"
#include "common/config/table_file.h"
#include "common/config/table_query.h"
#include "common/smtp/text.h"
#include "table_features.h"

namespace postern {

namespace {

constexpr std::pair<TableService, const char*> services[] = {
    {TableService::alias, "alias"},
    {TableService::domain, "domain"},
    {TableService::credentials, "credentials"},
    {TableService::netaddr, "netaddr"},
    {TableService::userinfo, "userinfo"},
    {TableService::source, "source"},
    {TableService::mailaddr, "mailaddr"},
    {TableService::addrname, "addrname"},
    {TableService::mailaddrmap, "mailaddrmap"},
    {TableService::string, "string"}};

} // namespace

const char* service_name(TableService service) {
    return std::find_if(std::begin(services), std::end(services),
                        [&](const auto& entry) { return entry.first == service; })
        ->second;
}

namespace config {

namespace {

constexpr std::string_view default_redis_host = "127.0.0.1";
constexpr uint16_t default_redis_port = 6379;
constexpr uint32_t most_redis_database = 1'000'000;
constexpr size_t most_attributes = 8;

struct Type {
    std::string_view prefix;
    TableBackend backend;
    bool built;
};
constexpr Type types[] = {
    {"db", TableBackend::db, POSTERN_WITH_CDB},
    {"sqlite", TableBackend::sqlite, POSTERN_WITH_SQLITE},
    {"postgres", TableBackend::postgresql, POSTERN_WITH_POSTGRESQL},
    {"postgresql", TableBackend::postgresql, POSTERN_WITH_POSTGRESQL},
    {"redis", TableBackend::redis, POSTERN_WITH_REDIS},
    {"valkey", TableBackend::redis, POSTERN_WITH_REDIS},
    {"ldap", TableBackend::ldap, POSTERN_WITH_LDAP},
    {"socketmap", TableBackend::socketmap, true},
};

std::optional<TableService> service_of(std::string_view name) {
    for (const auto& [service, known] : services)
        if (name == known)
            return service;
    return std::nullopt;
}

// "a, b" of *_attributes. Nothing if one is not a name (RFC 4512 2.5).
std::optional<std::vector<std::string>> parse_attributes(std::string_view text) {
    std::vector<std::string> attributes;
    bool good = true;
    for_each_item(text, [&](std::string_view item) {
        good =
            good && !item.empty() && std::all_of(item.begin(), item.end(), [](char c) {
                return is_ascii_letter(c) || is_ascii_digit(c) || c == '-' || c == ';' || c == '.';
            });
        attributes.emplace_back(item);
    });
    return good && attributes.size() <= most_attributes ? std::optional(std::move(attributes))
                                                        : std::nullopt;
}

// Every '%' of a filter is one of %u, %s, %h and %%.
bool is_filter(std::string_view text) {
    for (size_t at = text.find('%'); at != text.npos; at = text.find('%', at + 2))
        if (at + 1 == text.size() || std::string_view("ush%").find(text[at + 1]) == text.npos)
            return false;
    return text.starts_with('(') && text.ends_with(')');
}

std::optional<bool> parse_yes(std::string_view text) {
    if (text == "yes" || text == "no")
        return text == "yes";
    return std::nullopt;
}

// Reads one line into a table; returns what was expected, if it is something else.
class Settings {
  public:
    explicit Settings(ExternalTable& table) : table_(table) {}

    std::optional<std::string> read(const std::string& key, const std::string& value) {
        if (key == "scram")
            return take(parse_yes(value), table_.scram, "yes or no");
        switch (table_.backend) {
        case TableBackend::sqlite:
            return key == "dbpath" ? read_path(value) : read_query(key, value);
        case TableBackend::postgresql:
            return key == "conninfo" ? read_text(value, table_.location) : read_query(key, value);
        case TableBackend::redis:
            return read_redis(key, value);
        case TableBackend::ldap:
            return read_ldap(key, value);
        case TableBackend::db:
        case TableBackend::socketmap:
            break;
        }
        return std::nullopt;
    }

    // What is still missing; empty: nothing.
    std::string missing() const {
        if (table_.location.empty())
            return table_.backend == TableBackend::sqlite       ? "dbpath"
                   : table_.backend == TableBackend::postgresql ? "conninfo"
                                                                : "url";
        if (table_.queries.empty())
            return table_.backend == TableBackend::ldap ? "filter, such as domain_filter"
                                                        : "query, such as query_domain";
        // With a name alone a directory takes us for anybody, and does not say so (RFC 4513 5.1.2).
        if (table_.backend == TableBackend::ldap && table_.user.empty() != table_.password.empty())
            return table_.user.empty() ? "username for its password" : "password for its username";
        for (const auto& [service, query] : table_.queries) {
            if (query.text.empty())
                return std::string(service_name(service)) + "_filter";
            if (table_.backend == TableBackend::ldap && query.attributes.empty())
                return std::string(service_name(service)) + "_attributes";
        }
        return {};
    }

  private:
    using Expected = std::optional<std::string>;

    template <class T> Expected take(std::optional<T> value, T& place, const char* expected) {
        if (!value)
            return expected;
        place = *std::move(value);
        return std::nullopt;
    }
    Expected read_text(const std::string& value, std::string& place) {
        place = value;
        return std::nullopt;
    }
    Expected read_path(const std::string& value) {
        if (!is_absolute_path(value))
            return "an absolute path";
        table_.location = value;
        return std::nullopt;
    }
    Expected read_query(const std::string& key, const std::string& value) {
        const auto service =
            key.starts_with("query_") ? service_of(std::string_view(key).substr(6)) : std::nullopt;
        if (!service)
            return "one of the keys of this kind of table";
        if (!takes_key(table_.backend, value))
            return std::string("a query in which ") + place_of_key() + " is the key";
        table_.queries[*service].text = value;
        return std::nullopt;
    }
    const char* place_of_key() const {
        return table_.backend == TableBackend::sqlite       ? "one ?"
               : table_.backend == TableBackend::postgresql ? "$1, and no other parameter,"
                                                            : "%s";
    }
    Expected read_redis(const std::string& key, const std::string& value);
    Expected read_ldap(const std::string& key, const std::string& value);

    ExternalTable& table_;
};

Settings::Expected Settings::read_redis(const std::string& key, const std::string& value) {
    if (key == "master") {
        const bool is_socket = value.starts_with("unix:");
        if (is_socket ? !is_socket_path(value.substr(5))
                      : !parse_address(value) && !parse_host_name(value))
            return "a host name, an address, or \"unix:\" and the path of a socket";
        table_.location = value;
        return std::nullopt;
    }
    if (key == "master_port")
        return take(parse_port(value), table_.port, "a port");
    if (key == "database") {
        const auto number = parse_number(value);
        if (!number || *number > most_redis_database)
            return "the number of a database";
        table_.database = static_cast<uint32_t>(*number);
        return std::nullopt;
    }
    if (key == "password")
        return read_text(value, table_.password);
    return read_query(key, value);
}

Settings::Expected Settings::read_ldap(const std::string& key, const std::string& value) {
    if (key == "url") {
        if (!value.starts_with("ldap://") && !value.starts_with("ldaps://") &&
            !value.starts_with("ldapi://"))
            return "ldap://, ldaps:// or ldapi:// and where the server is";
        return read_text(value, table_.location);
    }
    if (key == "username")
        return read_text(value, table_.user);
    if (key == "password")
        return read_text(value, table_.password);
    if (key == "basedn")
        return read_text(value, table_.base);
    const size_t underscore = key.rfind('_');
    const auto service = service_of(std::string_view(key).substr(0, underscore));
    if (underscore != key.npos && service && key.substr(underscore) == "_filter") {
        if (!is_filter(value) || !takes_key(table_.backend, value))
            return "a filter in parentheses, in which %u or %s is the key, %h the name of the "
                   "table, and %% a \"%\"";
        return read_text(value, table_.queries[*service].text);
    }
    if (underscore != key.npos && service && key.substr(underscore) == "_attributes")
        return take(parse_attributes(value), table_.queries[*service].attributes,
                    "names of attributes, set apart by commas");
    return "one of the keys of this kind of table";
}

void read_settings(Grammar& g, const Token& name, ExternalTable& table) {
    const auto text = g.read_file(table.file);
    if (!text.ok())
        return g.in.fail(name.position,
                         "cannot read the file of the table: " + sanitize(text.error().message));
    Position at = name.position;
    at.file = g.lexer.register_file(table.file);
    if (table.backend == TableBackend::redis) {
        table.location = default_redis_host;
        table.port = default_redis_port;
    }
    Settings settings(table);
    std::map<std::string, uint32_t> seen;
    bool good = true;
    const auto report = [&](const std::string& why) {
        g.in.report(at, why);
        good = false;
    };
    const TableText lines = parse_table_text(*text);
    for (const TableLine& line : lines.lines) {
        at.line = line.line;
        at.column = line.column;
        const auto [first, is_new] = seen.emplace(line.key, line.line);
        if (!line.error.empty())
            report(line.error);
        else if (!lines.is_mapping)
            report("expected a key and its value");
        else if (!is_new)
            report(quoted(line.key) + " is given already in line " + std::to_string(first->second));
        // A value is not repeated: it may be a password.
        else if (const auto expected = settings.read(line.key, line.value))
            report("at " + quoted(line.key) + ", expected " + *expected);
    }
    if (const std::string missing = settings.missing(); good && !missing.empty())
        g.in.report(name.position, "the file of the table has no " + missing);
}

// "unix:/path:name", "inet:host:port:name"; the name may be missing.
bool read_socketmap(std::string_view place, const std::string& table_name, ExternalTable& table) {
    table.map = table_name;
    const bool is_socket = place.starts_with("unix:");
    if (!is_socket && !place.starts_with("inet:"))
        return false;
    place.remove_prefix(5);
    size_t bracket = place.starts_with('[') ? place.find(']') : 0;
    if (bracket == place.npos)
        return false;
    size_t end = place.find(':', bracket);
    const std::string_view host = place.substr(0, end);
    if (!is_socket) {
        if (end == place.npos)
            return false;
        const size_t behind = place.find(':', end + 1);
        const auto port =
            parse_port(place.substr(end + 1, behind == place.npos ? place.npos : behind - end - 1));
        if (!port || (!parse_address(host) && !parse_host_name(host)))
            return false;
        table.port = *port;
        end = behind;
    }
    if (end != place.npos)
        table.map = place.substr(end + 1);
    const auto address = parse_address(host);
    table.location = is_socket ? "unix:" + std::string(host)
                     : address ? address->to_string()
                               : std::string(host);
    return !table.map.empty() && table.map.find(' ') == std::string::npos &&
           (!is_socket || is_socket_path(host));
}

} // namespace

std::optional<ExternalTable> read_external_table(Grammar& g, const Token& name,
                                                 const std::string& table_name) {
    const std::string_view text = name.text;
    const size_t colon = text.find(':');
    const auto type = std::find_if(std::begin(types), std::end(types), [&](const Type& known) {
        return text.substr(0, colon) == known.prefix;
    });
    if (colon == text.npos || type == std::end(types))
        return std::nullopt;
    ExternalTable table;
    table.backend = type->backend;
    const std::string_view place = text.substr(colon + 1);
    if (!type->built) {
        g.in.fail(name.position, "this build has no tables of type " + quoted(type->prefix));
    } else if (table.backend == TableBackend::socketmap) {
        if (!read_socketmap(place, table_name, table))
            g.in.fail(name, "socketmap:unix:/path or socketmap:inet:host:port, and :name if the "
                            "map is called otherwise than the table");
    } else if (!is_absolute_path(place)) {
        g.in.fail(name, quoted(type->prefix) + ": and an absolute path");
    } else {
        table.file = place;
        if (table.backend == TableBackend::db)
            table.location = place;
        else
            read_settings(g, name, table);
    }
    return table;
}

} // namespace config

} // namespace postern
