// `match … action NAME` and `match … reject`
#include "common/config/grammar.h"

#include <set>

namespace postern::config {

namespace {

// Reads the criteria of one rule.
class Rule {
  public:
    Rule(Grammar& grammar) : g_(grammar), in_(grammar.in) {}

    void read();
    const std::vector<Criterion>& criteria() const { return criteria_; }
    const Token& action() const { return action_; }

  private:
    bool read_criterion(bool negated);
    void read_from(bool negated);
    void read_for(bool negated);
    void add(CriterionKind kind, bool negated, std::string table = {});
    // The same question cannot be asked twice in one rule.
    void claim(std::string_view question);
    std::string table(TableUse use, std::string criterion);
    std::string optional_table(TableUse use, std::string criterion);
    void default_to(std::string_view question, CriterionKind kind);

    Grammar& g_;
    TokenStream& in_;
    std::set<std::string_view> asked_;
    std::vector<Criterion> criteria_;
    Token action_;
};

void Rule::add(CriterionKind kind, bool negated, std::string table) {
    criteria_.push_back({kind, negated, std::move(table)});
}

void Rule::claim(std::string_view question) {
    if (!asked_.insert(question).second)
        in_.fail(in_.position(), quoted(question) + " is given already in this rule");
}

std::string Rule::table(TableUse use, std::string criterion) {
    in_.refuse({"regex"});
    std::string name = read_table(g_, use, std::move(criterion));
    if (!in_.failed())
        g_.table_references.back().by_lookup = true;
    return name;
}

std::string Rule::optional_table(TableUse use, std::string criterion) {
    in_.refuse({"regex"});
    if (in_.at_value("a value") || in_.at_punctuation("<") || in_.at_punctuation("{"))
        return table(use, std::move(criterion));
    return {};
}

void Rule::read_from(bool negated) {
    claim("from");
    if (in_.accept("any")) {
        add(CriterionKind::from_any, negated);
    } else if (in_.accept("local")) {
        add(CriterionKind::from_local, negated);
    } else if (in_.accept("src")) {
        add(CriterionKind::from_source, negated, table(TableUse::networks, "from src"));
    } else if (in_.accept("auth")) {
        claim("auth");
        add(CriterionKind::from_auth, negated, optional_table(TableUse::users, "from auth"));
    } else if (in_.accept("mail-from")) {
        claim("mail-from");
        add(CriterionKind::from_mail_from, negated, table(TableUse::addresses, "from mail-from"));
    } else if (in_.accept("rdns")) {
        add(CriterionKind::from_rdns, negated, optional_table(TableUse::domains, "from rdns"));
    } else if (in_.accept("socket")) {
        add(CriterionKind::from_socket, negated);
    } else {
        in_.fail();
    }
}

void Rule::read_for(bool negated) {
    claim("for");
    if (in_.accept("any")) {
        add(CriterionKind::for_any, negated);
    } else if (in_.accept("local")) {
        add(CriterionKind::for_local, negated);
    } else if (in_.accept("domain")) {
        add(CriterionKind::for_domain, negated, table(TableUse::domains, "for domain"));
    } else if (in_.accept("rcpt-to")) {
        claim("rcpt-to");
        add(CriterionKind::for_rcpt_to, negated, table(TableUse::addresses, "for rcpt-to"));
    } else {
        in_.fail();
    }
}

bool Rule::read_criterion(bool negated) {
    if (in_.accept("from")) {
        read_from(negated);
    } else if (in_.accept("for")) {
        read_for(negated);
    } else if (in_.accept("auth")) {
        claim("auth");
        add(CriterionKind::auth, negated, optional_table(TableUse::users, "auth"));
    } else if (in_.accept("helo")) {
        claim("helo");
        add(CriterionKind::helo, negated, table(TableUse::domains, "helo"));
    } else if (in_.accept("mail-from")) {
        claim("mail-from");
        add(CriterionKind::mail_from, negated, table(TableUse::addresses, "mail-from"));
    } else if (in_.accept("rcpt-to")) {
        claim("rcpt-to");
        add(CriterionKind::rcpt_to, negated, table(TableUse::addresses, "rcpt-to"));
    } else if (in_.accept("tag")) {
        claim("tag");
        add(CriterionKind::tag, negated, table(TableUse::tags, "tag"));
    } else if (in_.accept("tls")) {
        claim("tls");
        add(CriterionKind::tls, negated);
    } else {
        return false;
    }
    return true;
}

void Rule::default_to(std::string_view question, CriterionKind kind) {
    if (!asked_.contains(question))
        criteria_.insert(criteria_.begin(), {kind, false, {}});
}

void Rule::read() {
    while (!in_.failed()) {
        const bool negated = in_.accept_punctuation("!");
        if (read_criterion(negated))
            continue;
        if (negated)
            return in_.fail();
        if (in_.accept("reject"))
            break;
        if (in_.accept("action")) {
            action_ = in_.value("an action name");
            break;
        }
        return in_.fail();
    }
    default_to("for", CriterionKind::for_local);
    default_to("from", CriterionKind::from_local);
}

} // namespace

std::string read_table(Grammar& g, TableUse use, std::string criterion) {
    const Position at = g.in.current().position;
    std::string name;
    if (g.in.accept_punctuation("<")) {
        name = g.in.value("a table name").text;
        g.in.expect_punctuation(">");
    } else if (g.in.accept_punctuation("{")) {
        name = parse_inline_list(g);
    } else if (const Token value = g.in.value("a value"); !g.in.failed()) {
        name = make_inline_list(g, value);
    }
    if (!g.in.failed())
        g.table_references.push_back({name, at, use, std::move(criterion)});
    return name;
}

void parse_match(Grammar& g) {
    const Position position = g.in.position();
    g.has_match = true;
    Rule rule(g);
    rule.read();
    if (g.in.failed())
        return;
    if (!rule.action().text.empty())
        g.action_references.push_back(
            {rule.action().text, rule.action().position, g.configuration.rules.size()});
    g.configuration.rules.push_back({rule.criteria(), rule.action().text, position.line});
    g.rule_positions.push_back(position);
}

} // namespace postern::config
