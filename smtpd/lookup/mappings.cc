#include "smtpd/lookup/mappings.h"

#include "common/base/ip_address.h"
#include "common/regex/regular_expression.h"
#include "common/smtp/internationalized.h"
#include "common/smtp/text.h"

namespace postern {

struct Mappings::Mapping {
    Table table;
    // Of a table of that kind, in the order of its results.
    std::vector<Network> networks;
    std::vector<RegularExpression> expressions;

    Result<void> prepare();
    // Whether the pattern of this index is met.
    bool meets(size_t index, std::string_view key, const std::optional<IpAddress>& address) const {
        if (table.kind == TableKind::regex)
            return expressions[index].matches(key);
        return address && address->prefix(networks[index].prefix_length) == networks[index].address;
    }
};

Result<void> Mappings::Mapping::prepare() {
    for (const std::string& value : table.values) {
        if (table.kind == TableKind::regex) {
            const auto expression = RegularExpression::compile(value, table.values.size());
            if (!expression.ok())
                return expression.error();
            expressions.push_back(*expression);
        } else if (table.kind == TableKind::cidr) {
            const auto network = Network::parse(value);
            if (!network)
                return Error{"a value is no network"};
            networks.push_back(*network);
        }
    }
    return {};
}

Result<Mappings> Mappings::prepare(const std::map<std::string, Table>& tables,
                                   const std::vector<std::string>& names) {
    Mappings all;
    for (const std::string& name : names) {
        const auto table = tables.find(name);
        if (table == tables.end())
            return Error{"there is no table \"" + sanitize(name) + "\""};
        if (!table->second.is_mapping && !table->second.values.empty())
            return Error{"table \"" + sanitize(name) + "\" is no mapping"};
        auto mapping = std::make_shared<Mapping>();
        mapping->table = table->second;
        if (Result<void> prepared = mapping->prepare(); !prepared)
            return Error{"table \"" + sanitize(name) + "\": " + prepared.error().message};
        all.mappings_[name] = std::move(mapping);
    }
    return all;
}

std::optional<std::string> Mappings::find(const std::string& table, TableService service,
                                          std::string_view key, TableAnswers& answers) const {
    const auto found = mappings_.find(table);
    if (found == mappings_.end())
        return std::nullopt;
    const Mapping& mapping = *found->second;
    const std::string name = comparable_name(key);
    if (mapping.table.kind == TableKind::external)
        return answers.value_of(table, service, name);
    if (mapping.table.kind == TableKind::plain) {
        const auto pair = mapping.table.pairs.find(name);
        return pair == mapping.table.pairs.end() ? std::nullopt : std::optional(pair->second);
    }
    const auto address = IpAddress::parse(name);
    for (size_t i = 0; i < mapping.table.results.size(); ++i)
        if (mapping.meets(i, name, address))
            return mapping.table.results[i];
    return std::nullopt;
}

} // namespace postern
