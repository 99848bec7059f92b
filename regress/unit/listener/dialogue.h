// Whole sessions in simulated time, written down the way RFC 5321 writes them:
//
//     play(R"(
//         S: 220 mx.test.example ESMTP Postern
//         C: EHLO client.example
//         S: 250-mx.test.example Hello client.example
//         ...
//     )");
//
//   C: TEXT       the client sends TEXT and CRLF; several in a row travel in one piece (pipelining)
//   C= TEXT       it sends TEXT as it is, where \r \n \0 \\ and \xNN are escapes
//   S: TEXT       the server has sent this line; '*' stands for anything
//   offers WORDS  the server has sent the reply to EHLO: these keywords are in it, and not those
//                 that have a '!' before them
//   pass 5m       time passes: s, m, h
//   silence       the server has said nothing more
//   close         the client closes its connection
//   half-close    it ends its side and still reads
//   closed        the server has closed the connection, and said nothing more before
//   open          it has not
//
// Whatever the server said and the script did not expect is a failure, at its end at the latest.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>

#include "regress/support/memory_stream.h"
#include "regress/support/simulated_time.h"
#include "regress/unit/listener/fakes.h"
#include "smtpd/listener/session.h"

namespace postern::listener::test {

using namespace std::chrono_literals;
using postern::test::MemoryStream;
using postern::test::SimulatedTime;

class Dialogue : public testing::Test, SessionOwner {
  public:
    Dialogue();
    ~Dialogue() override;

    void play(std::string_view script);
    // The greeting and EHLO, and optionally the beginning of a transaction, are done.
    void greet();
    void begin_mail(const char* recipient = "user@dest.example");
    // A message from MAIL to the reply to its content, which is empty.
    void send_mail();
    // A new connection, in place of the former one.
    void connect();

    void send(std::string_view bytes);
    std::string receive(); // all that the server has said, not seen yet

    SimulatedTime time;
    FakeQueue queue{time};
    FakeLookup lookup{time};
    FakeResolver resolver{time};
    FakeAccounts accounts{time};
    LoginDelays delays;
    SessionCounters counters;
    Pressure pressure;
    std::shared_ptr<ipc::ListenerSettings> settings = std::make_shared<ipc::ListenerSettings>();
    IpAddress client_address = *IpAddress::parse("192.0.2.7");
    bool spoke_early = false;
    std::optional<FakeEncryption::Behaviour> encryption; // none: there is no TLS

    std::unique_ptr<MemoryStream> client;
    std::unique_ptr<Session> session;
    bool is_over = false; // the session has ended

  protected:
    void SetUp() override {}

  private:
    void ended(Session&) override { is_over = true; }
    void step(std::string_view line, int number);
    void flush();
    void expect_line(std::string_view pattern, const std::string& where);
    void expect_offer(std::string_view keywords, const std::string& where);
    void expect_silence(const std::string& where);

    ClientLimits clients_{0x5ec7e7};
    SessionServices services_{time,   queue,    lookup,   resolver, accounts,
                              delays, counters, clients_, pressure};
    std::string unsent_;
    std::string unread_;
};

std::string unescape(std::string_view text);

} // namespace postern::listener::test
