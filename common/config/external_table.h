// A table whose content is elsewhere: in a data base, a directory, or with a server. postern-tables
// (smtpd/tables) asks for it key by key; nobody else knows how.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

namespace postern {

enum class TableBackend : uint8_t { db, sqlite, postgresql, redis, ldap, socketmap };
constexpr TableBackend last_enumerator(TableBackend) { return TableBackend::socketmap; }

// What a key is, as in OpenSMTPD: each has a query of its own.
enum class TableService : uint8_t {
    alias,       // user, or user@domain: targets
    domain,      // is it in the table?
    credentials, // user: the hash of his password
    netaddr,     // address of a client: is it in the table?
    userinfo,
    source,
    mailaddr, // user@domain, user, @domain: is it in the table?
    addrname,
    mailaddrmap, // user: addresses that he may send with
    string,      // name of a user, or a tag: is it in the table?
};
constexpr TableService last_enumerator(TableService) { return TableService::string; }

// "domain", as in query_domain and domain_filter.
const char* service_name(TableService service);

struct TableQueryText {
    std::string text;                    // SQL, a Redis command, or an LDAP filter
    std::vector<std::string> attributes; // LDAP: which to return
    bool operator==(const TableQueryText&) const = default;
    static constexpr auto fields(auto& m) { return std::tie(m.text, m.attributes); }
};

struct ExternalTable {
    TableBackend backend = TableBackend::db;
    std::string file; // what the configuration names; empty: socketmap
    // db, sqlite: the path; postgresql: conninfo; ldap: the URL; redis, socketmap: "unix:/path", or
    // a host with `port`.
    std::string location;
    uint16_t port = 0;
    std::string map;       // socketmap: its name there
    std::string user;      // ldap: the DN to bind as
    std::string password;  // redis, ldap
    std::string base;      // ldap
    uint32_t database = 0; // redis
    bool scram = false;    // credentials may be secrets of SCRAM: it is offered
    std::map<TableService, TableQueryText> queries; // db, socketmap: none, any key will do

    // Whether a key of this kind can be asked for.
    bool answers(TableService service) const {
        return backend == TableBackend::db || backend == TableBackend::socketmap ||
               queries.contains(service);
    }
    bool operator==(const ExternalTable&) const = default;
    static constexpr auto fields(auto& m) {
        return std::tie(m.backend, m.file, m.location, m.port, m.map, m.user, m.password, m.base,
                        m.database, m.scram, m.queries);
    }
};

} // namespace postern
