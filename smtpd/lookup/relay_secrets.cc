// See relay_secrets.h.
#include "smtpd/lookup/relay_secrets.h"

#include "common/config/values.h"
#include "common/smtp/address.h"
#include "common/smtp/internationalized.h"
#include "common/smtp/text.h"

namespace postern {

Result<RelaySecrets> RelaySecrets::prepare(const ipc::LookupSettings& settings) {
    RelaySecrets secrets;
    for (const Action& action : settings.actions) {
        const std::string& name = action.credentials;
        if (name.empty() || secrets.tables_.contains(name))
            continue;
        const auto table = settings.tables.find(name);
        if (table == settings.tables.end())
            return Error{"there is no table \"" + sanitize(name) + "\""};
        std::map<std::string, Secret>& labels = secrets.tables_[name];
        for (const auto& [label, secret] : table->second.pairs) {
            if (!config::is_secret(secret)) // which is not repeated
                return Error{"table \"" + sanitize(name) + "\": the value of \"" + sanitize(label) +
                             "\" is no user:password"};
            labels[comparable_name(label)] = Secret(secret);
        }
    }
    return secrets;
}

void RelaySecrets::wipe_tables(ipc::LookupSettings& settings) {
    for (const Action& action : settings.actions)
        if (const auto table = settings.tables.find(action.credentials);
            table != settings.tables.end())
            for (auto& [label, secret] : table->second.pairs)
                wipe(secret);
}

ipc::CredentialAnswer RelaySecrets::find(const ipc::CredentialQuery& query) const {
    ipc::CredentialAnswer answer;
    answer.request = query.request;
    const auto table = tables_.find(query.table);
    if (table == tables_.end())
        return answer;
    const auto secret = table->second.find(comparable_name(query.label));
    if (secret == table->second.end())
        return answer;
    const std::string_view text = secret->second.view();
    const size_t colon = text.find(':');
    answer.found = true;
    answer.user = text.substr(0, colon);
    answer.password = Secret(text.substr(colon + 1));
    return answer;
}

} // namespace postern
