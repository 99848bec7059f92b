#include "smtpd/lookup/match.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "common/mail/domain.h"
#include "common/regex/regular_expression.h"
#include "common/smtp/internationalized.h"
#include "common/smtp/text.h"
#include "smtpd/lookup/mailbox_set.h"
#include "smtpd/lookup/table_keys.h"

namespace postern {

namespace {

struct AddressHash {
    size_t operator()(const IpAddress& address) const {
        return std::hash<uint64_t>()(address.high * 31 + address.low * 17 + address.version);
    }
};

// Networks by the length of their prefix, so that a look-up tries each length once. "local" stands
// for what does not come from the network.
class NetworkSet {
  public:
    bool add(std::string_view text) {
        if (text == "local") {
            local_ = true;
            return true;
        }
        const auto network = Network::parse(text);
        if (network)
            by_length_[network->prefix_length].insert(network->address);
        return network.has_value();
    }

    bool contains(const IpAddress& address) const {
        return std::any_of(by_length_.begin(), by_length_.end(), [&](const auto& entry) {
            return entry.second.contains(address.prefix(entry.first));
        });
    }
    bool contains_local() const { return local_; }

  private:
    std::map<uint8_t, std::unordered_set<IpAddress, AddressHash>> by_length_;
    bool local_ = false;
};

// What one table is to one or more criteria; only what is asked for is filled. An external one is
// asked for keys, and expressions are held against the whole of what is looked for.
struct PreparedTable {
    DomainSet domains;
    NetworkSet networks;
    MailboxSet mailboxes;
    std::unordered_set<std::string> names; // lower-cased
    std::vector<RegularExpression> expressions;
    std::string external; // its name; empty: it is not

    bool meets(std::string_view text) const {
        return std::any_of(expressions.begin(), expressions.end(),
                           [&](const auto& expression) { return expression.matches(text); });
    }
    bool has_domain(const std::string& domain, TableAnswers& answers) const {
        if (!external.empty())
            return answers.has_any(external, TableService::domain, domain_keys(domain));
        return domains.contains(domain) || (!domain.empty() && meets(domain));
    }
    // Nothing: it does not come from the network.
    bool has_client(const std::optional<IpAddress>& client, TableAnswers& answers) const {
        if (!external.empty())
            return client &&
                   answers.has_any(external, TableService::netaddr, {client->to_string()});
        return client ? networks.contains(*client) : networks.contains_local();
    }
    bool has_mailbox(std::string_view local_part, const std::string& domain, TableService service,
                     TableAnswers& answers) const {
        if (!external.empty())
            return answers.has_any(external, service, mailbox_keys(local_part, domain));
        return mailboxes.contains(local_part, domain) ||
               (!expressions.empty() && meets(mailbox_keys(local_part, domain).front()));
    }
    bool has_name(const std::string& name, TableAnswers& answers) const {
        if (!external.empty())
            return answers.has_any(external, TableService::string, {name});
        return names.contains(name) || meets(name);
    }
};

enum class Shape : uint8_t { none, domains, networks, mailboxes, names, users };

Shape shape_of(CriterionKind kind) {
    switch (kind) {
    case CriterionKind::from_any:
    case CriterionKind::from_local:
    case CriterionKind::from_socket:
    case CriterionKind::for_any:
    case CriterionKind::for_local:
    case CriterionKind::tls:
        return Shape::none;
    case CriterionKind::from_rdns:
    case CriterionKind::for_domain:
    case CriterionKind::helo:
        return Shape::domains;
    case CriterionKind::from_source:
        return Shape::networks;
    case CriterionKind::from_mail_from:
    case CriterionKind::for_rcpt_to:
    case CriterionKind::mail_from:
    case CriterionKind::rcpt_to:
        return Shape::mailboxes;
    case CriterionKind::from_auth:
    case CriterionKind::auth:
        return Shape::users;
    case CriterionKind::tag:
        return Shape::names;
    }
    return Shape::none;
}

bool table_is_optional(CriterionKind kind) {
    return kind == CriterionKind::from_auth || kind == CriterionKind::auth ||
           kind == CriterionKind::from_rdns;
}

bool add_value(PreparedTable& table, Shape shape, const std::string& value) {
    switch (shape) {
    case Shape::none:
        break;
    case Shape::domains:
        table.domains.add(value);
        break;
    case Shape::networks:
        return table.networks.add(value);
    case Shape::users: // a user name may be an address
        table.names.insert(comparable_name(value));
        [[fallthrough]];
    case Shape::mailboxes:
        table.mailboxes.add(value);
        break;
    case Shape::names:
        table.names.insert(ascii_lower(value));
        break;
    }
    return true;
}

struct PreparedCriterion {
    CriterionKind kind;
    bool negated;
    std::optional<size_t> table; // index
    bool external = false;
};

// A question in the form in which it is compared.
struct Question {
    const ipc::Origin& origin;
    const Mailbox& reverse_path;
    const Mailbox& recipient;
    std::string reverse_domain;
    std::string recipient_domain;
    TableAnswers& answers;
};

// `skip`: the rule does not apply, negated or not.
enum class Answer : uint8_t { no, yes, skip };

Answer to_answer(bool holds) { return holds ? Answer::yes : Answer::no; }

} // namespace

struct RuleSet::Prepared {
    std::vector<MatchRule> rules;
    std::vector<std::vector<PreparedCriterion>> criteria; // of each rule
    std::vector<PreparedTable> tables;
    std::unordered_set<std::string> local_names;
    std::set<IpAddress> local_addresses;
    std::string default_domain;

    bool is_local_address(const IpAddress& address) const {
        return address.is_loopback() || local_addresses.contains(address);
    }
    bool is_local_client(const ipc::Origin& origin) const {
        return origin.internal || origin.client.version == 0 || is_local_address(origin.client);
    }
    bool is_local_domain(const Question& question) const;
    bool is_user(const PreparedCriterion& criterion, const Question& question) const;
    Answer answer_rdns(const PreparedCriterion& criterion, const Question& question) const;
    Answer answer(const PreparedCriterion& criterion, const Question& question) const;
    bool holds(const PreparedCriterion& criterion, const Question& question) const;
    bool hold(const std::vector<PreparedCriterion>& criteria, const Question& question) const;
};

bool RuleSet::Prepared::is_local_domain(const Question& question) const {
    if (question.recipient.domain().empty() || local_names.contains(question.recipient_domain))
        return true;
    const auto address = IpAddress::parse(address_of_literal(question.recipient.domain()));
    return address && is_local_address(*address);
}

bool RuleSet::Prepared::is_user(const PreparedCriterion& criterion,
                                const Question& question) const {
    if (question.origin.internal)
        return true;
    const std::string& user = question.origin.authenticated;
    if (user.empty() || !criterion.table)
        return !user.empty();
    const size_t at = user.rfind('@');
    const PreparedTable& table = tables[*criterion.table];
    if (at == std::string::npos)
        return table.has_name(comparable_name(user), question.answers);
    return table.has_mailbox(user.substr(0, at), canonical_domain(user.substr(at + 1)),
                             TableService::string, question.answers);
}

// Without a name there is nothing to compare: neither "x" nor "! x" holds then.
Answer RuleSet::Prepared::answer_rdns(const PreparedCriterion& criterion,
                                      const Question& question) const {
    const ipc::Origin& origin = question.origin;
    if (origin.internal || (criterion.table && origin.reverse_name.empty()))
        return Answer::skip;
    return to_answer(!criterion.table
                         ? !origin.reverse_name.empty()
                         : tables[*criterion.table].has_domain(
                               normalize_domain(origin.reverse_name), question.answers));
}

Answer RuleSet::Prepared::answer(const PreparedCriterion& criterion, const Question& q) const {
    const PreparedTable* table = criterion.table ? &tables[*criterion.table] : nullptr;
    const bool from_network = !q.origin.internal && q.origin.client.version != 0;
    switch (criterion.kind) {
    case CriterionKind::from_any:
    case CriterionKind::for_any:
        return Answer::yes;
    case CriterionKind::from_local:
        return to_answer(is_local_client(q.origin));
    case CriterionKind::from_source:
        return to_answer(table->has_client(
            from_network ? std::optional(q.origin.client) : std::nullopt, q.answers));
    case CriterionKind::from_auth:
    case CriterionKind::auth:
        return to_answer(is_user(criterion, q));
    case CriterionKind::from_mail_from:
    case CriterionKind::mail_from:
        return to_answer(table->has_mailbox(q.reverse_path.local_part(), q.reverse_domain,
                                            TableService::mailaddr, q.answers));
    case CriterionKind::from_rdns:
        return answer_rdns(criterion, q);
    case CriterionKind::from_socket:
        return q.origin.internal ? Answer::skip : to_answer(q.origin.client.version == 0);
    case CriterionKind::for_local:
        return to_answer(is_local_domain(q));
    case CriterionKind::for_domain:
        return to_answer(table->has_domain(q.recipient_domain, q.answers));
    case CriterionKind::for_rcpt_to:
    case CriterionKind::rcpt_to:
        return to_answer(table->has_mailbox(q.recipient.local_part(), q.recipient_domain,
                                            TableService::mailaddr, q.answers));
    case CriterionKind::helo:
        return to_answer(table->has_domain(canonical_domain(q.origin.helo), q.answers));
    case CriterionKind::tag:
        return to_answer(table->has_name(ascii_lower(q.origin.tag), q.answers));
    case CriterionKind::tls: // what never was on a wire needed none
        return to_answer(q.origin.tls || !from_network);
    }
    return Answer::skip;
}

bool RuleSet::Prepared::holds(const PreparedCriterion& criterion, const Question& question) const {
    const Answer result = answer(criterion, question);
    return result == (criterion.negated ? Answer::no : Answer::yes);
}

// What needs no question goes first. False if an external table has yet to say.
bool RuleSet::Prepared::hold(const std::vector<PreparedCriterion>& criteria,
                             const Question& question) const {
    for (const bool external : {false, true})
        for (const PreparedCriterion& criterion : criteria)
            if (criterion.external == external &&
                (!holds(criterion, question) || question.answers.undecided()))
                return false;
    return true;
}

// Turns tables into sets, each only into those that are asked for.
class RuleSet::Builder {
  public:
    Builder(const std::map<std::string, Table>& tables, std::vector<PreparedTable>& prepared)
        : tables_(tables), prepared_(prepared) {}

    Result<PreparedCriterion> prepare(const Criterion& criterion) {
        PreparedCriterion result{criterion.kind, criterion.negated, std::nullopt, false};
        const Shape shape = shape_of(criterion.kind);
        if (shape == Shape::none || (criterion.table.empty() && table_is_optional(criterion.kind)))
            return result;
        const auto table = tables_.find(criterion.table);
        if (table == tables_.end())
            return Error{"there is no table \"" + sanitize(criterion.table) + "\""};
        const auto [index, is_new] = indices_.emplace(criterion.table, prepared_.size());
        if (is_new)
            prepared_.emplace_back();
        result.table = index->second;
        result.external = table->second.kind == TableKind::external;
        if (result.external)
            prepared_[index->second].external = criterion.table;
        else if (filled_.emplace(index->second, shape).second &&
                 !fill(prepared_[index->second], shape, table->second))
            return Error{"table \"" + sanitize(criterion.table) + "\" has a value that is no " +
                         (table->second.kind == TableKind::regex ? "expression" : "network")};
        return result;
    }

  private:
    static bool fill(PreparedTable& sets, Shape shape, const Table& table) {
        bool good = true;
        if (table.kind == TableKind::regex) {
            sets.expressions.clear();
            for (const std::string& text : table.values)
                if (const auto expression = RegularExpression::compile(text, table.values.size());
                    expression.ok())
                    sets.expressions.push_back(*expression);
            return sets.expressions.size() == table.values.size();
        }
        for (const std::string& value : table.values)
            good = add_value(sets, shape, value) && good;
        for (const auto& [key, value] : table.pairs)
            good = add_value(sets, shape, key) && good;
        return good;
    }

    const std::map<std::string, Table>& tables_;
    std::vector<PreparedTable>& prepared_;
    std::map<std::string, size_t> indices_;
    std::set<std::pair<size_t, Shape>> filled_;
};

Result<RuleSet> RuleSet::prepare(std::vector<MatchRule> rules,
                                 const std::map<std::string, Table>& tables,
                                 const LocalIdentity& local) {
    auto prepared = std::make_shared<Prepared>();
    Builder builder(tables, prepared->tables);
    for (const MatchRule& rule : rules) {
        auto& criteria = prepared->criteria.emplace_back();
        for (const Criterion& criterion : rule.criteria) {
            const Result<PreparedCriterion> result = builder.prepare(criterion);
            if (!result.ok())
                return Error{"match rule in line " + std::to_string(rule.line) + ": " +
                             result.error().message};
            criteria.push_back(*result);
        }
    }
    prepared->rules = std::move(rules);
    prepared->local_names.insert("localhost");
    for (const std::string& name : local.names)
        prepared->local_names.insert(canonical_domain(name));
    prepared->local_addresses.insert(local.addresses.begin(), local.addresses.end());
    prepared->default_domain =
        local.names.empty() ? "localhost" : canonical_domain(local.names.front());
    return RuleSet(std::move(prepared));
}

std::optional<size_t> RuleSet::match(const ipc::Origin& origin, const Mailbox& reverse_path,
                                     const Mailbox& recipient, TableAnswers& answers) const {
    Question question{origin,
                      reverse_path,
                      recipient,
                      canonical_domain(reverse_path.domain()),
                      canonical_domain(recipient.domain()),
                      answers};
    if (question.recipient_domain.empty())
        question.recipient_domain = origin.local_hostname.empty()
                                        ? prepared_->default_domain
                                        : canonical_domain(origin.local_hostname);
    for (size_t index = 0; index < prepared_->rules.size(); ++index) {
        if (prepared_->hold(prepared_->criteria[index], question))
            return index;
        if (answers.undecided())
            return std::nullopt;
    }
    return std::nullopt;
}

const std::vector<MatchRule>& RuleSet::rules() const { return prepared_->rules; }

} // namespace postern
