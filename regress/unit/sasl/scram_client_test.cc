#include "common/sasl/scram_client.h"

#include <gtest/gtest.h>

#include "common/base/base64.h"
#include "common/sasl/scram_exchange.h"

namespace postern {
namespace {

using scram::Hash;
using Binding = ScramClient::Binding;

SaslCredentials credentials(const std::string& user, const std::string& password) {
    SaslCredentials result;
    result.user = user;
    result.password = Secret(password);
    return result;
}

struct Vector {
    Hash hash;
    const char* nonce;
    const char* server_first;
    const char* final;
    const char* verifier;
};

// RFC 5802 5, RFC 7677 3.
TEST(ScramClient, TheExamplesOfTheRfcs) {
    const Vector vectors[] = {
        {Hash::sha1, "fyko+d2lbbFgONRv9qkxdawL",
         "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
         "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
         "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="},
        {Hash::sha256, "rOprNGfwEbeRWgbNEkqO",
         "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
         "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
         "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
         "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
    };
    for (const Vector& vector : vectors) {
        ScramClient client(vector.hash, Binding::none, "", vector.nonce);
        EXPECT_EQ(client.first(credentials("user", "pencil")),
                  std::string("n,,n=user,r=") + vector.nonce);
        EXPECT_EQ(client.answer(vector.server_first), vector.final);
        EXPECT_TRUE(client.is_server(vector.verifier));
        EXPECT_FALSE(client.is_server("v=" + encode_base64(std::string(32, 'x'))));
        EXPECT_FALSE(client.is_server("e=invalid-proof"));
        EXPECT_FALSE(client.is_server(""));
    }
}

// Against our own server, bound to the channel or not.
TEST(ScramClient, AgreesWithTheServer) {
    struct Row {
        Binding binding;
        bool plus;
        const char* clients_channel;
        ScramExchange::State end;
    };
    const Row rows[] = {
        {Binding::none, false, "", ScramExchange::State::complete},
        {Binding::tls_exporter, true, "channel", ScramExchange::State::complete},
        {Binding::tls_exporter, true, "another", ScramExchange::State::failed},
        {Binding::not_offered, false, "channel", ScramExchange::State::failed}, // it was
    };
    for (const Row& row : rows) {
        ChannelBindings bindings;
        bindings.tls_exporter = "channel";
        ScramExchange server(row.plus, bindings, "server", [](std::string_view user) {
            ScramExchange::Account account;
            account.user = user;
            account.secret = *scram::make_secret(Secret("pa,=ss"), "salt", 4096);
            account.exists = true;
            return account;
        });
        ScramClient client(Hash::sha256, row.binding, row.clients_channel, "client");
        ScramExchange::State state = server.respond(*client.first(credentials("a=b,c", "pa,=ss")));
        if (state == ScramExchange::State::asking)
            state = server.respond(*client.answer(server.challenge()));
        if (state == ScramExchange::State::asking) {
            EXPECT_TRUE(client.is_server(server.challenge()));
            state = server.respond("");
            EXPECT_EQ(server.user(), "a=b,c");
        }
        EXPECT_EQ(state, row.end);
    }
}

TEST(ScramClient, RefusesWhatMakesNoSenseOrAsksTooMuch) {
    const std::string messages[] = {
        "",
        "r=client,s=c2FsdA==,i=4096",      // no nonce of the server
        "r=other,s=c2FsdA==,i=4096",       // not ours
        "r=clientX,s=,i=4096",             // no salt
        "r=clientX,s=c2F$,i=4096",         // no base64
        "r=clientX,s=c2FsdA==,i=4095",     // too weak
        "r=clientX,s=c2FsdA==,i=100001",   // too much
        "r=clientX,s=c2FsdA==,i=99999999999999999999",
        "r=clientX,s=c2FsdA==,i=4096x",
        "r=clientX,s=c2FsdA==",
        "m=x,r=clientX,s=c2FsdA==,i=4096", // an extension that one must know
        "r=clientX,s=" + encode_base64(std::string(257, 's')) + ",i=4096",
    };
    for (const std::string& message : messages) {
        ScramClient client(Hash::sha256, Binding::none, "", "client");
        ASSERT_TRUE(client.first(credentials("u", "p")));
        EXPECT_EQ(client.answer(message), std::nullopt) << message;
        EXPECT_FALSE(client.is_server("v=")) << message;
    }
    ScramClient client(Hash::sha256, Binding::none, "", "client");
    ASSERT_TRUE(client.first(credentials("u", "p")));
    EXPECT_TRUE(client.answer("r=clientX,s=c2FsdA==,i=4096,x=extension"));
    ScramClient other(Hash::sha256, Binding::none, "", "client");
    EXPECT_EQ(other.first(credentials("u", "\xff")), std::nullopt) << "no UTF-8";
}

} // namespace
} // namespace postern
