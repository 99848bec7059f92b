#include "smtpd/listener/client_limits.h"

#include <algorithm>
#include <bit>
#include <new>
#include <type_traits>

#include "common/base/client_network.h"

namespace postern::listener {

namespace {

constexpr double rounding = 1e-6; // of levels that drain by fractions
constexpr LimitScope scopes[] = {LimitScope::address, LimitScope::network, LimitScope::all};

// The finalizer of SplitMix64 (Steele, Lea and Flood 2014).
uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

} // namespace

void ClientLimits::configure(const ipc::ClientPolicy& policy, uint32_t max_sessions) {
    policy_ = policy;
    if (table_)
        return;
    // Each session holds two counters. With a quarter of the table held, there is hardly ever a set
    // that is held altogether.
    const size_t held = 2 * std::clamp<size_t>(max_sessions, 5000, 100000);
    const size_t sets = std::bit_ceil(held * 2 / ways);
    static_assert(std::is_trivially_copyable_v<Counters>); // free ones are all zeros
    table_.reset(static_cast<Counters*>(std::calloc(sets * ways, sizeof(Counters))));
    if (!table_)
        throw std::bad_alloc();
    set_mask_ = sets - 1;
}

const ClientRates& ClientLimits::rates(LimitScope scope) const {
    switch (scope) {
    case LimitScope::address:
        return policy_.per_address;
    case LimitScope::network:
        return policy_.per_network;
    case LimitScope::all:
        break;
    }
    return policy_.in_all;
}

double ClientLimits::limit(LimitScope scope, Measure measure) const {
    const ClientRates& of = rates(scope);
    switch (measure) {
    case Measure::sessions:
        return of.session_rate;
    case Measure::commands:
        return of.command_rate;
    case Measure::errors:
        return of.error_rate;
    case Measure::mails:
        return of.mail_rate;
    case Measure::recipients:
        return of.rcpt_rate;
    case Measure::bytes:
        break;
    }
    return static_cast<double>(of.byte_rate);
}

bool ClientLimits::is_exempt(const IpAddress& client) const {
    return client.is_loopback() ||
           std::any_of(policy_.exempt.begin(), policy_.exempt.end(),
                       [&](const Network& network) { return network.contains(client); });
}

void ClientLimits::drain(Counters& counters, LimitScope scope, TimePoint now) const {
    const double minutes =
        std::chrono::duration<double, std::ratio<60>>(now - counters.updated).count();
    counters.updated = now;
    for (size_t i = 0; i < measures; ++i) {
        const double in_a_minute = limit(scope, static_cast<Measure>(i));
        double& level = counters.level[i];
        level = in_a_minute == 0 ? 0 : std::max(0.0, level - minutes * in_a_minute);
    }
}

// How far the fullest counter is from nothing (0) to its limit (1, or more).
double ClientLimits::fill(Counters& counters, TimePoint now) const {
    const LimitScope scope = counters.network ? LimitScope::network : LimitScope::address;
    drain(counters, scope, now);
    double fullest = 0;
    for (size_t i = 0; i < measures; ++i)
        if (counters.level[i] > 0)
            fullest = std::max(fullest, counters.level[i] / limit(scope, static_cast<Measure>(i)));
    return fullest;
}

ClientLimits::Counters* ClientLimits::set_of(const IpAddress& key, bool network) {
    const uint64_t hash = mix(mix(mix(secret_ ^ key.high) ^ key.low) ^ (network ? secret_ : 0));
    return &table_[(hash & set_mask_) * ways];
}

ClientLimits::Counters* ClientLimits::find(const IpAddress& key, bool network) {
    Counters* const set = set_of(key, network);
    Counters* const found = std::find_if(set, set + ways, [&](const Counters& counters) {
        return counters.key == key && counters.network == network;
    });
    return found == set + ways ? nullptr : found;
}

// Null: the clients of all of the set's counters are here.
ClientLimits::Counters* ClientLimits::claim(const IpAddress& key, bool network, TimePoint now) {
    if (Counters* known = find(key, network))
        return known;
    Counters* victim = nullptr;
    double least = 0;
    for (Counters *other = set_of(key, network), *end = other + ways; other != end; ++other) {
        if (other->sessions > 0)
            continue;
        const double filled = fill(*other, now);
        if (!victim || filled < least) {
            victim = other;
            least = filled;
        }
    }
    if (victim) {
        *victim = Counters();
        victim->key = key;
        victim->network = network;
        victim->updated = now;
    }
    return victim;
}

// Why no session may begin.
std::optional<Excess> ClientLimits::find_excess(const Counters* counters, LimitScope scope,
                                                TimePoint now) {
    if (!counters)
        return std::nullopt;
    Counters present = *counters;
    drain(present, scope, now);
    const auto level = [&](Measure measure) { return present.level[static_cast<size_t>(measure)]; };
    const uint32_t at_once = rates(scope).sessions;
    if (at_once != 0 && present.sessions >= at_once)
        return Excess{scope, Measure::sessions, true};
    const double sessions = limit(scope, Measure::sessions);
    if (sessions != 0 && level(Measure::sessions) + 1 > sessions + rounding)
        return Excess{scope, Measure::sessions};
    const double errors = limit(scope, Measure::errors);
    if (errors != 0 && level(Measure::errors) + 1 > errors + rounding)
        return Excess{scope, Measure::errors};
    return std::nullopt;
}

std::variant<std::unique_ptr<ClientLimits::Account>, Excess>
ClientLimits::admit(const IpAddress& client, TimePoint now) {
    if (is_exempt(client))
        return std::make_unique<Account>(*this, std::array<Counters*, limit_scopes>{});
    const IpAddress network = client_network(client);
    std::array<Counters*, limit_scopes> counters{find(client, false), find(network, true), &all_};
    for (LimitScope scope : scopes)
        if (auto excess = find_excess(counters[static_cast<size_t>(scope)], scope, now))
            return *excess;
    // Each is held before the next one looks for room.
    for (LimitScope scope : scopes) {
        Counters*& place = counters[static_cast<size_t>(scope)];
        if (scope != LimitScope::all)
            place = claim(scope == LimitScope::address ? client : network,
                          scope == LimitScope::network, now);
        // Where the table is full of those who are here, this one is not counted.
        if (place)
            ++place->sessions;
    }
    auto account = std::make_unique<Account>(*this, counters);
    account->note(Measure::sessions, 1, now);
    return account;
}

ClientLimits::Account::~Account() {
    for (Counters* counters : counters_)
        if (counters)
            --counters->sessions;
}

std::optional<Excess> ClientLimits::Account::take(Measure measure, TimePoint now) {
    std::optional<Excess> too_many = excess(measure, now);
    if (!too_many)
        note(measure, 1, now);
    return too_many;
}

void ClientLimits::Account::note(Measure measure, double amount, TimePoint now) {
    for (LimitScope scope : scopes) {
        Counters* counters = counters_[static_cast<size_t>(scope)];
        if (!counters || limits_.limit(scope, measure) == 0)
            continue;
        limits_.drain(*counters, scope, now);
        counters->level[static_cast<size_t>(measure)] += amount;
    }
}

std::optional<Excess> ClientLimits::Account::excess(Measure measure, TimePoint now) {
    for (LimitScope scope : scopes) {
        Counters* counters = counters_[static_cast<size_t>(scope)];
        const double limit = limits_.limit(scope, measure);
        if (!counters || limit == 0)
            continue;
        limits_.drain(*counters, scope, now);
        if (counters->level[static_cast<size_t>(measure)] + 1 > limit + rounding)
            return Excess{scope, measure};
    }
    return std::nullopt;
}

} // namespace postern::listener
