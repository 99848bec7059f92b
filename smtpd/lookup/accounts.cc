#include "smtpd/lookup/accounts.h"

#include <algorithm>
#include <cstring>

#include "common/config/values.h"
#include "common/mail/domain.h"
#include "common/sasl/scram_keys.h"
#include "common/smtp/address.h"
#include "common/smtp/internationalized.h"
#include "common/smtp/sasl.h"
#include "common/smtp/text.h"
#include "smtpd/lookup/mailbox_set.h"
#include "smtpd/lookup/password.h"

namespace postern {

namespace {

Result<const Table*> mapping(const ipc::LookupSettings& settings, const std::string& name) {
    const auto table = settings.tables.find(name);
    if (table == settings.tables.end())
        return Error{"there is no table \"" + sanitize(name) + "\""};
    if (table->second.kind == TableKind::external)
        return &table->second;
    if (!table->second.is_mapping && !table->second.values.empty())
        return Error{"table \"" + sanitize(name) + "\" is no mapping"};
    return &table->second;
}

// Of a password that nobody knows; as expensive as what "smtpctl encrypt" makes.
constexpr const char* nobodys_hash =
    "$y$j9T$LY2yud247NKvQxY/siBkk.$vi5BDn.ChVGWJ6Q.WYEZx0h4OUNYaJnBtdMOlVnigP.";
// Of a secret that there is not: as of those that it makes.
constexpr uint32_t usual_iterations = 100'000;
constexpr size_t usual_salt = 16; // octets

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
        credentials.external = (*table)->kind == TableKind::external;
        for (const auto& [user, hash] : (*table)->pairs) {
            credentials.add(hash);
            credentials.hashes[comparable_name(user)] = hash;
        }
    }
    Result<Mappings> senders = Mappings::prepare(settings.tables, settings.senders);
    if (!senders)
        return senders.error();
    accounts.senders_ = *std::move(senders);
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

void Accounts::Credentials::add(const std::string& hash) {
    if (!is_locked(hash))
        usable.push_back(hash);
    if (const auto secret = parse_scram_secret(hash))
        scram.push_back(*secret);
}

void Accounts::remember(const std::string& table, const std::string& hash) {
    const auto found = credentials_.find(table);
    if (found == credentials_.end() || !found->second.external || is_locked(hash) ||
        !config::is_password_hash(hash))
        return;
    Credentials& credentials = found->second;
    if (credentials.usable.empty())
        credentials.usable.push_back(hash);
    if (credentials.scram.empty())
        if (const auto secret = parse_scram_secret(hash))
            credentials.scram.push_back(*secret);
}

void Accounts::remember_all_of(const Accounts& former) {
    for (auto& [table, credentials] : credentials_) {
        const auto found = former.credentials_.find(table);
        if (!credentials.external || found == former.credentials_.end() || !found->second.external)
            continue;
        credentials.usable = found->second.usable;
        credentials.scram = found->second.scram;
    }
}

// Locked or not.
std::optional<std::string> Accounts::hash_of(const std::string& table,
                                             const Credentials& credentials,
                                             const std::string& user, TableAnswers& answers) {
    if (credentials.external)
        return answers.value_of(table, TableService::credentials, user);
    const auto entry = credentials.hashes.find(user);
    return entry == credentials.hashes.end() ? std::nullopt : std::optional(entry->second);
}

std::optional<Accounts::Candidate> Accounts::find(const std::string& table, std::string_view user,
                                                  TableAnswers& answers) const {
    const auto found = credentials_.find(table);
    if (found == credentials_.end())
        return std::nullopt;
    const Credentials& credentials = found->second;
    Candidate candidate;
    candidate.user = comparable_name(user);
    const auto hash = hash_of(table, credentials, candidate.user, answers);
    candidate.exists = hash && !hash->empty() && !is_locked(*hash);
    if (candidate.exists)
        candidate.hash = *hash;
    else if (!credentials.usable.empty())
        candidate.hash = credentials.usable[stand_in(candidate.user, credentials.usable.size())];
    else if (credentials.external)
        candidate.hash = nobodys_hash;
    return candidate;
}

bool Accounts::has_scram(const std::string& table) const {
    const auto found = credentials_.find(table);
    return found != credentials_.end() && (found->second.external || !found->second.scram.empty());
}

std::optional<ScramExchange::Account>
Accounts::find_scram(const std::string& table, std::string_view user, TableAnswers& answers) const {
    if (!has_scram(table))
        return std::nullopt;
    const auto found = credentials_.find(table);
    const Credentials& credentials = found->second;
    ScramExchange::Account account;
    account.user = comparable_name(user);
    const auto hash = hash_of(table, credentials, account.user, answers);
    const auto secret = hash ? parse_scram_secret(*hash) : std::nullopt;
    account.exists = secret.has_value();
    account.secret = secret ? *secret : decoy(table, account.user, credentials);
    return account;
}

ScramSecret Accounts::decoy(const std::string& table, const std::string& user,
                            const Credentials& credentials) const {
    const std::string who = table + " " + user;
    ScramSecret secret;
    if (!credentials.scram.empty()) {
        secret = credentials.scram[stand_in(who, credentials.scram.size())];
    } else {
        secret.iterations = usual_iterations;
        secret.salt.resize(usual_salt);
    }
    const size_t length = secret.salt.size();
    secret.salt =
        scram::hmac(decoy_key_, "salt " + who) + scram::hmac(decoy_key_, "more salt " + who);
    secret.salt.resize(std::min(length, secret.salt.size()));
    secret.stored_key = scram::hmac(decoy_key_, "stored key " + who);
    secret.server_key = scram::hmac(decoy_key_, "server key " + who);
    return secret;
}

ipc::SenderVerdict Accounts::may_send(const ipc::SenderQuery& query, TableAnswers& answers) const {
    if (!senders_.has(query.table))
        return ipc::SenderVerdict::temporary;
    const auto path =
        parse_reverse_path("<" + query.reverse_path + ">", nullptr, Internationalized::accepted);
    if (!path)
        return ipc::SenderVerdict::not_owned;
    const auto addresses =
        senders_.find(query.table, TableService::mailaddrmap, query.user, answers);
    if (answers.undecided())
        return ipc::SenderVerdict::temporary;
    return addresses && parse_addresses(*addresses)
                            .contains(path->local_part(), canonical_domain(path->domain()))
               ? ipc::SenderVerdict::owned
               : ipc::SenderVerdict::not_owned;
}

} // namespace postern
