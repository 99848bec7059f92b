// What good configurations mean.
#include <gtest/gtest.h>

#include "common/config/parse.h"
#include "regress/unit/config/describe.h"
#include "regress/unit/config/files.h"

namespace postern::test {
namespace {

struct Snippet {
    std::string text;
    std::string meaning;
};

// Every configuration needs a rule: where a snippet has none, this one is put behind it.
constexpr const char* some_rule = "\nmatch reject\n";

std::string meaning_of(const std::string& text, const Files& files = Files()) {
    const ParsedConfiguration parsed = parse_configuration("smtpd.conf", text, files.reader());
    for (const Diagnostic& error : parsed.errors)
        ADD_FAILURE() << error.to_string();
    return parsed.configuration ? describe(*parsed.configuration) : "";
}

void expect_meanings(std::initializer_list<Snippet> snippets, const Files& files = Files()) {
    for (const Snippet& snippet : snippets) {
        SCOPED_TRACE(snippet.text);
        std::string text = snippet.text;
        const bool has_rule = text.find("match ") != std::string::npos;
        std::string meaning = meaning_of(text + (has_rule ? "" : some_rule), files);
        if (!has_rule) // drop its line, the last
            meaning.erase(meaning.rfind('\n', meaning.size() - 2) + 1);
        EXPECT_EQ(meaning, snippet.meaning);
    }
}

TEST(Valid, ASmallRelay) {
    EXPECT_EQ(meaning_of(R"(spool "/some/dir/spool"
socket "/some/dir/smtpd.sock"
listen on 127.0.0.1 port 2525
action "out" relay host smtp://127.0.0.1:2626
match from any for domain "dest.example" action "out"
)"),
              R"(spool /some/dir/spool
socket /some/dir/smtpd.sock
3: listen 127.0.0.1 2525
action out relay smtp://127.0.0.1 2626
5: from any, for domain dest.example, action out
)");
}

TEST(Valid, SeveralNextHops) {
    EXPECT_EQ(meaning_of(R"(smtp max-message-size 10485760
queue ttl 1d
listen on 127.0.0.1 port 2525 hostname mx.test.example
action "main" relay host smtp+notls://127.0.0.1:2626 helo mx.test.example
action "two" relay host smtp://127.0.0.2:2626 helo mx.test.example
match from any for domain "h2.dest.example" action "two"
match from any for domain "dest.example" action "main"
match from any for domain "mx.test.example" rcpt-to "postmaster@mx.test.example" action "main"
match from any auth for any action "main"
)"),
              R"(max-message-size 10485760
ttl 86400
3: listen 127.0.0.1 2525 hostname mx.test.example
action main relay smtp+notls://127.0.0.1 2626 helo mx.test.example
action two relay smtp://127.0.0.2 2626 helo mx.test.example
6: from any, for domain h2.dest.example, action two
7: from any, for domain dest.example, action main
8: from any, for domain mx.test.example, rcpt-to postmaster@mx.test.example, action main
9: from any, auth, for any, action main
)");
}

TEST(Valid, Settings) {
    expect_meanings({
        {"", ""},
        {"# nothing but a comment", ""},
        {"spool /var/mail/spool", "spool /var/mail/spool\n"},
        {"spool '/with space'", "spool /with space\n"},
        {"spool \"/with \\\"quotes\\\"\"", "spool /with \"quotes\"\n"},
        {"socket /run/x.sock", "socket /run/x.sock\n"},
        {"hostname mx.example.org", "hostname mx.example.org\n"},
        {"spool /first\nspool /second", "spool /second\n"}, // the last one counts
        {"smtp max-message-size 1", "max-message-size 1\n"},
        {"smtp max-message-size 64K", "max-message-size 65536\n"},
        {"smtp max-message-size 10m", "max-message-size 10485760\n"},
        {"smtp max-message-size 1G", "max-message-size 1073741824\n"},
        {"smtp max-message-size 512b", "max-message-size 512\n"},
        {"smtp max-message-size 4294967295", "max-message-size 4294967295\n"},
        {"smtp limit max-rcpt 50", "max-rcpt 50\n"},
        {"smtp limit max-mails 7 max-rcpt 8 max-sessions 9 max-errors 3 max-hops 25",
         "max-rcpt 8\nmax-mails 7\nmax-sessions 9\nmax-errors 3\nmax-hops 25\n"},
        {"smtp limit max-hold 2h", "max-hold 7200\n"},
        {"smtp limit max-hold 0", "max-hold 0\n"},
        {"smtp limit max-commands 5 max-bytes 1M max-memory 64M",
         "max-commands 5\nmax-bytes 1048576\nmax-memory 67108864\n"},
        {"smtp limit per-address sessions 1 session-rate 2 command-rate 3 error-rate 4 mail-rate 5 "
         "rcpt-rate 6 byte-rate 7K\nsmtp limit per-network byte-rate 1G sessions 9\n"
         "smtp limit in-all mail-rate 1000000000",
         "per-address sessions 1\nper-address session-rate 2\nper-address command-rate 3\n"
         "per-address error-rate 4\nper-address mail-rate 5\nper-address rcpt-rate 6\n"
         "per-address byte-rate 7168\nper-network sessions 9\nper-network byte-rate 1073741824\n"
         "in-all mail-rate 1000000000\n"},
        {"table insiders { 192.0.2.0/24 }\nsmtp limit exempt <insiders>",
         "exempt insiders\ntable insiders list [192.0.2.0/24]\n"},
        {"queue ttl 30s", "ttl 30\n"},
        {"queue ttl 4d12h", "ttl 388800\n"},
        {"queue ttl 1d1h1m1s", "ttl 90061\n"},
        {"queue ttl \"2h\"", "ttl 7200\n"},
        {"queue retry-delay 10m\nqueue retry-max 2h", "retry-delay 600\nretry-max 7200\n"},
        {"queue warn-delay 4h", ""},
        {"queue warn-delay 1h", "warn-delay 3600\n"},
        {"queue warn-delay none", "warn-delay none\n"},
        {"bounce warn-interval 1d, 2h, 30m", "warn-delay 1800 7200 86400\n"},
        {"queue warn-delay none\nbounce warn-interval 30s", "warn-delay 30\n"},
        {"queue limit max-per-destination 5", "max-per-destination 5\n"},
        {"queue limit max-in-memory 5000", "max-in-memory 5000\n"},
        {"queue retry delay 1m", "retry all 60 0\n"},
        {"queue retry on throttled max 10m delay 2m\nqueue retry on unreachable, mailbox, "
         "resolver, "
         "other max 1h",
         "retry all 1 120 600\nretry all 0 2 3 4 0 3600\n"},
        {"table big { a.example, *.a.example }\nqueue retry for domain <big> on throttled delay 1m",
         "retry big 1 60 0\ntable big list [a.example] [*.a.example]\n"},
        {"mta limit max-deliveries 3", "limit all 3 0/1\n"},
        {"mta limit src 192.0.2.1 rate 1000/1d\nmta limit src 2001:db8::1 max-deliveries 5",
         "limit src 192.0.2.1 0 1000/86400\nlimit src 2001:db8::1 5 0/1\n"},
        {"table big { a.example }\nmta limit for domain <big> rate 100/1m max-deliveries 2\n"
         "mta limit rate 1/1d",
         "limit big 2 100/60\nlimit all 0 1/86400\ntable big list [a.example]\n"},
        {"listener processes 4\nrelay processes 2", "listeners 4\nrelays 2\n"},
        {"user queue _postern\nuser local nobody\nuser relay \"mail-out\"",
         "user local nobody\nuser queue _postern\nuser relay mail-out\n"},
        {"resolver system", ""},
        {"resolver recursive", "resolver recursive\n"},
        {"resolver recursive trust-anchor /etc/root.key timeout 5s",
         "resolver recursive\ntrust-anchor /etc/root.key\ntimeout 5\n"},
        {"resolver forward 127.0.0.1 port 5353 trust-anchor \"/t/anchor\"",
         "resolver forward\nforwarder 127.0.0.1:5353\ntrust-anchor /t/anchor\n"},
        {"resolver forward 192.0.2.1, [2001:db8::53] port 5353, ::1 timeout 3s",
         "resolver forward\nforwarder 192.0.2.1:53\nforwarder [2001:db8::53]:5353\n"
         "forwarder [::1]:53\ntimeout 3\n"},
    });
}

TEST(Valid, Tls) {
    const std::string mx = "pki mx.example.org cert \"/c\"\npki mx.example.org key \"/k\"\n";
    const std::string any = "pki * cert /any.c\npki * key /any.k\n";
    const std::string means_mx = "pki mx.example.org /c /k\n";
    const std::string means_any = "pki * /any.c /any.k\n";
    expect_meanings({
        {mx + "listen on lo tls pki mx.example.org",
         means_mx + "3: listen lo 25 tls pki mx.example.org\n"},
        {mx + "listen on lo smtps pki mx.example.org",
         means_mx + "3: listen lo 465 smtps pki mx.example.org\n"},
        {mx + "listen on lo port 587 tls-require pki mx.example.org tag out",
         means_mx + "3: listen lo 587 tag out tls-require pki mx.example.org\n"},
        // Before it is defined, and several: the first is for clients that name nobody we know.
        {"listen on lo tls pki * pki mx.example.org\n" + mx + any,
         means_any + means_mx + "1: listen lo 25 tls pki * pki mx.example.org\n"},
        // Without a name it is that of the host name, else any; the others are there as well.
        {"listen on lo tls hostname mx.example.org\n" + any + mx,
         means_any + means_mx +
             "1: listen lo 25 hostname mx.example.org tls pki mx.example.org pki *\n"},
        {"hostname mx.example.org\nlisten on lo tls\n" + mx,
         "hostname mx.example.org\n" + means_mx + "2: listen lo 25 tls pki mx.example.org\n"},
        {mx + any + "listen on lo tls hostname other.example.org",
         means_any + means_mx +
             "5: listen lo 25 hostname other.example.org tls pki * pki mx.example.org\n"},
        {mx + "listen on lo tls", means_mx + "3: listen lo 25 tls pki mx.example.org\n"},
        {mx + "ca staff cert /ca\nlisten on lo smtps verify ca staff",
         means_mx + "ca staff /ca\n4: listen lo 465 smtps verify pki mx.example.org ca staff\n"},
        {mx + "pki mx.example.org dhe none\nlisten on lo tls protocols \"TLSv1.3\" ciphers HIGH",
         means_mx + "4: listen lo 25 tls pki mx.example.org ciphers HIGH only TLSv1.3\n"},
        {mx + "smtp ciphers \"HIGH:!aNULL\"\nlisten on lo tls protocols \"TLSv1.2,TLSv1.3\"",
         means_mx + "4: listen lo 25 tls pki mx.example.org ciphers HIGH:!aNULL\n"},
    });
}

TEST(Valid, Auth) {
    const std::string start = "pki * cert /c\npki * key /k\ntable u file:/users\n"
                              "table s { bob = \"bob@x.example, @y.example, <>\", eve = eve }\n";
    const Files files({{"/users", "bob:$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiX\neve *\n"},
                       {"/empty", "# nobody\n"}});
    const auto meaning = [](const std::string& listen) {
        return "pki * /c /k\n5: listen lo " + listen +
               "\ntable s mapping [bob=bob@x.example, @y.example, <>] [eve=eve]\n"
               "table u mapping [bob=$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiX] [eve=*]\n";
    };
    expect_meanings(
        {
            {start + "listen on lo tls auth <u>", meaning("25 tls pki * auth <u>")},
            {start + "listen on lo port submission tls-require auth-optional <u> received-auth",
             meaning("587 tls-require pki * auth-optional <u> received-auth")},
            {start + "listen on lo senders <s> auth <u> smtps", meaning("465 smtps pki * auth <u> "
                                                                        "senders <s>")},
            {start + "listen on lo received-auth", meaning("25 received-auth")},
            // PAM: what follows "auth" is the next option, unless it names a source.
            {start + "listen on lo tls auth", meaning("25 tls pki * auth <pam:smtpd>")},
            {start + "listen on lo auth-optional tls senders <s>",
             meaning("25 tls pki * auth-optional <pam:smtpd> senders <s>")},
            {start + "listen on lo tls auth binarymime",
             meaning("25 tls pki * auth <pam:smtpd> binarymime")},
            {start + "listen on lo tls auth pki *", meaning("25 tls pki * auth <pam:smtpd>")},
            {start + "listen on lo tls auth \\\n  received-auth",
             meaning("25 tls pki * auth <pam:smtpd> received-auth")},
            {start + "listen on lo tls auth \"pam:Mail-2_x\" port 587",
             meaning("587 tls pki * auth <pam:mail-2_x>")},
            {start + "listen on lo tls auth-optional pam:mail",
             meaning("25 tls pki * auth-optional <pam:mail>")},
            {start + "listen on lo no-smtputf8 no-dsn binarymime", meaning("25 no-dsn no-smtputf8 "
                                                                           "binarymime")},
        },
        files);
    // A file without a line in it is a mapping without users.
    expect_meanings({{"pki * cert /c\npki * key /k\ntable u /empty\nlisten on lo tls auth <u>",
                      "pki * /c /k\n4: listen lo 25 tls pki * auth <u>\ntable u list\n"}},
                    files);
}

TEST(Valid, Listen) {
    expect_meanings({
        {"listen on lo", "1: listen lo 25\n"},
        {"listen on 192.0.2.1", "1: listen 192.0.2.1 25\n"},
        {"listen on ::1 port 2525", "1: listen ::1 2525\n"},
        {"listen on [2001:DB8::0:1] port 25", "1: listen 2001:db8::1 25\n"},
        {"listen on \"::\"", "1: listen :: 25\n"},
        {"listen on mail.example.org port submission", "1: listen mail.example.org 587\n"},
        {"listen on eth0 port smtp", "1: listen eth0 25\n"},
        {"listen on eth0.7 port smtps", "1: listen eth0.7 465\n"},
        {"listen on lo tag Inside hostname mx.example.org port 26",
         "1: listen lo 26 hostname mx.example.org tag Inside\n"},
        {"listen on lo port 1\nlisten on lo port 65535", "1: listen lo 1\n2: listen lo 65535\n"},
        {"listen on lo vrfy", "1: listen lo 25 vrfy\n"},
        {"listen on lo lmtp", "1: listen lo 24 lmtp\n"},
        {"listen on lo lmtp port 2003", "1: listen lo 2003 lmtp\n"},
        {"listen on lo port lmtp lmtp", "1: listen lo 24 lmtp\n"},
        {"listen on \"/run/lmtp\" lmtp", "1: listen /run/lmtp 0 mode 660 lmtp\n"},
        {"listen on \"/run/mail\" group mail tag in mode 0007 hostname mx.example.org",
         "1: listen /run/mail 0 mode 7 group mail hostname mx.example.org tag in\n"},
        {"table d { Branch.example, \"*.branch.example\" }\n"
         "table n { 192.0.2.0/24, ::1 }\n"
         "listen on lo etrn <d> normalise-from <n> xclient-from <n>",
         "3: listen lo 25 etrn d normalise-from n xclient-from n\n"
         "table d list [Branch.example] [*.branch.example]\n"
         "table n list [192.0.2.0/24] [::1]\n"},
    });
}

// Names of hosts are those that the DNS has; what is compared stays as it is written until then.
TEST(Valid, InternationalizedNames) {
    const Files files({{"/t/domains", "b\u00fccher.example\n*.\u65e5\u672c.example\n"},
                       {"/t/owners", "J\u00fcrgen j\u00fcrgen@b\u00fccher.example, @x.example\n"}});
    expect_meanings(
        {
            {"hostname \"MX.B\u00fccher.example\"", "hostname MX.xn--bcher-kva.example\n"},
            {"listen on \"b\u00fccher.example\" hostname \"mx.b\u00fccher.example.\"",
             "1: listen xn--bcher-kva.example 25 hostname mx.xn--bcher-kva.example.\n"},
            {"action a relay host \"smtp://b\u00fccher.example:26\" helo \"b\u00fccher.example\"",
             "action a relay smtp://xn--bcher-kva.example 26 helo xn--bcher-kva.example\n"},
            {"pki \"b\u00fccher.example\" cert /c\npki xn--bcher-kva.example key /k",
             "pki xn--bcher-kva.example /c /k\n"},
            {"table d file:/t/domains\nmatch for domain <d> reject",
             "table d list [b\u00fccher.example] [*.\u65e5\u672c.example]\n"
             "2: from local, for domain <d>, reject\n"},
            {"table o file:/t/owners",
             "table o mapping [j\u00fcrgen=j\u00fcrgen@b\u00fccher.example, @x.example]\n"},
            {"match from any for rcpt-to { \"\U0001f4ec@b\u00fccher.example\", \"\u00fc\" } reject",
             "1: from any, for rcpt-to \U0001f4ec@b\u00fccher.example \u00fc, reject\n"},
        },
        files);
}

TEST(Valid, RelayActions) {
    expect_meanings({
        {"action out relay", "action out relay\n"},
        {"action \"a b\" relay", "action a b relay\n"},
        {"action \"relay\" relay", "action relay relay\n"},
        {"action a relay helo mx.example.org src 192.0.2.9 ttl 2h",
         "action a relay helo mx.example.org src 192.0.2.9 ttl 7200\n"},
        {"action a relay src [2001:db8::9] helo \"[192.0.2.9]\"",
         "action a relay helo [192.0.2.9] src 2001:db8::9\n"},
        {"action a relay host mx.example.org", "action a relay smtp://mx.example.org 25\n"},
        {"action a relay host mx.example.org:26", "action a relay smtp://mx.example.org 26\n"},
        {"action a relay host smtp://mail_hub", "action a relay smtp://mail_hub 25\n"},
        {"action a relay host \"smtp://192.0.2.1\"", "action a relay smtp://192.0.2.1 25\n"},
        {"action a relay host SMTP+NOTLS://[2001:db8::1]",
         "action a relay smtp+notls://2001:db8::1 25\n"},
        {"action a relay host smtp://[IPv6:2001:db8::1]:2525",
         "action a relay smtp://2001:db8::1 2525\n"},
        {"action a relay host smtp+tls://mx.example.org",
         "action a relay smtp+tls://mx.example.org 25\n"},
        {"action a relay host smtps://mx.example.org",
         "action a relay smtps://mx.example.org 465\n"},
        {"action a relay host { smtp://b, smtps://c }",
         "action a relay hosts smtp://b smtps://c\n"},
        {"table t { \"D.example\" = \"smtp://b, smtp+tls://me@c\", \"*\" = d }\n"
         "table s { me = \"bob:pa:ss\" }\naction a relay domain <t> auth <s>",
         "table s mapping [me=bob:pa:ss]\n"
         "table t mapping [*=d] [d.example=smtp://b, smtp+tls://me@c]\n"
         "action a relay domain <t> auth <s>\n"},
        {"action a relay backup", "action a relay backup \n"},
        {"action a relay backup mx mx2.example", "action a relay backup mx2.example\n"},
        {"table s { me = \"bob:x\" }\naction a relay host smtps://me@b auth <s>",
         "table s mapping [me=bob:x]\naction a relay smtps://b 465 label me auth <s>\n"},
        {"table n { 192.0.2.1 = a.example, [2001:db8::1] = b.example }\n"
         "action a relay src { 192.0.2.1, 2001:db8::1 } helo-src <n>",
         "table n mapping [192.0.2.1=a.example] [[2001:db8::1]=b.example]\n"
         "action a relay src 192.0.2.1 2001:db8::1 helo-src <n>\n"},
        {"action a relay proxy socks5://[2001:db8::1]:9050",
         "action a relay proxy @2001:db8::1 9050\n"},
        {"action a relay proxy SOCKS5://proxy.example",
         "action a relay proxy @proxy.example 1080\n"},
        {"action a relay proxy proxy-v2://[2001:db8::1]:9050 src 192.0.2.1",
         "action a relay proxy-v2 2001:db8::1 9050 src 192.0.2.1\n"},
        {"action a relay proxy proxy-v2://proxy.example:2525 src { 192.0.2.1, 2001:db8::1 }",
         "action a relay src 192.0.2.1 2001:db8::1 proxy-v2 proxy.example 2525\n"},
        {"action a relay tls", "action a relay tls\n"},
        {"action a relay tls no-verify helo b.c", "action a relay helo b.c tls no-verify\n"},
        {"ca lab cert /ca\naction a relay host smtps://b:2465 ca lab protocols \"TLSv1.3\" ciphers "
         "HIGH tls",
         "ca lab /ca\naction a relay smtps://b 2465 tls ca lab ciphers HIGH TLSv1.3\n"},
        {"ca lab cert /ca\naction a relay host { smtps://b, smtp://c } ca lab",
         "ca lab /ca\naction a relay hosts smtps://b smtp://c ca lab\n"},
        {"action a relay host lmtp://backend", "action a relay lmtp://backend 24\n"},
        {"action a relay host lmtp://backend:2003", "action a relay lmtp://backend 2003\n"},
    });
}

TEST(Valid, RewrittenSenders) {
    const auto srs = [](const std::string& text) {
        const ParsedConfiguration parsed =
            parse_configuration("smtpd.conf", text + some_rule, Files().reader());
        return parsed.configuration.value_or(Configuration()).srs;
    };
    const SrsOptions all = srs("srs key \"present secret 16\"\n"
                               "srs key backup \"former secret 16+\"\n"
                               "srs key backup \"another secret 16\"\n"
                               "srs domain srs.example.org\nsrs ttl 7d\n");
    EXPECT_EQ(all.key, "present secret 16");
    EXPECT_EQ(all.former, (std::vector<std::string>{"former secret 16+", "another secret 16"}));
    EXPECT_EQ(all.domain, "srs.example.org");
    EXPECT_EQ(all.ttl, std::chrono::hours(7 * 24));
    EXPECT_EQ(srs("srs key \"present secret 16\"").ttl, std::chrono::hours(7 * 24));
    expect_meanings(
        {{"srs key \"present secret 16\"\naction a relay srs", "action a relay srs\n"}});
}

TEST(Valid, LocalActions) {
    expect_meanings({
        {"action a maildir", "action a maildir\n"},
        {"action a maildir user vmail", "action a maildir user vmail\n"},
        {"action a maildir \"/var/mail/%{rcpt.domain}/%{rcpt.user:lowercase|strip}\" user vmail",
         "action a maildir path /var/mail/%{rcpt.domain}/%{rcpt.user:lowercase|strip} user "
         "vmail\n"},
        {"action a maildir \"~/Mail\" ttl 1d", "action a maildir path ~/Mail ttl 86400\n"},
        {"action a maildir Mail", "action a maildir path Mail\n"},
        {"action a mbox", "action a mbox\n"},
        {"action a mbox \"/srv/%{rcpt.user}\" user vmail ttl 1h",
         "action a mbox path /srv/%{rcpt.user} user vmail ttl 3600\n"},
        {R"(action a mda "/usr/bin/mda -f %{sender} 'a b'")",
         "action a mda [/usr/bin/mda] [-f] [%{sender}] [a b]\n"},
        {"mda wrapper w \"nice -n 5 %{mda}\"\naction a mda \"mda -x\" user vmail wrapper \"w\"",
         "action a mda [nice] [-n] [5] [mda] [-x] user vmail\n"},
        {"action a maildir \"%{user.directory}/M%{sender[0:-4]}%{dest[3]:raw}%{rcpt.user[-3:]}\"",
         "action a maildir path "
         "%{user.directory}/M%{sender[0:-4]}%{dest[3]:raw}%{rcpt.user[-3:]}\n"},
        {"action a lmtp \"localhost:2003\"", "action a lmtp lmtp://localhost 2003\n"},
        {"action a lmtp localhost", "action a lmtp lmtp://localhost 24\n"},
        {"action a lmtp [::1]:24 rcpt-to", "action a lmtp lmtp://::1 24 rcpt-to\n"},
        {"action a lmtp \"/run/dovecot/lmtp\" rcpt-to user vmail ttl 3d",
         "action a lmtp lmtp:/run/dovecot/lmtp 0 user vmail rcpt-to ttl 259200\n"},
    });
}

TEST(Valid, MatchCriteria) {
    const std::string action = "action a relay\n";
    const Snippet rules[] = {
        {"match action a", "2: from local, for local, action a\n"},
        {"match reject", "2: from local, for local, reject\n"},
        {"match for any action a", "2: from local, for any, action a\n"},
        {"match from any action \"a\"", "2: for local, from any, action a\n"},
        {"match for local from local action a", "2: for local, from local, action a\n"},
        {"match from any for any reject", "2: from any, for any, reject\n"},
        {"match from src 192.0.2.0/24 for any action a",
         "2: from src 192.0.2.0/24, for any, action a\n"},
        {"match from src { 10/8, [2001:db8::]/32 \"local\" } for any action a",
         "2: from src 10/8 [2001:db8::]/32 local, for any, action a\n"},
        {"match !from src \"192.0.2.1\" for any reject",
         "2: !from src 192.0.2.1, for any, reject\n"},
        {"match from auth for any action a", "2: from auth, for any, action a\n"},
        {"match from auth bob for any action a", "2: from auth bob, for any, action a\n"},
        {"match ! from auth { bob, eve@x.example } for any action a",
         "2: !from auth bob eve@x.example, for any, action a\n"},
        {"match from mail-from \"@example.org\" for any action a",
         "2: from mail-from @example.org, for any, action a\n"},
        {"match from rdns for any action a", "2: from rdns, for any, action a\n"},
        {"match from rdns \"*.example.org\" for any action a",
         "2: from rdns *.example.org, for any, action a\n"},
        {"match from socket for any action a", "2: from socket, for any, action a\n"},
        {"match !from local !for local reject", "2: !from local, !for local, reject\n"},
        {"match from any for domain example.org action a",
         "2: from any, for domain example.org, action a\n"},
        {"match from any for domain { example.org, \"*.example.org\"\n\n example.net }\n action a",
         ""}, // a line end is no blank outside of the braces
        {"match from any for domain { example.org, *.example.org\n\n example.net } action a",
         "2: from any, for domain example.org *.example.org example.net, action a\n"},
        {"match from any for domain [192.0.2.1] action a",
         "2: from any, for domain [192.0.2.1], action a\n"},
        {"match from any for rcpt-to { \"a@b.example\", \"@c.example\", root } action a",
         "2: from any, for rcpt-to a@b.example @c.example root, action a\n"},
        {"match auth for any action a", "2: from local, auth, for any, action a\n"},
        {"match auth bob from any for any action a", "2: auth bob, from any, for any, action a\n"},
        {"match !auth from any for any reject", "2: !auth, from any, for any, reject\n"},
        {"match helo { spam.example, *.bad.example } from any for any reject",
         "2: helo spam.example *.bad.example, from any, for any, reject\n"},
        {"match mail-from \"<>\" for any action a",
         "2: from local, mail-from <>, for any, action a\n"},
        {"match rcpt-to \"a+b@*.example\" from any for any action a",
         "2: rcpt-to a+b@*.example, from any, for any, action a\n"},
        {"match tag Inside for any action a", "2: from local, tag Inside, for any, action a\n"},
        {"match tag { x y } !tls for any reject",
         "2: from local, tag x y, !tls, for any, reject\n"},
        {"match tls from any for any action a", "2: tls, from any, for any, action a\n"},
        {"match from any \\\n  for any \\\n  action a", "2: from any, for any, action a\n"},
    };
    for (const Snippet& rule : rules) {
        SCOPED_TRACE(rule.text);
        if (!rule.meaning.empty())
            EXPECT_EQ(meaning_of(action + rule.text), "action a relay\n" + rule.meaning);
        else
            EXPECT_FALSE(
                parse_configuration("f", action + rule.text, Files().reader()).configuration);
    }
}

TEST(Valid, Tables) {
    const Files files({{"/t/list", "# domains\nexample.org\n\n  example.net  \r\n#x\nlast"},
                       {"/t/blanks", "# @list\na b c\nd: e"},
                       {"/t/indented", "a: b\n  c: d\n\te:f\n"},
                       {"/t/aliases", "a: b,\n  c,\n  :include:/x,\n  |x:y\nd: e\n\terror:5 x\n"},
                       {"/t/quoted", "\"john.doe\"@x.example\n\"a b\"@x.example\n"},
                       {"/t/map", "Key1: value 1\nkey2 value2\nkey3\tvalue:3\n[::1] six\n"},
                       {"/t/addresses", "2001:db8::1\n::1\n2001:db8::/32\n192.0.2.0/24\n"},
                       {"/t/empty", ""}});
    expect_meanings(
        {
            {"table t { a }", "table t list [a]\n"},
            {"table t { a, b,c d }", "table t list [a] [b] [c] [d]\n"},
            {"table t {\n a\n\n b,\n c\n , d }", "table t list [a] [b] [c] [d]\n"},
            {"table t { \"with space\", \"listen\" }", "table t list [with space] [listen]\n"},
            {"table t { a # comment\n b }", "table t list [a] [b]\n"},
            {"table other-relays { 192.0.2.1 }", "table other-relays list [192.0.2.1]\n"},
            {"table t { Key = Value }", "table t mapping [key=Value]\n"},
            {"table t { a=b, c => d\n e=\"f g\" }", "table t mapping [a=b] [c=d] [e=f g]\n"},
            {"table t file:/t/list", "table t list [example.org] [example.net] [last]\n"},
            {"table t \"/t/list\"", "table t list [example.org] [example.net] [last]\n"},
            {"table t /t/list", "table t list [example.org] [example.net] [last]\n"},
            {"table t file:/t/blanks", "table t list [a b c] [d: e]\n"},
            {"table t file:/t/indented", "table t mapping [a=b] [c=d] [e=f]\n"},
            {"table t file:/t/aliases",
             "table t mapping [a=b, c, :include:/x, |x:y] [d=e error:5 x]\n"},
            {"table t file:/t/quoted",
             "table t list [\"john.doe\"@x.example] [\"a b\"@x.example]\n"},
            {"table t file:/t/map",
             "table t mapping [[::1]=six] [key1=value 1] [key2=value2] [key3=value:3]\n"},
            {"table t file:/t/addresses",
             "table t list [2001:db8::1] [::1] [2001:db8::/32] [192.0.2.0/24]\n"},
            {"table t file:/t/empty", "table t list\n"},
            {"table t { b@x.example = y }\nmatch mail-from <t> reject",
             "table t mapping [b@x.example=y]\n2: from local, for local, mail-from <t>, reject\n"},
            // A table may stand behind the rule that uses it.
            {"match from src <t> reject\ntable t file:/t/addresses",
             "table t list [2001:db8::1] [::1] [2001:db8::/32] [192.0.2.0/24]\n"
             "1: for local, from src <t>, reject\n"},
        },
        files);
}

TEST(Valid, Aliases) {
    const Files files({{"/aliases", "# as in aliases(5)\n"
                                    "root: alice,\n"
                                    "  bob , \\carol\n"
                                    "\n"
                                    "List:\n"
                                    "\t:include:/list,\n"
                                    "\tx@y.example\n"
                                    "\"a b\": c\n"
                                    "gone: \"error:550 No, never\"\n"},
                       {"/list", "# members\nalice\n\"a b\"@y.example, bob\n"},
                       {"/indented", "  a: b\n  c: d\n"}});
    EXPECT_EQ(meaning_of(R"(table aliases file:/aliases
table t { "@example.org" = "x@y.example, |cat" }
table i "/indented"
action here maildir alias <aliases> ttl 1d
action lists expand-only virtual <t> user daemon
action onward forward-only alias <aliases>
action i maildir alias <i>
match reject
)",
                         files),
              R"(table <include:/list> list [alice] ["a b"@y.example] [bob]
table aliases mapping [a b=c] [gone="error:550 No, never"] [list=:include:/list, x@y.example] [root=alice, bob , \carol]
table i mapping [a=b] [c=d]
table t mapping [@example.org=x@y.example, |cat]
action here maildir alias aliases ttl 86400
action lists expand-only user daemon virtual t
action onward forward-only alias aliases
action i maildir alias i
8: from local, for local, reject
)");
}

TEST(Valid, Macros) {
    expect_meanings({
        {"lan = \"192.0.2.1\"\nlisten on $lan", "2: listen 192.0.2.1 25\n"},
        {"lan = 192.0.2.1\nlisten on $lan port 26", "2: listen 192.0.2.1 26\n"},
        {"p = 26\nlisten on lo port $p", "2: listen lo 26\n"},
        {"opt = 'port 26 tag x'\nlisten on lo $opt", "2: listen lo 26 tag x\n"},
        {"list = \"{ a, b }\"\ntable t $list", "table t list [a] [b]\n"},
        {"dir = /var/mail\nspool $dir/spool", "spool /var/mail/spool\n"}, // it is text
        {"dir = /a\ndir = /b\nspool $dir", "spool /b\n"},
        {"dir = /a\nspool \"/x/$dir\"", "spool /x/$dir\n"}, // not within quotes
        {"a = /x\nb = $a\nspool $b", "spool /x\n"},
        {"spool = /x\nspool $spool", "spool /x\n"},
        {"t = \"/x # y\"\nspool $t\nsocket /s", "spool /x\nsocket /s\n"},
    });
}

TEST(Valid, LinesAndComments) {
    expect_meanings({
        {"spool /a # comment \"\nsocket /b", "spool /a\nsocket /b\n"},
        {"spool \\\n  /a", "spool /a\n"},
        {"spool \\\r\n  /a\r\nsocket /b\r\n", "spool /a\nsocket /b\n"},
        {"# a comment \\\n  goes on\nspool /a", "spool /a\n"},
        {"\t spool\t/a  \t", "spool /a\n"},
        {"spool \"/a\\\nb\"", "spool /ab\n"},
        {"spool \"/a\\b\\ c\"", "spool /a\\b c\n"},
        {"spool /sp\\\nool", "spool /spool\n"},
        {"spool \"/\xc3\xa4\"", "spool /\xc3\xa4\n"},
    });
}

TEST(Valid, Includes) {
    const Files files({{"/etc/a.conf", "spool /a\ninclude \"b.conf\"\nlisten on $if"},
                       {"/etc/b.conf", "if = lo"},
                       {"rules", "match reject"},
                       {"/etc/open", "match from any \\"}});
    expect_meanings(
        {{"include \"/etc/a.conf\"", "spool /a\n3: listen lo 25\n"},
         {"include /etc/a.conf\ninclude \"/etc/b.conf\"", "spool /a\n3: listen lo 25\n"}},
        files);
    EXPECT_EQ(meaning_of("include 'rules'", files), "1: from local, for local, reject\n");
    const ParsedConfiguration beside =
        parse_configuration("/etc/x.conf", "include a.conf\nmatch reject", files.reader());
    EXPECT_TRUE(beside.configuration);
}

// From the manual page of OpenSMTPD, as far as they need nothing that we lack.
TEST(Valid, ExamplesOfTheManual) {
    const Files files(std::map<std::string, std::string>{
        {"/etc/mail/other-relays", "192.0.2.25\n[2001:db8::25]\n"}});
    EXPECT_EQ(meaning_of(R"(lan_addr = "192.168.0.1"
listen on $lan_addr
match reject
)"),
              "2: listen 192.168.0.1 25\n3: from local, for local, reject\n");
    EXPECT_EQ(meaning_of(R"(table other-relays file:/etc/mail/other-relays

listen on lo0
listen on egress

action "local_mail" maildir
action "outbound" relay

match for local action "local_mail"
match for any action "outbound"
match !from src <other-relays> mail-from "@example.com" for any \
      reject
match from any for domain example.com action "local_mail"
)",
                         files),
              R"(3: listen lo0 25
4: listen egress 25
table other-relays list [192.0.2.25] [[2001:db8::25]]
action local_mail maildir
action outbound relay
9: from local, for local, action local_mail
10: from local, for any, action outbound
11: !from src <other-relays>, mail-from @example.com, for any, reject
13: from any, for domain example.com, action local_mail
)");
    EXPECT_EQ(meaning_of(R"(listen on lo0
listen on egress port submission

action mda_with_aliases lmtp "/run/lmtp"
action "outbound" relay

match for local action mda_with_aliases
match from any for domain example.com action mda_with_aliases
match for any action "outbound"
match auth from any for any action "outbound"
)"),
              R"(1: listen lo0 25
2: listen egress 587
action mda_with_aliases lmtp lmtp:/run/lmtp 0
action outbound relay
7: from local, for local, action mda_with_aliases
8: from any, for domain example.com, action mda_with_aliases
9: from local, for any, action outbound
10: auth, from any, for any, action outbound
)");
}

TEST(Valid, OpenRelaysAreWarnedOf) {
    const struct {
        const char* rule;
        bool warned;
    } cases[] = {
        {"match from any for any action out", true},
        {"match from any for any mail-from \"@example.org\" action out", true},
        {"match helo x.example from any for any action out", true},
        {"match from mail-from \"@example.org\" for any action out", true},
        {"match from any for any action here", false},
        {"match from any for any reject", false},
        {"match for any action out", false},
        {"match from any auth for any action out", false},
        {"match from auth for any action out", false},
        {"match from src 10/8 for any action out", false},
        {"match tag inside from any for any action out", false},
        {"match from any for domain example.org action out", false},
        {"match from any for any rcpt-to \"a@b.example\" action out", false},
        {"match from any !for any action out", false},
        {"match !from any for any action out", false},
    };
    for (const auto& c : cases) {
        const ParsedConfiguration parsed = parse_configuration(
            "f", std::string("action out relay\naction here maildir\n") + c.rule, Files().reader());
        ASSERT_TRUE(parsed.configuration) << c.rule;
        ASSERT_EQ(parsed.warnings.size(), c.warned ? 1u : 0u) << c.rule;
        for (const Diagnostic& warning : parsed.warnings)
            EXPECT_EQ(warning.to_string(),
                      "f:3:1: open relay: by this rule anybody may send to anywhere");
    }
}

} // namespace
} // namespace postern::test
