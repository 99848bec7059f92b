// `pki NAME cert|key|dhe …`, `ca NAME cert PATH`, and the TLS options of `listen on`.
#include "common/config/grammar.h"

#include <algorithm>

#include "common/smtp/internationalized.h"
#include "common/smtp/text.h"

namespace postern::config {

namespace {

// Names of server, U-labels as A-labels, or "*".
std::optional<std::string> parse_pki_name(std::string_view text) {
    auto name = to_a_labels(text);
    if (!name || (name != "*" && (name->empty() || name->size() > 255 ||
                                  !std::all_of(name->begin(), name->end(), [](char c) {
                                      return is_ascii_letter(c) || is_ascii_digit(c) || c == '.' ||
                                             c == '-' || c == '_';
                                  }))))
        return std::nullopt;
    return name;
}

// OpenSSL's lists: names, joined by colons, with "!", "+", "-" and "@" before some.
bool is_cipher_list(std::string_view text) {
    constexpr size_t longest = 1000; // it is part of a destination's name
    return !text.empty() && text.size() <= longest &&
           std::all_of(text.begin(), text.end(), [](char c) {
               return is_ascii_letter(c) || is_ascii_digit(c) ||
                      std::string_view("-_+!@:=.,").find(c) != std::string_view::npos;
           });
}

struct Protocols {
    bool tls_1_2 = false;
    bool tls_1_3 = false;
};

// "TLSv1.2,TLSv1.3"; commas or colons between them. Two names that OpenSMTPD has stand for both.
std::optional<Protocols> parse_protocols(std::string_view text) {
    Protocols protocols;
    if (equal_ignoring_case(text, "secure") || equal_ignoring_case(text, "default"))
        return Protocols{true, true};
    while (!text.empty()) {
        const size_t end = text.find_first_of(",:");
        const std::string_view name = text.substr(0, end);
        if (equal_ignoring_case(name, "TLSv1.2"))
            protocols.tls_1_2 = true;
        else if (equal_ignoring_case(name, "TLSv1.3"))
            protocols.tls_1_3 = true;
        else
            return std::nullopt;
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    if (!protocols.tls_1_2 && !protocols.tls_1_3)
        return std::nullopt;
    return protocols;
}

} // namespace

std::string read_pki_name(TokenStream& in) {
    return read_value(in, "the name of a pki: a host name or \"*\"", parse_pki_name);
}

std::string read_ciphers(TokenStream& in) {
    return read_name(in, "a list of ciphers such as HIGH:!aNULL", is_cipher_list);
}

void parse_pki(Grammar& g) {
    const Position place = g.in.current().position;
    const std::string name = read_pki_name(g.in);
    if (g.in.failed())
        return;
    PkiSource& source = g.pkis.emplace(name, PkiSource{place, true}).first->second;
    Pki& pki = g.configuration.pkis[name];
    if (pki.line == 0)
        pki.line = place.line;
    if (g.in.accept("cert")) {
        pki.certificate = read_path(g.in);
    } else if (g.in.accept("key")) {
        pki.key = read_path(g.in);
    } else if (g.in.accept("dhe")) {
        g.in.refuse({"auto", "legacy"});
        g.in.expect("none");
    } else {
        g.in.fail();
    }
    source.good = source.good && !g.in.failed();
}

void parse_authority(Grammar& g) {
    const std::string name = read_pki_name(g.in);
    g.in.expect("cert");
    std::string path = read_path(g.in);
    if (!g.in.failed())
        g.configuration.authorities[name] = std::move(path);
}

namespace {

// What listeners and relays have in common: TlsOptions and RelayTls.
template <class Terms> bool parse_terms(Grammar& g, Options& options, Terms& tls) {
    if (options.accept("ca")) {
        tls.authority = read_pki_name(g.in);
        g.pki_references.push_back({tls.authority, g.in.position(), true});
        return true;
    }
    if (options.accept("ciphers")) {
        tls.ciphers = read_ciphers(g.in);
        return true;
    }
    if (options.accept("protocols")) {
        const Protocols protocols =
            read_value(g.in, "protocols: TLSv1.2, TLSv1.3 or both, such as \"TLSv1.2,TLSv1.3\"",
                       parse_protocols);
        tls.tls_1_2 = protocols.tls_1_2;
        tls.tls_1_3 = protocols.tls_1_3;
        return true;
    }
    return false;
}

} // namespace

bool parse_relay_tls(Grammar& g, Options& options, RelayTls& tls) {
    if (options.accept("no-mta-sts")) {
        tls.mta_sts = false;
        return true;
    }
    return parse_terms(g, options, tls);
}

bool parse_tls_option(Grammar& g, Options& options, TlsOptions& tls) {
    const Position place = g.in.current().position;
    if (options.accept("pki")) {
        tls.pkis.push_back(read_pki_name(g.in));
        g.pki_references.push_back({tls.pkis.back(), g.in.position(), false});
        options.allow_again("pki");
        return true;
    }
    if (parse_terms(g, options, tls))
        return true;
    static constexpr std::pair<std::string_view, TlsMode> modes[] = {
        {"tls", TlsMode::offered},
        {"tls-require", TlsMode::required},
        {"smtps", TlsMode::implicit}};
    for (const auto& [keyword, mode] : modes) {
        if (!options.accept(keyword))
            continue;
        if (tls.mode != TlsMode::none)
            g.in.fail(place, "only one of \"tls\", \"tls-require\" and \"smtps\" is possible");
        tls.mode = mode;
        tls.verify = mode != TlsMode::offered && g.in.accept("verify");
        return true;
    }
    return false;
}

void check_tls_options(Grammar& g, const Position& place, const TlsOptions& tls) {
    const bool has_options = !tls.pkis.empty() || !tls.authority.empty() || !tls.ciphers.empty() ||
                             !tls.tls_1_2 || !tls.tls_1_3;
    if (tls.mode == TlsMode::none && has_options)
        g.in.report(place, "this listener has options of TLS, but none of \"tls\", "
                           "\"tls-require\" and \"smtps\"");
    if (tls.verify && tls.authority.empty())
        g.in.report(place, "\"verify\" needs a \"ca\" that clients' certificates are verified by");
}

namespace {

// Which certificates a listener that names none has: those for its host name, or for any.
void choose_pkis(Grammar& g, Listen& listen, const Position& place) {
    TlsOptions& tls = listen.tls;
    if (tls.mode == TlsMode::none)
        return;
    if (tls.pkis.empty()) {
        const std::string& hostname =
            listen.hostname.empty() ? g.configuration.hostname : listen.hostname;
        for (const std::string& name : {hostname, std::string("*")})
            if (g.configuration.pkis.contains(name))
                tls.pkis.push_back(name);
        // The others serve clients that ask for these by name.
        if (!tls.pkis.empty() || g.configuration.pkis.size() == 1)
            for (const auto& [name, pki] : g.configuration.pkis)
                if (std::find(tls.pkis.begin(), tls.pkis.end(), name) == tls.pkis.end())
                    tls.pkis.push_back(name);
    }
    if (tls.pkis.empty())
        g.in.report(place, "this listener speaks TLS, but has no certificate: name one with "
                           "\"pki\"");
    if (tls.ciphers.empty())
        tls.ciphers = g.configuration.ciphers;
}

} // namespace

void check_pkis(Grammar& g) {
    // The keyholder is given all keys in one message, beside its settings.
    constexpr size_t most_pkis = 249;
    for (const auto& [name, pki] : g.configuration.pkis) {
        const auto& [place, good] = g.pkis.at(name);
        if (good && (pki.certificate.empty() || pki.key.empty()))
            g.in.report(place, "pki " + quoted(name) + " has no \"" +
                                   (pki.certificate.empty() ? "cert" : "key") + "\"");
        else if (g.configuration.pkis.size() > most_pkis)
            return g.in.report(place, "more than " + std::to_string(most_pkis) + " pkis");
    }
    for (const PkiReference& reference : g.pki_references) {
        const bool known = reference.is_authority
                               ? g.configuration.authorities.contains(reference.name)
                               : g.configuration.pkis.contains(reference.name);
        if (!known)
            g.in.report(reference.position, std::string("there is no ") +
                                                (reference.is_authority ? "ca " : "pki ") +
                                                quoted(reference.name));
    }
    for (size_t i = 0; i < g.configuration.listens.size(); ++i)
        choose_pkis(g, g.configuration.listens[i], g.listen_positions[i]);
}

} // namespace postern::config
