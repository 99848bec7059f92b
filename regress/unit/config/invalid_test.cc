// What is said of bad configurations: the place, what was found, what was expected.
#include <gtest/gtest.h>

#include "common/config/lexer.h"
#include "common/config/parse.h"
#include "common/config/token_stream.h"
#include "regress/unit/config/files.h"

namespace postern::test {
namespace {

const std::string a_directive =
    "expected a directive: action, bounce, ca, hostname, include, listen, listener, match, mda, "
    "mta, "
    "pki, queue, relay, resolver, smtp, socket, spool, srs, table, user, or \"name = value\"";

struct Snippet {
    std::string text;
    std::string errors; // one a line
};

// Files that snippets include or have as tables. "deep" is followed by deep1, deep2, …
std::map<std::string, std::string> texts() {
    std::map<std::string, std::string> texts = {
        {"loop", "# x\ninclude \"loop2\""},
        {"loop2", "include 'loop'"},
        {"bad", "spool /a\n  spool b\n"},
        {"/bad", "key: a\nnothing\nKEY b\n: x\n"},
        {"/notnets", "# nets\n10/8\n  example.org\n"},
        {"deep", "include \"deep1\""},
        {"/aliases", "# of this host\nroot: alice\nbad: \"alice\nrun: |cat,\n   bob\n"
                     "in: :include:/list\nnone: :include:/none\nshort: error:55 No\n"},
        {"/list", "alice\n|cat\n"},
        {"/empty", ""},
    };
    for (int i = 1; i < 20; ++i)
        texts["deep" + std::to_string(i)] = "include \"deep" + std::to_string(i + 1) + "\"";
    return texts;
}

std::string errors_of(const std::string& text) {
    const Files files(texts());
    const ParsedConfiguration parsed = parse_configuration("f", text, files.reader());
    EXPECT_EQ(parsed.configuration.has_value(), parsed.errors.empty());
    std::string errors;
    for (const Diagnostic& error : parsed.errors)
        errors += (errors.empty() ? "" : "\n") + error.to_string();
    return errors;
}

void expect_errors(const std::vector<Snippet>& snippets) {
    for (const Snippet& snippet : snippets) {
        const bool has_rule = snippet.text.find("match") != std::string::npos;
        EXPECT_EQ(errors_of(snippet.text + (has_rule ? "" : "\nmatch reject")), snippet.errors)
            << snippet.text;
    }
}

TEST(Invalid, Directives) {
    expect_errors({
        {"foo", std::string(R"(f:1:1: found "foo", )") + a_directive},
        {R"("foo" bar)", std::string(R"(f:1:1: found "foo", )") + a_directive},
        {"{ a }", std::string(R"(f:1:1: found "{", )") + a_directive},
        {"= x", std::string(R"(f:1:1: found "=", )") + a_directive},
        {R"(filter "rspamd" proc-exec "filter-rspamd")",
         R"(f:1:1: "filter" is a known smtpd.conf keyword, but this version does not support it here)"},
        {"bounce 1h", R"(f:1:8: found "1h", expected warn-interval)"},
        {"bounce warn-interval 1h,",
         "f:1:25: found end of line, expected a time such as 30s, 5m, 4h or 1d12h"},
        {"bounce warn-interval 1h, 2h, 3h, 4h, 5h",
         "f:1:36: no more than four delays are possible"},
        {"queue warn-delay 0s",
         R"(f:1:18: found "0s", expected a time such as 30s, 5m, 4h or 1d12h)"},
        {"srs key secret",
         R"(f:1:9: found "secret", expected a secret of 16 to 256 printable characters)"},
        {"srs key backup \"0123456789abcdef\"",
         R"(f:1:5: "srs", but no "srs key" to rewrite addresses by)"},
        {"srs ttl 36h", R"(f:1:9: found "36h", expected whole days, 500 at most, such as 4d)"},
        {"srs ttl 501d", R"(f:1:9: found "501d", expected whole days, 500 at most, such as 4d)"},
        {"srs domain a@b", R"(f:1:12: found "a@b", expected a domain)"},
        {"srs domain a_b.example", R"(f:1:12: found "a_b.example", expected a domain)"},
        {"hostname a_b.example\nsrs key \"0123456789abcdef\"",
         R"(f:2:5: "a_b.example" is no domain that an address can have: "srs domain" is missing)"},
        {"srs key \"0123456789abcdef\"\nsrs key \"0123456789abcdeg\"",
         R"(f:2:5: "srs key" is given already: others are "srs key backup")"},
        {"srs", "f:1:4: found end of line, expected one of: key, ttl, domain"},
        {"mta max-deferred 100",
         R"(f:1:5: "max-deferred" is a known smtpd.conf keyword, but this version does not support it here)"},
        {"mta", "f:1:4: found end of line, expected limit"},
        {"mta limit", "f:1:10: found end of line, expected one of: src, for, max-deliveries, rate"},
        {"mta limit for a.example", R"(f:1:15: found "a.example", expected domain)"},
        {"mta limit for domain a.example",
         "f:1:31: found end of line, expected one of: max-deliveries, rate"},
        {"mta limit for domain a@b rate 1/1s",
         R"(f:1:22: found "a@b", but "mta limit for domain" needs a domain, not an address)"},
        {"mta limit for domain <x> rate 1/1s", R"(f:1:22: there is no table "x")"},
        {"mta limit inet6",
         R"(f:1:11: "inet6" is a known smtpd.conf keyword, but this version does not support it here)"},
        {"ca lab cert /ca\naction a relay ca lab",
         R"(f:2:16: "ca", but no certificate is demanded: "tls" is missing)"},
        {"ca lab cert /ca\naction a relay tls no-verify ca lab",
         R"(f:2:16: "ca", but no certificate is demanded: "tls" is missing)"},
        {"action a relay ciphers " + std::string(1001, 'A'),
         "f:1:24: found \"" + std::string(60, 'A') +
             "...\", expected a list of ciphers such as HIGH:!aNULL"},
        {"mta limit src", "f:1:14: found end of line, expected an address"},
        {"mta limit src a.example rate 1/1s", R"(f:1:15: found "a.example", expected an address)"},
        {"mta limit src 192.0.2.1",
         "f:1:24: found end of line, expected one of: max-deliveries, rate"},
        {"mta limit src 192.0.2.1 rate 1/1s\nmta limit src 192.0.2.1 rate 2/1s",
         "f:2:15: 192.0.2.1 has a limit already"},
        {"mta limit max-deliveries 0", R"(f:1:26: found "0", expected a number from 1 to 10000)"},
        {"mta limit rate 1/1m rate 2/1m", R"(f:1:21: "rate" is given twice)"},
        {"mta limit rate 100",
         R"(f:1:16: found "100", expected messages in a time, such as 100/1m)"},
        {"mta limit rate 0/1m",
         R"(f:1:16: found "0/1m", expected messages in a time, such as 100/1m)"},
        {"mta limit rate 1000001/1m",
         R"(f:1:16: found "1000001/1m", expected messages in a time, such as 100/1m)"},
        {"mta limit rate 1/0s",
         R"(f:1:16: found "1/0s", expected messages in a time, such as 100/1m)"},
        {"queue retry", "f:1:12: found end of line, expected one of: for, on, delay, max"},
        {"queue retry on throttled",
         R"(f:1:25: found end of line, expected one of: ",", delay, max)"},
        {"queue retry on nothing delay 1m",
         R"(f:1:16: found "nothing", expected one of: unreachable, throttled, mailbox, resolver, other)"},
        {"queue retry delay 5h",
         "f:1:7: the first retry (18000s) would be later than the last may be "
         "(14400s)"},
        {"queue retry max 1m",
         "f:1:7: the first retry (300s) would be later than the last may be (60s)"},
    });
}

TEST(Invalid, Auth) {
    const std::string pair = "pki m1 cert /c\npki m1 key /k\n";
    const std::string users = pair + "table users { bob = \"*\" }\ntable list { bob, eve }\n"
                                     "table owners { bob = \"bob@x.example\" }\n";
    const std::string source_expected =
        "expected a <table> of credentials, \"dovecot:/path\" or \"pam:service\"";
    const std::string service_expected =
        "expected \"pam:\" and the name of a PAM service: 1 to 64 letters, digits, \"-\" and "
        "\"_\"";
    const std::string long_name = "pam:" + std::string(65, 'x');
    const std::string hash_expected =
        "needs: the hash of a password, as \"smtpctl encrypt\" makes it: $y$, $2b$, $6$, $5$, "
        "$7$, $argon2id$ or SCRAM-SHA-256$";
    expect_errors({
        {users + "listen on lo tls auth users",
         R"(f:6:23: found "users", expected one of: "<", port, hostname, tag, no-dsn, no-smtputf8, binarymime, lmtp, proxy, proxy-v2, proxy-from, vrfy, etrn, normalise-from, xclient-from, pki, ca, ciphers, protocols, tls, tls-require, smtps, auth, auth-optional, senders, received-auth)"},
        {users + "listen on lo tls auth \"users\"", "f:6:23: found \"users\", " + source_expected},
        {users + "listen on lo tls auth-optional \"\"", "f:6:32: found \"\", " + source_expected},
        {users + "listen on lo tls auth { bob }", "f:6:23: found \"{\", " + source_expected},
        {users + "listen on lo tls auth pam:", "f:6:23: found \"pam:\", " + service_expected},
        {users + "listen on lo tls auth \"pam:../login\"",
         "f:6:23: found \"pam:../login\", " + service_expected},
        {users + "listen on lo tls auth \"pam:a b\"",
         "f:6:23: found \"pam:a b\", " + service_expected},
        {users + "listen on lo tls auth " + long_name,
         "f:6:23: found \"" + long_name.substr(0, 60) + "...\", " + service_expected},
        {users + "listen on lo tls auth \"pam:x\" \"pam:y\"",
         R"(f:6:31: found "pam:y", expected one of: port, hostname, tag, no-dsn, no-smtputf8, binarymime, lmtp, proxy, proxy-v2, proxy-from, vrfy, etrn, normalise-from, xclient-from, pki, ca, ciphers, protocols, tls, tls-require, smtps, auth, auth-optional, senders, received-auth)"},
        {users + "listen on lo auth",
         "f:6:11: passwords are taken under TLS only: this listener has authentication, but none "
         "of \"tls\", \"tls-require\" and \"smtps\""},
        {users + "table \"pam:x\" { a = \"*\" }", "f:6:7: found \"pam:x\", expected a table name"},
        {users + "listen on lo tls auth dovecot:run/auth",
         "f:6:23: found \"dovecot:run/auth\", expected \"dovecot:\" and the absolute path of a "
         "socket"},
        {users + "listen on lo tls auth <users> auth-optional <users>",
         R"(f:6:31: only one of "auth" and "auth-optional" is possible)"},
        {users + "listen on lo auth <users>",
         "f:6:11: passwords are taken under TLS only: this listener has authentication, but none "
         "of \"tls\", \"tls-require\" and \"smtps\""},
        {users + "listen on lo tls senders <owners>",
         "f:6:11: \"senders\" are those of authenticated users: this listener has neither "
         "\"auth\" nor \"auth-optional\""},
        {users + "listen on lo tls auth <users> senders { bob }",
         R"(f:6:39: "senders" needs a <table>: user = "addresses")"},
        {users + "listen on lo tls auth <users> senders <owners> masquerade",
         R"(f:6:48: "masquerade" is a known smtpd.conf keyword, but this version does not support it here)"},
        {users + "listen on lo tls auth <nobody>", R"(f:6:23: there is no table "nobody")"},
        {users + "listen on lo tls auth <list>",
         R"(f:6:23: table "list" is a list, but "auth" needs a mapping)"},
        {users + "listen on lo tls auth <users>\nmatch from src <users> for any reject",
         R"(f:7:16: table "users" is a mapping, but "from src" needs a list)"},
        // What may be a password is not shown.
        {pair + "table users { bob = secret, eve = \"$1$x$y\" }\nlisten on lo tls auth <users>",
         R"(f:3:15: the value of "bob" is not what "auth" )" + hash_expected +
             "\n"
             R"(f:3:29: the value of "eve" is not what "auth" )" +
             hash_expected},
        {users + "table s { bob = \"a@x, b c@x\" }\nlisten on lo tls auth <users> senders <s>",
         "f:6:11: the value of \"bob\" is not what \"senders\" needs: addresses set apart by "
         "commas: user, user@domain, @domain or <>"},
    });
}

TEST(Invalid, Tls) {
    const std::string pair = "pki m1 cert /c\npki m1 key /k\n";
    expect_errors({
        {"pki", "f:1:4: found end of line, expected the name of a pki: a host name or \"*\""},
        {"pki \"a b\" cert /c",
         R"(f:1:5: found "a b", expected the name of a pki: a host name or "*")"},
        {"pki m1", "f:1:7: found end of line, expected one of: cert, key, dhe"},
        {"pki m1 cert c", R"(f:1:13: found "c", expected an absolute path)"},
        {"pki m1 dhe maybe", R"(f:1:12: found "maybe", expected none)"},
        {"pki m1 dhe auto",
         R"(f:1:12: "auto" is a known smtpd.conf keyword, but this version does not support it here)"},
        {"pki m1 cert /c", R"(f:1:5: pki "m1" has no "key")"},
        {"pki m1 key /k", R"(f:1:5: pki "m1" has no "cert")"},
        {"ca staff key /k", R"(f:1:10: found "key", expected cert)"},
        {"listen on lo tls", "f:1:11: this listener speaks TLS, but has no certificate: name one "
                             "with \"pki\""},
        {"listen on lo tls pki m1", R"(f:1:22: there is no pki "m1")"},
        {pair + "listen on lo tls smtps", "f:3:18: only one of \"tls\", \"tls-require\" and "
                                          "\"smtps\" is possible"},
        {pair + "listen on lo tls tls", R"(f:3:18: "tls" is given twice)"},
        {pair + "listen on lo pki m1", "f:3:11: this listener has options of TLS, but none of "
                                       "\"tls\", \"tls-require\" and \"smtps\""},
        {pair + "listen on lo tls ca staff", R"(f:3:21: there is no ca "staff")"},
        {pair + "listen on lo smtps verify",
         R"(f:3:11: "verify" needs a "ca" that clients' certificates are verified by)"},
        {pair + "listen on lo tls protocols SSLv3",
         "f:3:28: found \"SSLv3\", expected protocols: TLSv1.2, TLSv1.3 or both, such as "
         "\"TLSv1.2,TLSv1.3\""},
        {pair + "listen on lo tls ciphers \"a b\"",
         R"(f:3:26: found "a b", expected a list of ciphers such as HIGH:!aNULL)"},
    });
}

TEST(Invalid, Listen) {
    expect_errors({
        {"listen", "f:1:7: found end of line, expected on"},
        {"listen 127.0.0.1", R"(f:1:8: found "127.0.0.1", expected on)"},
        {"listen on", "f:1:10: found end of line, expected an address, a host name, an interface "
                      "or the path of a socket"},
        {R"(listen on "")",
         R"(f:1:11: found "", expected an address, a host name, an interface or the path of a socket)"},
        {"listen on 192.0.2",
         R"(f:1:11: found "192.0.2", expected an address, a host name, an interface or the path of a socket)"},
        {"listen on 192.0.2.256",
         R"(f:1:11: found "192.0.2.256", expected an address, a host name, an interface or the path of a socket)"},
        {"listen on fe80::1%eth0",
         R"(f:1:11: found "fe80::1%eth0", expected an address, a host name, an interface or the path of a socket)"},
        {"listen on a/b",
         R"(f:1:11: found "a/b", expected an address, a host name, an interface or the path of a socket)"},
        {"listen on port 25",
         R"(f:1:11: found "port", expected an address, a host name, an interface or the path of a socket (a keyword must be quoted to be a value))"},
        {"listen on socket tag x",
         R"(f:1:11: "socket" is a known smtpd.conf keyword, but this version does not support it here)"},
        {"listen on 127.0.0.1 foo",
         R"(f:1:21: found "foo", expected one of: port, hostname, tag, no-dsn, no-smtputf8, binarymime, lmtp, proxy, proxy-v2, proxy-from, vrfy, etrn, normalise-from, xclient-from, pki, ca, ciphers, protocols, tls, tls-require, smtps, auth, auth-optional, senders, received-auth)"},
        {"pki m1 cert /c\npki m1 key /k\nlisten on lo smtps proxy",
         R"(f:3:11: a PROXY header before "smtps" is not supported by this version; "tls" behind a proxy is)"},
        {"listen on 127.0.0.1 proxy-from 192.0.2.1",
         R"(f:1:21: "proxy-from" without "proxy" or "proxy-v2")"},
        {"listen on 127.0.0.1 proxy proxy-from <lb>", R"(f:1:38: there is no table "lb")"},
        {"listen on 127.0.0.1 proxy proxy-from lb",
         R"(f:1:38: found "lb", but "proxy-from" needs an address or a network such as 192.0.2.0/24 or 2001:db8::/32)"},
        {"listen on 127.0.0.1 normalise-from insiders",
         R"(f:1:36: found "insiders", but "normalise-from" needs an address or a network such as 192.0.2.0/24 or 2001:db8::/32)"},
        {"listen on 127.0.0.1 xclient-from <lb>", R"(f:1:34: there is no table "lb")"},
        {"listen on 127.0.0.1 etrn",
         R"(f:1:25: found end of line, expected one of: "<", "{", a value)"},
        {"listen on 127.0.0.1 etrn \"a@b\"",
         R"(f:1:26: found "a@b", but "etrn" needs a domain, not an address)"},
        {"listen on \"/run/lmtp\" port 24",
         R"(f:1:23: found "port", expected one of: hostname, tag, no-dsn, no-smtputf8, binarymime, lmtp, proxy, proxy-v2, proxy-from, mode, group, vrfy, etrn, normalise-from, xclient-from, pki, ca, ciphers, protocols, tls, tls-require, smtps, auth, auth-optional, senders, received-auth)"},
        {"listen on \"/run/lmtp\" mode 888",
         R"(f:1:28: found "888", expected the mode of a file, such as 0660)"},
        {"listen on \"/run/lmtp\" mode 1777",
         R"(f:1:28: found "1777", expected the mode of a file, such as 0660)"},
        {"listen on \"/run/lmtp\" group \"a b\"",
         R"(f:1:29: found "a b", expected the name of a group)"},
        {"listen on \"/run/lmtp\" lmtp\nlisten on \"/run/lmtp\"",
         R"(f:2:11: "/run/lmtp" is listened on already (line 1))"},
        {"listen on \"/" + std::string(107, 'a') + "\"",
         "f:1:11: found \"/" + std::string(59, 'a') +
             "...\", expected an address, a host name, an interface or the path of a socket"},
        {"listen on 127.0.0.1 vrfy vrfy", R"(f:1:26: "vrfy" is given twice)"},
        {"listen on 127.0.0.1 lmtp port 25",
         "f:1:11: LMTP is not spoken on port 25, where others expect SMTP (RFC 2033 5)"},
        {"listen on 127.0.0.1 port smtp lmtp",
         "f:1:11: LMTP is not spoken on port 25, where others expect SMTP (RFC 2033 5)"},
        {"listen on 127.0.0.1 port", "f:1:25: found end of line, expected a port: 1 to 65535, "
                                     "smtp, submission, submissions or smtps"},
        {"listen on 127.0.0.1 port 0",
         R"(f:1:26: found "0", expected a port: 1 to 65535, smtp, submission, submissions or smtps)"},
        {"listen on 127.0.0.1 port 65536",
         R"(f:1:26: found "65536", expected a port: 1 to 65535, smtp, submission, submissions or smtps)"},
        {"listen on 127.0.0.1 port http",
         R"(f:1:26: found "http", expected a port: 1 to 65535, smtp, submission, submissions or smtps)"},
        {"listen on 127.0.0.1 port -1",
         R"(f:1:26: found "-1", expected a port: 1 to 65535, smtp, submission, submissions or smtps)"},
        {"listen on 127.0.0.1 port 25 port 26", R"(f:1:29: "port" is given twice)"},
        {"listen on 127.0.0.1 25",
         R"(f:1:21: found "25", expected one of: port, hostname, tag, no-dsn, no-smtputf8, binarymime, lmtp, proxy, proxy-v2, proxy-from, vrfy, etrn, normalise-from, xclient-from, pki, ca, ciphers, protocols, tls, tls-require, smtps, auth, auth-optional, senders, received-auth)"},
        {"listen on 127.0.0.1 inet4",
         R"(f:1:21: "inet4" is a known smtpd.conf keyword, but this version does not support it here)"},
        {R"(listen on 127.0.0.1 filter "dkimsign")",
         R"(f:1:21: "filter" is a known smtpd.conf keyword, but this version does not support it here)"},
        {R"(listen on 127.0.0.1 hostname "a b")", R"(f:1:30: found "a b", expected a host name)"},
        {"listen on 127.0.0.1 tag 0123456789012345678901234567890x",
         R"(f:1:25: found "0123456789012345678901234567890x", expected a tag of at most 31 bytes)"},
        {"listen on lo\nlisten on lo port smtp",
         R"(f:2:11: "lo" port 25 is listened on already (line 1))"},
    });
}

TEST(Invalid, Settings) {
    expect_errors({
        {"spool relative/path", R"(f:1:7: found "relative/path", expected an absolute path)"},
        {"spool", "f:1:6: found end of line, expected an absolute path"},
        {"spool /a /b", R"(f:1:10: found "/b", expected end of line)"},
        {R"(spool "/a)", "f:1:7: this string is not closed before the end of the line"},
        {"spool '/a", "f:1:7: this string is not closed before the end of the line"},
        {"spool \"/a\x01"
         "b\"",
         R"(f:1:10: found "\x01" in a string)"},
        {R"(spool \a)", "f:1:7: a backslash may only stand at the end of a line or between quotes"},
        {"spool (/a)", R"(f:1:7: found "(" outside of quotes)"},
        {"socket relative",
         R"(f:1:8: found "relative", expected an absolute path of at most 107 bytes)"},
        {R"(hostname "-bad")", R"(f:1:10: found "-bad", expected a host name)"},
        {"hostname 1.2.3.4", R"(f:1:10: found "1.2.3.4", expected a host name)"},
        {"user nobody x",
         R"(f:1:6: found "nobody", expected one of: listener, keyholder, resolver, lookup, control, queue, relay, local, pam, tables)"},
        {"user queue", "f:1:11: found end of line, expected a user name"},
        {R"(user queue "a:b")", R"(f:1:12: found "a:b", expected a user name)"},
        {"user queue -x", R"(f:1:12: found "-x", expected a user name)"},
        {"listener 4", R"(f:1:10: found "4", expected processes)"},
        {"listener processes", "f:1:19: found end of line, expected a number from 1 to 256"},
        {"listener processes 0", R"(f:1:20: found "0", expected a number from 1 to 256)"},
        {"listener processes 257", R"(f:1:20: found "257", expected a number from 1 to 256)"},
        {"relay processes many", R"(f:1:17: found "many", expected a number from 1 to 256)"},
        {"resolver", "f:1:9: found end of line, expected one of: system, recursive, forward"},
        {"resolver none", R"(f:1:10: found "none", expected one of: system, recursive, forward)"},
        {"resolver forward", "f:1:17: found end of line, expected the address of a name server"},
        {"resolver forward localhost",
         R"(f:1:18: found "localhost", expected the address of a name server)"},
        {"resolver forward 127.0.0.1 port",
         "f:1:32: found end of line, expected a port from 1 to 65535"},
        {"resolver forward 127.0.0.1,",
         "f:1:28: found end of line, expected the address of a name server"},
        {"resolver forward 127.0.0.1 127.0.0.2",
         R"(f:1:28: found "127.0.0.2", expected one of: port, ",", trust-anchor, timeout)"},
        {"resolver system trust-anchor relative",
         R"(f:1:30: found "relative", expected an absolute path)"},
        {"resolver system timeout 0s",
         R"(f:1:25: found "0s", expected a time such as 30s, 5m, 4h or 1d12h)"},
        {"resolver system timeout 3s timeout 4s", R"(f:1:28: "timeout" is given twice)"},
        {"smtp", "f:1:5: found end of line, expected one of: limit, max-message-size, ciphers"},
        {"smtp foo", R"(f:1:6: found "foo", expected one of: limit, max-message-size, ciphers)"},
        {R"(smtp sub-addr-delim "-")",
         R"(f:1:6: "sub-addr-delim" is a known smtpd.conf keyword, but this version does not support it here)"},
        {"smtp max-message-size", "f:1:22: found end of line, expected a size from 1 to 4294967295 "
                                  "bytes, such as 10485760 or 35M"},
        {"smtp max-message-size 0",
         R"(f:1:23: found "0", expected a size from 1 to 4294967295 bytes, such as 10485760 or 35M)"},
        {"smtp max-message-size 4G",
         R"(f:1:23: found "4G", expected a size from 1 to 4294967295 bytes, such as 10485760 or 35M)"},
        {"smtp max-message-size 99999999999999999999",
         R"(f:1:23: found "99999999999999999999", expected a size from 1 to 4294967295 bytes, such as 10485760 or 35M)"},
        {"smtp max-message-size 35T",
         R"(f:1:23: found "35T", expected a size from 1 to 4294967295 bytes, such as 10485760 or 35M)"},
        {"smtp limit",
         "f:1:11: found end of line, expected one of: per-address, per-network, in-all, exempt, "
         "max-rcpt, max-mails, max-sessions, max-errors, max-hops, max-commands, max-bytes, "
         "max-memory, max-hold"},
        {"smtp limit max-rcpt 1 max-foo 3",
         R"(f:1:23: found "max-foo", expected one of: max-rcpt, max-mails, max-sessions, max-errors, max-hops, max-commands, max-bytes, max-memory, max-hold)"},
        {"smtp limit per-address",
         "f:1:23: found end of line, expected one of: sessions, session-rate, command-rate, "
         "error-rate, mail-rate, rcpt-rate, byte-rate"},
        {"smtp limit in-all sessions 3",
         R"(f:1:19: found "sessions", expected one of: session-rate, command-rate, mail-rate, rcpt-rate, byte-rate)"},
        {"smtp limit per-network byte-rate 2048G",
         R"(f:1:34: found "2048G", expected a size from 1 byte to 1024G, such as 64K or 100M)"},
        {"smtp limit exempt <nets>", R"(f:1:19: there is no table "nets")"},
        {"smtp limit exempt { example.org }",
         R"(f:1:21: found "example.org", but "smtp limit exempt" needs an address or a network such as 192.0.2.0/24 or 2001:db8::/32)"},
        {"smtp limit max-rcpt 0", R"(f:1:21: found "0", expected a number from 1 to 100000)"},
        {"smtp limit max-rcpt 3 max-rcpt 4", R"(f:1:23: "max-rcpt" is given twice)"},
        {"queue foo",
         R"(f:1:7: found "foo", expected one of: ttl, retry-delay, retry-max, retry, warn-delay, limit)"},
        {"queue ttl", "f:1:10: found end of line, expected a time such as 30s, 5m, 4h or 1d12h"},
        {"queue ttl 4", R"(f:1:11: found "4", expected a time such as 30s, 5m, 4h or 1d12h)"},
        {"queue ttl 0s", R"(f:1:11: found "0s", expected a time such as 30s, 5m, 4h or 1d12h)"},
        {"queue ttl 4h1d", R"(f:1:11: found "4h1d", expected a time such as 30s, 5m, 4h or 1d12h)"},
        {"queue ttl 4w", R"(f:1:11: found "4w", expected a time such as 30s, 5m, 4h or 1d12h)"},
        {"queue ttl 3651d",
         R"(f:1:11: found "3651d", expected a time such as 30s, 5m, 4h or 1d12h)"},
        {"queue ttl -4d", R"(f:1:11: found "-4d", expected a time such as 30s, 5m, 4h or 1d12h)"},
        {"queue compression",
         R"(f:1:7: "compression" is a known smtpd.conf keyword, but this version does not support it here)"},
        {R"(queue encryption "key")",
         R"(f:1:7: "encryption" is a known smtpd.conf keyword, but this version does not support it here)"},
        {"queue retry-delay 5h", "f:1:7: the first retry (18000s) would be later than "
                                 "\"queue retry-max\" allows (14400s)"},
        {"queue retry-delay 5h\nqueue retry-max 6h\nqueue retry-delay 7h",
         "f:3:7: the first retry (25200s) would be later than \"queue retry-max\" allows (21600s)"},
        {"queue limit max-foo 3",
         R"(f:1:13: found "max-foo", expected one of: max-per-destination, max-in-memory)"},
    });
}

TEST(Invalid, Actions) {
    const std::string pair = "pki m1 cert /c\npki m1 key /k\n";
    const std::string secrets = "table s { me = \"bob:secret\" }\n";
    std::string many = "h10";
    for (int i = 11; i < 43; ++i)
        many += ", h" + std::to_string(i);
    expect_errors({
        {"action", "f:1:7: found end of line, expected an action name"},
        {"action local relay",
         R"(f:1:8: found "local", expected an action name (a keyword must be quoted to be a value))"},
        {"action x", "f:1:9: found end of line, expected one of: relay, maildir, mbox, mda, lmtp, "
                     "expand-only, forward-only"},
        {"action x foo",
         R"(f:1:10: found "foo", expected one of: relay, maildir, mbox, mda, lmtp, expand-only, forward-only)"},
        {R"(action x mda)", "f:1:13: found end of line, expected a command"},
        {R"(action x mda "mda -f - | tee")",
         "f:1:14: '|' means nothing here, because no shell reads the command: put it in single "
         "quotes, or begin with /bin/sh -c"},
        {R"(action x mda "mda %{foo}")", R"(f:1:14: unknown format specifier "foo")"},
        {R"(action x mda "mda" wrapper "w")",
         R"(f:1:28: there is no mda wrapper "w" above this line)"},
        {R"(mda wrapper w "nice")", "f:1:15: a wrapper has to have %{mda} in it, once"},
        {"mda wrapper w \"nice %{mda}\"\nmda wrapper w \"nice %{mda}\"",
         R"(f:2:13: mda wrapper "w" is defined already (f:1))"},
        {R"(action x mbox wrapper "w")",
         R"(f:1:15: "wrapper" is a known smtpd.conf keyword, but this version does not support it here)"},
        {R"(action x mbox "%{foo}")", R"(f:1:15: unknown format specifier "foo")"},
        {"action x forward-only", R"(f:1:22: expected "alias" or "virtual" with a table)"},
        {"action x relay foo",
         R"(f:1:16: found "foo", expected one of: ttl, tls, pki, srs, host, domain, backup, helo, helo-src, src, auth, proxy, no-mta-sts, ca, ciphers, protocols)"},
        {"action x relay host",
         "f:1:20: found end of line, expected a relay URL such as smtp://host:port"},
        {"action x relay host <t>", R"(f:1:21: there is no table "t")"},
        {"action x relay host { a, \"foo://b\" }",
         R"(f:1:26: found "foo://b", but "relay host" needs one of: smtp://, smtp+notls://, smtp+tls://, smtps://, lmtp://)"},
        {"table t { a = b }\naction x relay host <t>",
         R"(f:2:21: table "t" is a mapping, but "relay host" needs a list)"},
        {"table t { a }\naction x relay domain <t>",
         R"(f:2:23: table "t" is a list, but "relay domain" needs a mapping)"},
        {"table t { a = \"smtp://b, foo://c\" }\naction x relay domain <t>",
         R"(f:1:11: the value of "a" is not what "relay domain" needs: one of: smtp://, smtp+notls://, smtp+tls://, smtps://, lmtp://)"},
        {"table t { a = b }\naction x relay domain <t> host c",
         R"(f:2:27: only one of "host", "domain" and "backup" is possible)"},
        {"action x relay backup mx \"a b\"", R"(f:1:26: found "a b", expected a host name)"},
        {R"(action x relay host "foo://bar")",
         R"(f:1:21: found "foo://bar", expected one of: smtp://, smtp+notls://, smtp+tls://, smtps://, lmtp://)"},
        {"action x relay host smtp://",
         R"(f:1:21: found "smtp://", expected a host name or an address)"},
        {"action x relay host smtp://[::1",
         R"(f:1:21: found "smtp://[::1", expected "]" behind the address)"},
        {"action x relay host smtp://2001:db8::1",
         R"(f:1:21: found "smtp://2001:db8::1", expected a port from 1 to 65535 behind the host (IPv6 needs brackets))"},
        {"action x relay host smtp://a:0",
         R"(f:1:21: found "smtp://a:0", expected a port from 1 to 65535 behind the host (IPv6 needs brackets))"},
        {"action x relay host smtp://a:99999",
         R"(f:1:21: found "smtp://a:99999", expected a port from 1 to 65535 behind the host (IPv6 needs brackets))"},
        {"action x relay host smtp://bob@a",
         R"(f:1:21: found "smtp://bob@a", expected smtp+tls:// or smtps:// in front of a label: a password needs TLS)"},
        {"action x relay host smtp+notls://a tls",
         "f:1:16: options of TLS, for a host that is not spoken to by TLS"},
        {"action x relay ca lab host smtps://a", R"(f:1:19: there is no ca "lab")"},
        {"action x relay protocols TLSv1.3 host lmtp://a",
         "f:1:16: options of TLS, for a host that is not spoken to by TLS"},
        {"action x relay tls verify",
         R"(f:1:20: found "verify", expected one of: no-verify, ttl, tls, pki, srs, host, domain, backup, helo, helo-src, src, auth, proxy, no-mta-sts, ca, ciphers, protocols)"},
        {R"(action x relay host "a b")",
         R"(f:1:21: found "a b", expected a host name or an address)"},
        {"action x relay host a host b", R"(f:1:23: "host" is given twice)"},
        {"action x relay src mx.example.org",
         R"(f:1:20: found "mx.example.org", expected an address)"},
        {"action x relay src <t>", R"(f:1:20: there is no table "t")"},
        {"action x relay src { 192.0.2.1, mx.example }",
         R"(f:1:33: found "mx.example", but "src" needs an address)"},
        {"table t { 192.0.2.1 = a }\naction x relay helo-src <t>",
         R"(f:2:16: "helo-src", but no "src")"},
        {"table t { 192.0.2.1 = \"a b\" }\naction x relay src 192.0.2.1 helo-src <t>",
         R"(f:1:11: the value of "192.0.2.1" is not what "helo-src" needs: a host name or an address literal)"},
        {"mta limit src 192.0.2.1 max-deliveries 1\nmta limit src 2001:db8::1 max-deliveries 1\n"
         "action x relay src { 192.0.2.1, 2001:db8::1 }",
         R"(f:3:8: "mta limit src" for IPv4 and for IPv6 addresses of the same "src": give each family an action of its own)"},
        {R"(action x relay helo "x y")",
         R"(f:1:21: found "x y", expected a host name or an address literal)"},
        {"action x relay tls pki mx.example", R"(f:1:24: there is no pki "mx.example")"},
        {pair + "action x relay pki m1",
         "f:3:16: \"pki\", but TLS is not demanded: \"tls\" is missing"},
        {pair + "action x relay pki m1 host { smtps://a, smtp://b }",
         R"(f:3:41: in action "x": "pki", but TLS is not demanded: "tls" is missing)"},
        {"action x relay tls host { smtp://a, smtp+notls://b }",
         R"(f:1:37: in action "x": options of TLS, for a host that is not spoken to by TLS)"},
        {"table t { a = \"smtp://b, lmtp://c\" }\naction x relay tls no-verify domain <t>",
         R"(f:1:11: in action "x": options of TLS, for a host that is not spoken to by TLS)"},
        {"ca lab cert /ca\naction x relay ca lab host { smtp://a, smtp://b }",
         R"(f:2:8: "ca", but no certificate is demanded: "tls" is missing)"},
        {"action x relay host { smtps://me@a }",
         R"(f:1:23: in action "x": a label, but no table of passwords: "auth" is missing)"},
        {secrets + "action x relay auth <s> host { smtps://me@a, smtps://you@b }",
         R"(f:2:46: in action "x": there is no label "you" in table "s")"},
        {secrets + "action x relay auth <s> host smtps://you@b",
         R"(f:2:8: there is no label "you" in table "s")"},
        {secrets + "action x relay auth <s> proxy socks5://you@b",
         R"(f:2:8: there is no label "you" in table "s")"},
        {"table t { h1 = a.example }\naction x relay src 192.0.2.1 helo-src <t>",
         R"(f:1:11: found "h1", but "helo-src" needs an address)"},
        {"table t /empty\naction x relay host <t>", R"(f:2:8: table "t" is empty)"},
        {"table t /empty\naction x relay src <t>", R"(f:2:8: table "t" is empty)"},
        {"action x relay host { " + many + " }", "f:1:183: more than 32 relay hosts"},
        {"table t { me = \"bob:secret\" }\naction x relay auth <t>",
         R"(f:2:16: "auth", but no label in a URL, such as smtp+tls://label@host)"},
        {"action x relay host smtps://me@a",
         R"(f:1:16: a label, but no table of passwords: "auth" is missing)"},
        {"table t { me = secret }\naction x relay host smtps://me@a auth <t>",
         R"(f:1:11: the value of "me" is not what "relay auth" needs: user:password)"},
        {"action x relay host smtps://@a",
         R"(f:1:21: found "smtps://@a", expected a label without blanks in front of "@")"},
        {"action x relay proxy http://a",
         R"(f:1:22: found "http://a", expected a proxy's URL such as socks5://host:port or proxy-v2://host:port)"},
        {"action x relay src 192.0.2.1 proxy proxy-v2://me@a:1",
         R"(f:1:36: found "proxy-v2://me@a:1", expected no label in front of "@": this protocol has no passwords)"},
        {"action x relay src 192.0.2.1 proxy proxy-v2://a",
         R"(f:1:36: found "proxy-v2://a", expected a port behind the host: this protocol has no usual one)"},
        {"action x relay src 192.0.2.1 proxy proxy-v2://a:0",
         R"(f:1:36: found "proxy-v2://a:0", expected a port from 1 to 65535 behind the host (IPv6 needs brackets))"},
        {"action x relay proxy proxy-v2://a:1",
         R"(f:1:16: "proxy" by proxy-v2://, which is told an address to connect from, but no "src")"},
        {"action x relay proxy socks5://me@a",
         R"(f:1:16: a label, but no table of passwords: "auth" is missing)"},
        {"action x relay srs", R"(f:1:8: in action "x": "srs", but there is no "srs key")"},
        {"action x relay ttl soon",
         R"(f:1:20: found "soon", expected a time such as 30s, 5m, 4h or 1d12h)"},
        {R"(action x maildir "/a/%{foo}")", R"(f:1:18: unknown format specifier "foo")"},
        {R"(action x maildir "/a/%{rcpt")", R"(f:1:18: a format specifier is not closed with '}')"},
        {R"(action x maildir "/a/%{rcpt:shout}")",
         R"(f:1:18: format specifier "rcpt:shout": "shout" is none of lowercase, uppercase, strip, raw)"},
        {R"(action x maildir "/a/%{rcpt[x]}")",
         R"(f:1:18: format specifier "rcpt[x]": expected an offset or a range in [])"},
        {R"(action x maildir "/a/%{rcpt[]}")",
         R"(f:1:18: format specifier "rcpt[]": expected an offset or a range in [])"},
        {R"(action x maildir "/a" junk)",
         R"(f:1:23: "junk" is a known smtpd.conf keyword, but this version does not support it here)"},
        {"action x maildir alias <aliases>", R"(f:1:24: there is no table "aliases")"},
        {"table t { a }\naction x maildir alias <t>",
         R"(f:2:24: table "t" is a list, but "alias" needs a mapping)"},
        {"table t { a = b }\naction x maildir alias <t> virtual <t>",
         R"(f:2:28: found "virtual", expected one of: alias, user, ttl)"},
        {"action x maildir host a",
         R"(f:1:18: found "host", expected one of: a path, alias, virtual, user, ttl (a keyword must be quoted to be a value))"},
        {"action x maildir rcpt-to",
         R"(f:1:18: found "rcpt-to", expected one of: a path, alias, virtual, user, ttl (a keyword must be quoted to be a value))"},
        {"action x lmtp", "f:1:14: found end of line, expected host:port or the path of a socket"},
        {"action x lmtp a:b",
         R"(f:1:15: found "a:b", expected a port from 1 to 65535 behind the host (IPv6 needs brackets))"},
        {R"(action x lmtp "a" virtual <v>)", R"(f:1:27: there is no table "v")"},
        {R"(action x lmtp "a" rcpt-to rcpt-to)", R"(f:1:27: "rcpt-to" is given twice)"},
        {"action x relay\naction x maildir", R"(f:2:8: action "x" is defined already (f:1))"},
    });
}

// Places in what an alias names are those of its key.
TEST(Invalid, Aliases) {
    expect_errors({
        {"table a file:/aliases\naction x maildir alias <a>",
         R"(/aliases:3:1: ""alice" has a quote that is not closed)"
         "\n"
         R"(/aliases:4:1: a command or a file, but action "x" has no "user" to run it as)"
         "\n"
         R"(/aliases:6:1: cannot include: /list: line 2: "|cat" may not be in an included file: only names and addresses may)"
         "\n"
         "/aliases:7:1: cannot include: /none: No such file or directory\n"
         R"(/aliases:8:1: "error:55 No" has no code of class 4 or 5 behind "error:")"},
        {R"(table a { x = "/var/x" })"
         "\naction x maildir alias <a> user root",
         R"(f:1:11: a command or a file, but nothing is run as root: action "x" needs another "user")"},
    });
}

TEST(Invalid, Tables) {
    expect_errors({
        {"table", "f:1:6: found end of line, expected a table name"},
        {"table t", R"(f:1:8: found end of line, expected one of: "{", file:/path)"},
        {"table t {",
         R"(f:2:1: found "match", expected a value (a keyword must be quoted to be a value))"},
        {"table t { }", R"(f:1:11: found "}", expected a value)"},
        {"table t { a",
         R"(f:2:1: found "match", expected one of: ",", "}", a value (a keyword must be quoted to be a value))"},
        {"table t { a, }", R"(f:1:14: found "}", expected a value)"},
        {"table t { , a }", R"(f:1:11: found ",", expected a value)"},
        {"table t { a,, b }", R"(f:1:13: found ",", expected a value)"},
        {"table t { a = }", R"(f:1:15: found "}", expected the value of the key)"},
        {"table t { a = b, c }", R"(f:1:20: found "}", expected one of: "=", "=>")"},
        {"table t { a, b = c }", R"(f:1:16: found "=", expected one of: ",", "}", a value)"},
        {"table t { a = b, A = c }", R"(f:1:18: key "A" is in this table already)"},
        {"table t { listen }",
         R"(f:1:11: found "listen", expected a value (a keyword must be quoted to be a value))"},
        {R"(table "<t>" { a })", R"(f:1:7: found "<t>", expected a table name)"},
        {"table t mysql:/etc/x.conf", R"(f:1:9: there are no tables of type "mysql")"},
        {"table t file:relative",
         R"(f:1:9: found "file:relative", expected { a list }, file:/path or "/path", or another type and its path)"},
        {"table t relative",
         R"(f:1:9: found "relative", expected { a list }, file:/path or "/path", or another type and its path)"},
        {"table t file:/missing",
         "f:1:9: cannot read the table: /missing: No such file or directory"},
        {"table t { a }\ntable t { b }", R"(f:2:7: table "t" is defined already (f:1))"},
        {"table t file:/bad", "/bad:2:1: expected a value behind the key: this table is a mapping\n"
                              "/bad:3:1: key \"KEY\" is in this table already\n"
                              R"(/bad:4:1: expected a key before ":")"},
        {"table t { a } b", R"(f:1:15: found "b", expected end of line)"},
    });
}

TEST(Invalid, Rules) {
    expect_errors({
        {"match",
         R"(f:1:6: found end of line, expected one of: "!", from, for, auth, helo, mail-from, rcpt-to, tag, tls, reject, action)"},
        {"match foo",
         R"(f:1:7: found "foo", expected one of: "!", from, for, auth, helo, mail-from, rcpt-to, tag, tls, reject, action)"},
        {"match from", "f:1:11: found end of line, expected one of: any, local, src, auth, "
                       "mail-from, rdns, socket"},
        {"match from foo",
         R"(f:1:12: found "foo", expected one of: any, local, src, auth, mail-from, rdns, socket)"},
        {"match for", "f:1:10: found end of line, expected one of: any, local, domain, rcpt-to"},
        {"match for domain", R"(f:1:17: found end of line, expected one of: "<", "{", a value)"},
        {R"(match for domain regex "x")",
         R"(f:1:18: "regex" is a known smtpd.conf keyword, but this version does not support it here)"},
        {"match from src regex <x>",
         R"(f:1:16: "regex" is a known smtpd.conf keyword, but this version does not support it here)"},
        {"match tag regex x reject",
         R"(f:1:11: "regex" is a known smtpd.conf keyword, but this version does not support it here)"},
        {"match for domain local reject",
         R"(f:1:18: found "local", expected one of: "<", "{", a value (a keyword must be quoted to be a value))"},
        {R"(match ! action "x")",
         R"(f:1:9: found "action", expected one of: from, for, auth, helo, mail-from, rcpt-to, tag, tls)"},
        {"match from any from local reject", R"(f:1:16: "from" is given already in this rule)"},
        {"match from auth auth reject", R"(f:1:17: "auth" is given already in this rule)"},
        {"match rcpt-to a for rcpt-to b reject",
         R"(f:1:21: "rcpt-to" is given already in this rule)"},
        {"match tls tls reject", R"(f:1:11: "tls" is given already in this rule)"},
        {"match from any for any",
         R"(f:1:23: found end of line, expected one of: "!", from, for, auth, helo, mail-from, rcpt-to, tag, tls, reject, action)"},
        {"match from any for any action", "f:1:30: found end of line, expected an action name"},
        {"match from any for any action x", R"(f:1:31: there is no action "x")"},
        {R"(match from any for any action "x" tag y)",
         "f:1:31: there is no action \"x\"\n"
         R"(f:1:35: found "tag", expected end of line)"},
        {"match for domain <t> reject", R"(f:1:18: there is no table "t")"},
        {"match for domain < reject",
         R"(f:1:20: found "reject", expected a table name (a keyword must be quoted to be a value))"},
        {"match for domain <t reject", R"(f:1:21: found "reject", expected ">")"},
        {"match for domain { a } { b } reject",
         R"(f:1:24: found "{", expected one of: "!", from, for, auth, helo, mail-from, rcpt-to, tag, tls, reject, action)"},
        {"match for domain { } reject", R"(f:1:20: found "}", expected a value)"},
        {"match for domain { a = b } reject",
         R"(f:1:22: found "=", expected one of: ",", "}", a value)"},
        {"match from src example.org reject",
         R"(f:1:16: found "example.org", but "from src" needs an address or a network such as 192.0.2.0/24 or 2001:db8::/32)"},
        {"match from src 192.0.2.0/33 reject",
         R"(f:1:16: found "192.0.2.0/33", but "from src" needs an address or a network such as 192.0.2.0/24 or 2001:db8::/32)"},
        {"match from src { 192.0.2.1, x } reject",
         R"(f:1:29: found "x", but "from src" needs an address or a network such as 192.0.2.0/24 or 2001:db8::/32)"},
        {R"(match for domain "user@example.org" reject)",
         R"(f:1:18: found "user@example.org", but "for domain" needs a domain, not an address)"},
        {R"(match for domain "a b" reject)",
         R"(f:1:18: found "a b", but "for domain" needs a domain)"},
        {"match for domain [1.2.3] reject",
         R"(f:1:18: found "[1.2.3]", but "for domain" needs a domain)"},
        {R"(match mail-from "user@a b" reject)",
         R"(f:1:17: found "user@a b", but "mail-from" needs user, user@domain, @domain or <>)"},
        {R"(match rcpt-to "a@" reject)",
         R"(f:1:15: found "a@", but "rcpt-to" needs user, user@domain, @domain or <>)"},
        {R"(match tag "a b" reject)",
         R"(f:1:11: found "a b", but "tag" needs a name without blanks)"},
        {R"(match tag "" reject)", R"(f:1:11: found "", expected a value)"},
        {"table t { a = b }\nmatch for domain <t> reject",
         R"(f:2:18: table "t" is a mapping, but "for domain" needs a list)"},
        {"table t { 192.0.2.1\n  nonsense }\nmatch from src <t> for any reject\nmatch !from src "
         "<t> reject",
         R"(f:2:3: found "nonsense", but "from src" needs an address or a network such as 192.0.2.0/24 or 2001:db8::/32)"},
        {"table t file:/notnets\nmatch from src <t> reject",
         R"(/notnets:3:3: found "example.org", but "from src" needs an address or a network such as 192.0.2.0/24 or 2001:db8::/32)"},
    });
}

TEST(Invalid, InternationalizedNames) {
    const std::string no_domain =
        "\", but \"for domain\" needs a domain that IDNA 2008 knows (RFC 5890)";
    const std::string no_address = "\", but \"for rcpt-to\" needs user, user@domain, @domain or <>";
    expect_errors({
        {"match for domain \"\u2603.example\" reject",
         "f:1:18: found \"\u2603.example" + no_domain},
        {"match for domain \"b\u00fccher*.example\" reject",
         "f:1:18: found \"b\u00fccher*.example" + no_domain},
        {"match for domain { a,\n \"b\u00fccher\u3002example\" } reject",
         "f:2:2: found \"b\u00fccher\u3002example" + no_domain},
        {"match for domain \"b\xfc"
         "cher.example\" reject",
         "f:1:18: found \"b\\xfccher.example" + no_domain},
        {"match for domain \"\u00fc.example\u00a0\" reject",
         "f:1:18: found \"\u00fc.example\u00a0" + no_domain},
        {"table d { \"\u00fc.example\",\n\"xn--\u00fc.example\" }\nmatch for domain <d> reject",
         "f:2:1: found \"xn--\u00fc.example" + no_domain},
        {"match for rcpt-to \"u@\u2603.example\" reject",
         "f:1:19: found \"u@\u2603.example" + no_address},
        {"match for rcpt-to \"\xfc@b.example\" reject",
         "f:1:19: found \"\\xfc@b.example" + no_address},
        {"match for rcpt-to \"\u0085@b.example\" reject",
         "f:1:19: found \"\\xc2\\x85@b.example" + no_address},
        {"hostname \"\u2603.example\"", "f:1:10: found \"\u2603.example\", expected a host name"},
        {"listen on lo hostname \"-\u00fc.example\"",
         "f:1:23: found \"-\u00fc.example\", expected a host name"},
        {"action a relay host \"smtp://\u2603.example\"",
         "f:1:21: found \"smtp://\u2603.example\", expected a host name or an address"},
        {"table t { \"\u00fc\" = a,\n\"u\u0308\" = b }",
         "f:2:1: key \"u\u0308\" is in this table already"},
    });
}

TEST(Invalid, MacrosAndIncludes) {
    expect_errors({
        {"$foo", R"(f:1:1: macro "foo" is not defined)"},
        {"listen on $foo", R"(f:1:11: macro "foo" is not defined)"},
        {"$", R"(f:1:1: found "$", expected it to be followed by a macro name)"},
        {"a = $b", R"(f:1:5: macro "b" is not defined)"},
        {"a = \"$b\"\nb = \"x\"\nlisten on $a",
         "f:3:11: $b is not expanded within the value of a macro"},
        {R"(a = "x"  y)", R"(f:1:10: found "y", expected end of line)"},
        {"a =", "f:1:4: found end of line, expected the value of the macro"},
        {R"(listen = "x")",
         R"(f:1:1: found "listen", expected the name of a macro: letters, digits and "_", not a keyword)"},
        {R"(a-b = "x")",
         R"(f:1:1: found "a-b", expected the name of a macro: letters, digits and "_", not a keyword)"},
        {R"("a" = "x")",
         R"(f:1:1: found "a", expected the name of a macro: letters, digits and "_", not a keyword)"},
        {"a = \"}\"\ntable t $a", R"(f:2:9: found "}", expected one of: "{", file:/path)"},
        {"include", "f:1:8: found end of line, expected a path"},
        {R"(include "missing")", "f:1:9: cannot include: missing: No such file or directory"},
        {R"(include "loop")", R"(loop2:1:9: cannot include: "loop" includes itself)"},
        {R"(include "deep")", "deep14:1:9: cannot include: files are included more than 16 deep"},
        {R"(include "bad")", R"(bad:2:9: found "b", expected an absolute path)"},
        {R"(include "/etc/x" y)", R"(f:1:18: found "y", expected end of line)"},
    });
}

TEST(Invalid, SeveralErrors) {
    expect_errors({
        {"spool x\nqueue ttl y\n\nlisten on z port 0",
         "f:1:7: found \"x\", expected an absolute path\n"
         "f:2:11: found \"y\", expected a time such as 30s, 5m, 4h or 1d12h\n"
         R"(f:4:18: found "0", expected a port: 1 to 65535, smtp, submission, submissions or smtps)"},
        {"table t { a = b, c\n d }\nspool x",
         "f:1:19: found end of line, expected one of: \"=\", \"=>\"\n"
         R"(f:3:7: found "x", expected an absolute path)"},
        {"table t { a = b, c\nlisten on lo port 0\nspool x",
         "f:1:19: found end of line, expected one of: \"=\", \"=>\"\n"
         "f:2:19: found \"0\", expected a port: 1 to 65535, smtp, submission, submissions or "
         "smtps\n"
         R"(f:3:7: found "x", expected an absolute path)"},
        {"match for any action \"a\"\nmatch for any action \"b\"\naction \"a\" relay foo",
         "f:2:22: there is no action \"b\"\n"
         R"(f:3:18: found "foo", expected one of: ttl, tls, pki, srs, host, domain, backup, helo, helo-src, src, auth, proxy, no-mta-sts, ca, ciphers, protocols)"},
        {"action \"a\" foo\nmatch for any action \"a\"",
         R"(f:1:12: found "foo", expected one of: relay, maildir, mbox, mda, lmtp, expand-only, forward-only)"},
        {"table t { a,, b }\nmatch for domain <t> reject",
         R"(f:1:13: found ",", expected a value)"},
    });
}

TEST(Invalid, NothingToDo) {
    EXPECT_EQ(errors_of(""), "f: no match rule: every message would be refused");
    EXPECT_EQ(errors_of("spool /a"), "f: no match rule: every message would be refused");
    EXPECT_EQ(errors_of("spool a"), "f:1:7: found \"a\", expected an absolute path");
}

TEST(Invalid, BytesThatAreNoText) {
    EXPECT_EQ(errors_of(std::string("spool \0", 7)), "f:1:7: found \"\\x00\" outside of quotes");
    EXPECT_EQ(errors_of("\xff\xfe"), "f:1:1: found \"\\xff\" outside of quotes");
    EXPECT_EQ(errors_of("spool \"/\x1b[31m\""), "f:1:9: found \"\\x1b\" in a string");
    for (const char* text : {"match action \"\xc3\"", "match tag <\"\xc3\"> reject",
                             "table \"\xc3\" { a }\ntable \"\xc3\" { b }\nmatch reject",
                             "table \"\xc3\" { a = b }\nmatch tag <\"\xc3\"> reject",
                             "action \"\xc3\" relay\naction \"\xc3\" relay\nmatch reject"}) {
        const std::string error = errors_of(text);
        EXPECT_NE(error.find("\"\\xc3\""), std::string::npos) << error;
        EXPECT_EQ(error.find('\xc3'), std::string::npos) << error;
    }
    EXPECT_EQ(errors_of("spool \"x\xc3\xa4\""),
              "f:1:7: found \"x\xc3\xa4\", expected an absolute path");
    EXPECT_EQ(errors_of("spool \"x\u202e\u0085\""),
              "f:1:7: found \"x\\xe2\\x80\\xae\\xc2\\x85\", expected an absolute path");
    EXPECT_EQ(errors_of("spool /\u00e4"), "f:1:8: found \"\u00e4\" outside of quotes");
    EXPECT_EQ(errors_of("spool\u00a0/a"), "f:1:6: found \"\u00a0\" outside of quotes");
}

TEST(Invalid, NothingGrowsWithoutLimit) {
    const std::string long_word(config::token_limit + 1, 'x');
    EXPECT_EQ(errors_of("spool " + long_word), "f:1:7: this word is longer than 4096 bytes");
    EXPECT_EQ(errors_of("spool \"" + long_word + "\""),
              "f:1:7: this string is longer than 4096 bytes");
    EXPECT_EQ(errors_of("spool /" + std::string(200, 'x') + " y"),
              "f:1:209: found \"y\", expected end of line");
    EXPECT_EQ(errors_of("socket /" + std::string(107, 'x')),
              "f:1:8: found \"/" + std::string(59, 'x') +
                  "...\", expected an absolute path of at most 107 bytes");

    std::string expansions = "x = \"" + std::string(config::token_limit, ' ') + "\"\n";
    for (size_t i = 0; i <= config::expansion_limit / config::token_limit; ++i)
        expansions += "$x\n";
    EXPECT_EQ(errors_of(expansions + "match reject"),
              "f:258:1: macros expand to more than 1048576 bytes");

    std::string includes;
    for (size_t i = 0; i <= config::include_count_limit; ++i)
        includes += "include '/empty'\n";
    const Files files(std::map<std::string, std::string>{{"/empty", ""}});
    const ParsedConfiguration parsed = parse_configuration("f", includes, files.reader());
    ASSERT_EQ(parsed.errors.size(), 1u);
    EXPECT_EQ(parsed.errors[0].to_string(),
              "f:1001:9: cannot include: more than 1000 files are included");
}

TEST(Invalid, TheNumberOfErrorsIsBounded) {
    std::string text;
    for (int i = 0; i < 1000; ++i)
        text += "spool x\n";
    const ParsedConfiguration parsed = parse_configuration("f", text, Files().reader());
    ASSERT_EQ(parsed.errors.size(), config::error_limit + 1);
    EXPECT_EQ(parsed.errors.back().to_string(), "f:51:7: too many errors, the rest is not shown");
}

// Whatever stands there: an answer, in bounded time, and never both a configuration and errors.
TEST(Invalid, EveryPrefixAndEveryDamagedByteHasAnAnswer) {
    const std::string text = R"(dir = "/var/mail"
include "bad"
table t { a = b, "c" => d
  e = f }
table l { 192.0.2.1, 10/8 }
table f file:/notnets
smtp limit max-rcpt 10 max-mails 3
resolver forward 127.0.0.1 port 53, [::1] timeout 3s
listen on [::1] port 2525 hostname mx.example.org tag "x y"
action "in" maildir "$dir/%{rcpt.user[0:3]:lowercase|strip}" user vmail
action out relay host smtp+notls://[::1]:26 helo a.b src 192.0.2.1 ttl 4d12h
match !from src <l> mail-from { "@a", 'b' } for domain "*.x" \
  reject
match from any auth for any action out
)";
    for (size_t length = 0; length <= text.size(); ++length)
        errors_of(text.substr(0, length));
    for (size_t at = 0; at < text.size(); ++at) {
        for (char damage : {'\0', '"', '{', '}', '\n', '\\', '$', '#', '<', '=', '\xff'}) {
            std::string damaged = text;
            damaged[at] = damage;
            errors_of(damaged);
        }
        errors_of(text.substr(0, at) + text.substr(at + 1));
    }
}

} // namespace
} // namespace postern::test
