// How mail flows out: `mta limit …` and `queue retry …`
#include "common/config/grammar.h"

namespace postern::config {

namespace {

struct Rate {
    uint32_t messages;
    std::chrono::seconds period;
};

// "100/1m"
std::optional<Rate> parse_rate(std::string_view text) {
    const size_t slash = text.find('/');
    if (slash == std::string_view::npos)
        return std::nullopt;
    const auto messages = parse_number(text.substr(0, slash));
    const auto period = parse_duration(text.substr(slash + 1));
    if (!messages || *messages < 1 || *messages > 1'000'000 || !period)
        return std::nullopt;
    return Rate{static_cast<uint32_t>(*messages), *period};
}

// `for domain VALUES`, if it is there: the name of a table.
std::string read_domains(Grammar& g, std::string criterion) {
    if (!g.in.accept("for"))
        return {};
    g.in.expect("domain");
    return g.in.failed() ? std::string() : read_table(g, TableUse::domains, std::move(criterion));
}

FailureClass read_class(TokenStream& in) {
    static constexpr std::pair<std::string_view, FailureClass> classes[] = {
        {"unreachable", FailureClass::unreachable},
        {"throttled", FailureClass::throttled},
        {"mailbox", FailureClass::mailbox},
        {"resolver", FailureClass::resolver},
        {"other", FailureClass::other},
    };
    for (const auto& [name, value] : classes)
        if (in.accept(name))
            return value;
    in.fail();
    return FailureClass::other;
}

// "max-deliveries NUMBER rate NUMBER/TIME", one of them at least.
void read_limit(Grammar& g, auto& limit) {
    Options options(g.in);
    do {
        if (options.accept("max-deliveries")) {
            limit.max_deliveries = read_number(g.in, 1, 10000);
        } else if (options.accept("rate")) {
            const Rate rate = read_value(g.in, "messages in a time, such as 100/1m",
                                         [](auto text) { return parse_rate(text); });
            limit.rate = rate.messages;
            limit.period = rate.period;
        } else {
            g.in.refuse({"inet4", "inet6"});
            g.in.fail();
        }
    } while (g.in.more());
}

void parse_source_limit(Grammar& g) {
    SourceLimit limit;
    const Position position = g.in.current().position;
    limit.source = read_value(g.in, "an address", parse_address);
    read_limit(g, limit);
    if (g.in.failed())
        return;
    for (const SourceLimit& other : g.configuration.queue.source_limits)
        if (other.source == limit.source)
            g.in.report(position, limit.source.to_string() + " has a limit already");
    g.configuration.queue.source_limits.push_back(limit);
}

} // namespace

void parse_retry(Grammar& g) {
    const Position position = g.in.position();
    RetryRule rule;
    rule.domains = read_domains(g, "queue retry for domain");
    if (g.in.accept("on"))
        do
            rule.classes.push_back(read_class(g.in));
        while (g.in.accept_punctuation(","));
    Options options(g.in);
    do {
        if (options.accept("delay"))
            rule.delay = read_duration(g.in);
        else if (options.accept("max"))
            rule.most = read_duration(g.in);
        else
            g.in.fail();
    } while (g.in.more());
    if (g.in.failed())
        return;
    g.configuration.queue.retries.push_back(std::move(rule));
    g.retry_positions.push_back(position);
}

void parse_mta(Grammar& g) {
    if (!g.in.accept("limit")) {
        g.in.refuse({"max-deferred"});
        return g.in.fail();
    }
    if (g.in.accept("src"))
        return parse_source_limit(g);
    DestinationLimit limit;
    limit.domains = read_domains(g, "mta limit for domain");
    read_limit(g, limit);
    if (!g.in.failed())
        g.configuration.queue.limits.push_back(std::move(limit));
}

} // namespace postern::config
