// The one-line settings: smtp, queue but for retries (flow.cc), resolver, user, listener and relay
// processes.
#include <algorithm>

#include "common/config/grammar.h"
#include "common/smtp/domain_name.h"

namespace postern::config {

namespace {

constexpr uint32_t process_limit = 256; // of one kind

constexpr uint32_t most_of_all = 1000000000; // of a limit that needs no other bound

// 1 to 1 TiB.
uint64_t read_amount(TokenStream& in) {
    return read_value(in, "a size from 1 byte to 1024G, such as 64K or 100M",
                      [](std::string_view text) -> std::optional<uint64_t> {
                          const auto size = parse_size(text);
                          if (!size || *size == 0 || *size > uint64_t{1} << 40)
                              return std::nullopt;
                          return size;
                      });
}

// A time, or 0 for none. FUTURERELEASE has nine digits for seconds (RFC 4865 4).
std::chrono::seconds read_hold(TokenStream& in) {
    const Position place = in.position();
    if (in.accept("0"))
        return std::chrono::seconds(0);
    const std::chrono::seconds hold = read_duration(in);
    if (hold.count() > 999'999'999)
        in.fail(place, "a time of 999999999 seconds at most");
    return hold;
}

// `smtp limit per-address sessions 10 mail-rate 100 …`. `all`: of all clients together, whose
// sessions at once are max-sessions, and whose errors no innocent client is to suffer for.
void parse_client_rates(Grammar& g, ClientRates& rates, bool all) {
    Options options(g.in);
    do {
        if (!all && options.accept("sessions"))
            rates.sessions = read_number(g.in, 1, 1000000);
        else if (options.accept("session-rate"))
            rates.session_rate = read_number(g.in, 1, most_of_all);
        else if (options.accept("command-rate"))
            rates.command_rate = read_number(g.in, 1, most_of_all);
        else if (!all && options.accept("error-rate"))
            rates.error_rate = read_number(g.in, 1, most_of_all);
        else if (options.accept("mail-rate"))
            rates.mail_rate = read_number(g.in, 1, most_of_all);
        else if (options.accept("rcpt-rate"))
            rates.rcpt_rate = read_number(g.in, 1, most_of_all);
        else if (options.accept("byte-rate"))
            rates.byte_rate = read_amount(g.in);
        else
            g.in.fail();
    } while (g.in.more());
}

// `smtp limit max-rcpt 100 max-mails 10 …`
void parse_smtp_limits(Grammar& g) {
    Limits& limits = g.configuration.limits;
    if (g.in.accept("per-address"))
        return parse_client_rates(g, limits.per_address, false);
    if (g.in.accept("per-network"))
        return parse_client_rates(g, limits.per_network, false);
    if (g.in.accept("in-all"))
        return parse_client_rates(g, limits.in_all, true);
    if (g.in.accept("exempt")) {
        limits.exempt = read_table(g, TableUse::networks, "smtp limit exempt");
        return;
    }
    Options options(g.in);
    do {
        if (options.accept("max-rcpt"))
            limits.max_recipients = read_number(g.in, 1, 100000);
        else if (options.accept("max-mails"))
            limits.max_mails = read_number(g.in, 1, 999999); // MAILMAX has six digits (RFC 9422)
        else if (options.accept("max-sessions"))
            limits.max_sessions = read_number(g.in, 1, 1000000);
        else if (options.accept("max-errors"))
            limits.max_errors = read_number(g.in, 1, 10000);
        else if (options.accept("max-hops"))
            limits.max_received_hops = read_number(g.in, 1, 1000);
        else if (options.accept("max-commands"))
            limits.max_commands = read_number(g.in, 1, most_of_all);
        else if (options.accept("max-bytes"))
            limits.max_bytes = read_amount(g.in);
        else if (options.accept("max-memory"))
            limits.max_memory = read_amount(g.in);
        else if (options.accept("max-hold"))
            limits.max_hold = read_hold(g.in);
        else
            g.in.fail();
    } while (g.in.more());
}

Endpoint read_forwarder(TokenStream& in) {
    Endpoint server;
    server.address = read_value(in, "the address of a name server", parse_address);
    server.port = in.accept("port") ? read_value(in, "a port from 1 to 65535", parse_port) : 53;
    return server;
}

} // namespace

void parse_smtp(Grammar& g) {
    if (g.in.accept("limit"))
        return parse_smtp_limits(g);
    if (g.in.accept("max-message-size")) {
        constexpr std::string_view what =
            "a size from 1 to 4294967295 bytes, such as 10485760 or 35M";
        g.configuration.limits.max_message_size =
            read_value(g.in, what, [](std::string_view text) -> std::optional<uint32_t> {
                const auto size = parse_size(text);
                if (!size || *size == 0 || *size > UINT32_MAX)
                    return std::nullopt;
                return static_cast<uint32_t>(*size);
            });
        return;
    }
    if (g.in.accept("ciphers")) {
        g.configuration.ciphers = read_ciphers(g.in);
        return;
    }
    g.in.refuse({"sub-addr-delim"});
    g.in.fail();
}

// Behind "queue warn-delay", and behind "bounce warn-interval" of OpenSMTPD.
void parse_warn_delays(Grammar& g) {
    constexpr size_t most = 4;
    std::vector<std::chrono::seconds> delays;
    do {
        if (delays.size() == most)
            return g.in.fail(g.in.position(), "no more than four delays are possible");
        delays.push_back(read_duration(g.in));
    } while (!g.in.failed() && g.in.accept_punctuation(","));
    std::sort(delays.begin(), delays.end());
    g.configuration.queue.warn_delays = std::move(delays);
}

void parse_bounce(Grammar& g) {
    g.in.expect("warn-interval");
    if (!g.in.failed())
        parse_warn_delays(g);
}

void parse_queue(Grammar& g) {
    QueueOptions& queue = g.configuration.queue;
    if (g.in.accept("ttl")) {
        queue.ttl = read_duration(g.in);
    } else if (g.in.accept("retry-delay")) {
        g.retry_position = g.in.position();
        queue.retry_delay = read_duration(g.in);
    } else if (g.in.accept("retry-max")) {
        g.retry_position = g.in.position();
        queue.retry_max = read_duration(g.in);
    } else if (g.in.accept("retry")) {
        parse_retry(g);
    } else if (g.in.accept("warn-delay")) {
        if (g.in.accept("none"))
            queue.warn_delays.clear();
        else
            parse_warn_delays(g);
    } else if (g.in.accept("limit")) {
        if (g.in.accept("max-per-destination"))
            queue.max_per_destination = read_number(g.in, 1, 10000);
        else if (g.in.accept("max-in-memory"))
            queue.max_in_memory = read_number(g.in, 100, 100'000'000);
        else
            g.in.fail();
    } else {
        g.in.refuse({"compression", "encryption"});
        g.in.fail();
    }
}

void parse_resolver(Grammar& g) {
    ResolverOptions resolver;
    if (g.in.accept("system")) {
        resolver.mode = ResolverMode::system;
    } else if (g.in.accept("recursive")) {
        resolver.mode = ResolverMode::recursive;
    } else if (g.in.accept("forward")) {
        resolver.mode = ResolverMode::forward;
        do
            resolver.forwarders.push_back(read_forwarder(g.in));
        while (g.in.accept_punctuation(","));
    } else {
        return g.in.fail();
    }
    Options options(g.in);
    while (g.in.more()) {
        if (options.accept("trust-anchor"))
            resolver.trust_anchor = read_path(g.in);
        else if (options.accept("timeout"))
            resolver.timeout = read_duration(g.in);
        else
            g.in.fail();
    }
    g.configuration.resolver = std::move(resolver);
}

// What is behind `srs`: keys are no file of others' to read, and so long that nobody finds them by
// trying.
std::string read_srs_key(TokenStream& in) {
    return read_name(in, "a secret of 16 to 256 printable characters", [](std::string_view text) {
        return text.size() >= 16 && text.size() <= 256 &&
               std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
    });
}

void parse_srs(Grammar& g) {
    SrsOptions& srs = g.configuration.srs;
    const Position place = g.in.current().position;
    if (g.in.accept("key")) {
        if (g.in.accept("backup"))
            srs.former.push_back(read_srs_key(g.in));
        else if (srs.key.empty())
            srs.key = read_srs_key(g.in);
        else
            g.in.fail(place, "\"srs key\" is given already: others are \"srs key backup\"");
    } else if (g.in.accept("ttl")) {
        srs.ttl = read_value(g.in, "whole days, 500 at most, such as 4d",
                             [](std::string_view text) -> std::optional<std::chrono::seconds> {
                                 constexpr std::chrono::hours day{24};
                                 const auto time = parse_duration(text);
                                 if (!time || *time < day || *time > 500 * day ||
                                     *time % day != std::chrono::seconds(0))
                                     return std::nullopt;
                                 return time;
                             });
    } else if (g.in.accept("domain")) {
        srs.domain =
            read_name(g.in, "a domain", [](std::string_view text) { return is_domain(text); });
    } else {
        g.in.fail();
    }
    if (!g.in.failed())
        g.srs_position = place;
}

void parse_user(Grammar& g) {
    static constexpr std::string_view processes[] = {"listener", "keyholder", "resolver", "lookup",
                                                     "control",  "queue",     "relay",    "local",
                                                     "pam",      "tables"};
    for (std::string_view process : processes) {
        if (!g.in.accept(process))
            continue;
        g.configuration.users.by_process[std::string(process)] =
            read_name(g.in, "a user name", is_user_name);
        return;
    }
    g.in.fail();
}

void parse_processes(Grammar& g, uint32_t& count) {
    g.in.expect("processes");
    count = read_number(g.in, 1, process_limit);
}

} // namespace postern::config
