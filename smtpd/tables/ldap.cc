// Tables in an LDAP directory (RFC 4511).
#include <ldap.h>

#include "common/tls/system_authorities.h"
#include "smtpd/tables/backend.h"
#include "smtpd/tables/ldap_filter.h"

namespace postern::tables {

namespace {

struct Free {
    void operator()(LDAP* connection) const { ldap_unbind_ext_s(connection, nullptr, nullptr); }
    void operator()(LDAPMessage* message) const { ldap_msgfree(message); }
    void operator()(berval** values) const { ldap_value_free_len(values); }
    void operator()(char* text) const { ldap_memfree(text); }
};
using Text = std::unique_ptr<char, Free>;

// What ldap.conf(5) has, which the library keeps for all connections alike: one that was just made
// knows of no authorities itself.
Text configured(int option) {
    char* text = nullptr;
    ldap_get_option(nullptr, option, &text);
    return Text(text);
}

Error ldap_error(const char* what, int code) {
    return Error{std::string(what) + ": " + ldap_err2string(code)};
}

// Where ldap.conf(5), which need not be there, names no authorities, those of the system count.
int trust_system(LDAP* connection) {
    if (configured(LDAP_OPT_X_TLS_CACERTFILE) || configured(LDAP_OPT_X_TLS_CACERTDIR))
        return LDAP_SUCCESS;
    const int code =
        ldap_set_option(connection, LDAP_OPT_X_TLS_CACERTFILE, system_authorities_path);
    const int as_client = 0;
    return code == LDAP_SUCCESS ? ldap_set_option(connection, LDAP_OPT_X_TLS_NEWCTX, &as_client)
                                : code;
}

// After these the connection is of no use, or the server not for now.
bool is_away(int code) {
    return code == LDAP_SERVER_DOWN || code == LDAP_CONNECT_ERROR || code == LDAP_TIMEOUT ||
           code == LDAP_UNAVAILABLE || code == LDAP_BUSY || code == LDAP_LOCAL_ERROR ||
           code == LDAP_DECODING_ERROR || code == LDAP_ENCODING_ERROR ||
           code == LDAP_OPERATIONS_ERROR; // such as "bind first", where the server forgot that
}

class Ldap final : public Backend {
  public:
    Ldap(std::string name, const ExternalTable& table) : name_(std::move(name)), table_(table) {}

    Result<void> connect() override;
    bool connected() const override { return connection_ != nullptr; }
    Result<std::vector<Row>> find(TableService service, const std::string& key) override;

  private:
    Row values_of(LDAPMessage* entry, const std::string& attribute) const;
    Result<std::vector<Row>> rows_of(LDAPMessage* result, TableService service,
                                     const std::vector<std::string>& attributes) const;

    std::string name_;
    ExternalTable table_;
    std::unique_ptr<LDAP, Free> connection_;
};

Result<void> Ldap::connect() {
    LDAP* made = nullptr;
    connection_.reset();
    if (const int code = ldap_initialize(&made, table_.location.c_str()); code != LDAP_SUCCESS)
        return ldap_error("the URL", code);
    std::unique_ptr<LDAP, Free> connection(made);
    const int version = LDAP_VERSION3;
    const timeval connecting{connect_limit.count(), 0};
    const timeval answering{answer_limit.count(), 0};
    ldap_set_option(made, LDAP_OPT_PROTOCOL_VERSION, &version);
    ldap_set_option(made, LDAP_OPT_NETWORK_TIMEOUT, &connecting);
    ldap_set_option(made, LDAP_OPT_TIMEOUT, &answering);
    ldap_set_option(made, LDAP_OPT_REFERRALS, LDAP_OPT_OFF);
    const bool encrypted = table_.location.starts_with("ldaps://");
    if (encrypted)
        if (const int code = trust_system(made); code != LDAP_SUCCESS)
            return ldap_error("the authorities of the system", code);
    berval password{table_.password.size(), table_.password.data()};
    const int code = ldap_sasl_bind_s(made, table_.user.c_str(), LDAP_SASL_SIMPLE, &password,
                                      nullptr, nullptr, nullptr);
    if (code != LDAP_SUCCESS)
        // The library does not tell the one from the other.
        return ldap_error(encrypted ? "bind, or the server's certificate" : "bind", code);
    connection_ = std::move(connection);
    return {};
}

Row Ldap::values_of(LDAPMessage* entry, const std::string& attribute) const {
    Row values;
    const std::unique_ptr<berval*, Free> found(
        ldap_get_values_len(connection_.get(), entry, attribute.c_str()));
    for (berval** value = found.get(); value && *value; ++value)
        values.emplace_back((*value)->bv_val, (*value)->bv_len);
    return values;
}

// Of one object the first value of each attribute; where there may be several values, all that the
// first attribute has in all objects. An object that lacks an attribute that is needed is none.
Result<std::vector<Row>> Ldap::rows_of(LDAPMessage* result, TableService service,
                                       const std::vector<std::string>& attributes) const {
    const bool many = service == TableService::alias || service == TableService::mailaddrmap;
    const bool needed = service == TableService::credentials || service == TableService::userinfo;
    Rows rows;
    bool good = true;
    for (LDAPMessage* entry = ldap_first_entry(connection_.get(), result); entry && good;
         entry = ldap_next_entry(connection_.get(), entry)) {
        if (many) {
            for (std::string& value : values_of(entry, attributes.front()))
                good = good && rows.add({std::move(value)});
            continue;
        }
        Row row;
        for (const std::string& attribute : attributes)
            if (Row values = values_of(entry, attribute); !values.empty())
                row.push_back(std::move(values.front()));
        if (row.size() == attributes.size() || !needed)
            good = rows.add(std::move(row));
    }
    return rows.take();
}

Result<std::vector<Row>> Ldap::find(TableService service, const std::string& key) {
    const auto query = table_.queries.find(service);
    if (query == table_.queries.end())
        return Error{"there is no filter for this kind of key"};
    std::vector<char*> attributes;
    std::vector<std::string> names = query->second.attributes;
    for (std::string& name : names)
        attributes.push_back(name.data());
    attributes.push_back(nullptr);
    timeval limit{answer_limit.count(), 0};
    LDAPMessage* received = nullptr;
    const int code = ldap_search_ext_s(connection_.get(), table_.base.c_str(), LDAP_SCOPE_SUBTREE,
                                       expand_filter(query->second.text, key, name_).c_str(),
                                       attributes.data(), 0, nullptr, nullptr, &limit,
                                       static_cast<int>(Rows::most_rows), &received);
    const std::unique_ptr<LDAPMessage, Free> result(received);
    if (code != LDAP_SUCCESS) {
        if (is_away(code))
            connection_.reset();
        return ldap_error("search", code);
    }
    return rows_of(result.get(), service, query->second.attributes);
}

} // namespace

std::unique_ptr<Backend> make_ldap(const std::string& name, const ExternalTable& table) {
    return std::make_unique<Ldap>(name, table);
}

} // namespace postern::tables
