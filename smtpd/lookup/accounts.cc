#include "smtpd/lookup/accounts.h"

#include <cstring>

#include "common/mail/domain.h"
#include "common/sasl/scram_keys.h"
#include "common/smtp/address.h"
#include "common/smtp/internationalized.h"
#include "common/smtp/sasl.h"
#include "common/smtp/text.h"
#include "smtpd/lookup/password.h"

namespace postern {

namespace {

Result<const Table*> mapping(const ipc::LookupSettings& settings, const std::string& name) {
    const auto table = settings.tables.find(name);
    if (table == settings.tables.end())
        return Error{"there is no table \"" + sanitize(name) + "\""};
    if (!table->second.is_mapping && !table->second.values.empty())
        return Error{"table \"" + sanitize(name) + "\" is no mapping"};
    return &table->second;
}

// "a@x.example, @y.example"
MailboxSet parse_addresses(std::string_view text) {
    MailboxSet set;
    for_each_item(text, [&set](std::string_view address) { set.add(address); });
    return set;
}

} // namespace

Result<Accounts> Accounts::prepare(const ipc::LookupSettings& settings) {
    Accounts accounts;
    accounts.decoy_key_ = settings.decoy_key;
    for (const std::string& name : settings.credentials) {
        if (dovecot_socket(name) || pam_service(name))
            continue;
        const Result<const Table*> table = mapping(settings, name);
        if (!table)
            return table.error();
        Credentials& credentials = accounts.credentials_[name];
        for (const auto& [user, hash] : (*table)->pairs) {
            if (!is_locked(hash))
                credentials.usable.push_back(hash);
            if (const auto secret = parse_scram_secret(hash))
                credentials.scram.push_back(*secret);
            credentials.hashes[comparable_name(user)] = hash;
        }
    }
    for (const std::string& name : settings.senders) {
        const Result<const Table*> table = mapping(settings, name);
        if (!table)
            return table.error();
        Senders& senders = accounts.senders_[name];
        for (const auto& [user, addresses] : (*table)->pairs)
            senders[comparable_name(user)] = parse_addresses(addresses);
    }
    return accounts;
}

// Which of `count` stands in for a user who does not exist: the same one each time, and nobody
// outside can tell which.
size_t Accounts::stand_in(const std::string& user, size_t count) const {
    const std::string digest = scram::hmac(decoy_key_, "stand-in " + user);
    uint64_t number = 0;
    std::memcpy(&number, digest.data(), std::min(sizeof number, digest.size()));
    return number % count;
}

std::optional<Accounts::Candidate> Accounts::find(const std::string& table,
                                                  std::string_view user) const {
    const auto found = credentials_.find(table);
    if (found == credentials_.end())
        return std::nullopt;
    const Credentials& credentials = found->second;
    Candidate candidate;
    candidate.user = comparable_name(user);
    const auto entry = credentials.hashes.find(candidate.user);
    candidate.exists = entry != credentials.hashes.end() && !is_locked(entry->second);
    if (candidate.exists)
        candidate.hash = entry->second;
    else if (!credentials.usable.empty())
        candidate.hash = credentials.usable[stand_in(candidate.user, credentials.usable.size())];
    return candidate;
}

bool Accounts::has_scram(const std::string& table) const {
    const auto found = credentials_.find(table);
    return found != credentials_.end() && !found->second.scram.empty();
}

std::optional<ScramExchange::Account> Accounts::find_scram(const std::string& table,
                                                           std::string_view user) const {
    const auto found = credentials_.find(table);
    if (found == credentials_.end() || found->second.scram.empty())
        return std::nullopt;
    const Credentials& credentials = found->second;
    ScramExchange::Account account;
    account.user = comparable_name(user);
    const auto entry = credentials.hashes.find(account.user);
    const auto secret =
        entry == credentials.hashes.end() ? std::nullopt : parse_scram_secret(entry->second);
    account.exists = secret.has_value();
    account.secret = secret ? *secret : decoy(table, account.user, credentials);
    return account;
}

ScramSecret Accounts::decoy(const std::string& table, const std::string& user,
                            const Credentials& credentials) const {
    const std::string who = table + " " + user;
    ScramSecret secret = credentials.scram[stand_in(who, credentials.scram.size())];
    const size_t length = secret.salt.size();
    secret.salt =
        scram::hmac(decoy_key_, "salt " + who) + scram::hmac(decoy_key_, "more salt " + who);
    secret.salt.resize(std::min(length, secret.salt.size()));
    secret.stored_key = scram::hmac(decoy_key_, "stored key " + who);
    secret.server_key = scram::hmac(decoy_key_, "server key " + who);
    return secret;
}

ipc::SenderVerdict Accounts::may_send(const ipc::SenderQuery& query) const {
    const auto table = senders_.find(query.table);
    if (table == senders_.end())
        return ipc::SenderVerdict::temporary;
    const auto path =
        parse_reverse_path("<" + query.reverse_path + ">", nullptr, Internationalized::accepted);
    const auto user = table->second.find(comparable_name(query.user));
    if (!path || user == table->second.end())
        return ipc::SenderVerdict::not_owned;
    return user->second.contains(path->local_part(), canonical_domain(path->domain()))
               ? ipc::SenderVerdict::owned
               : ipc::SenderVerdict::not_owned;
}

} // namespace postern
