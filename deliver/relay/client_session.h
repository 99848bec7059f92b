// One connection to a next hop as the dialogue of RFC 5321: greeting, EHLO, STARTTLS (RFC 3207),
// any number of transactions (transaction.h), QUIT. LMTP (RFC 2033) differs in the hello and in the
// replies to the content.
//
// The next hop may lie: replies are bounded and made printable by ReplyParser, every wait has a
// limit, and the whole of a stage has one too, so that nobody keeps us by dripping bytes. Whatever
// breaks the dialogue (closing, silence, garbage, a 421, speaking out of turn) ends the session:
// failure() then says why, and nothing more is sent.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "common/loop/task.h"
#include "common/net/stream.h"
#include "common/smtp/ehlo.h"
#include "common/smtp/reply.h"
#include "deliver/relay/diagnosis.h"
#include "deliver/relay/encryption.h"
#include "deliver/relay/tls_policy.h"

namespace postern::relay {

// A stage (opening; envelope; the replies to the content) takes no longer than this in all.
inline constexpr std::chrono::minutes stage_limit{30};

// From the reply to STARTTLS, or the connection, to the end of the handshake.
inline constexpr std::chrono::seconds handshake_limit{60};

struct SessionOptions {
    SessionOptions(std::string helo, bool lmtp, std::string remote)
        : helo(std::move(helo)), lmtp(lmtp), remote(std::move(remote)) {}
    std::string helo;   // our name: a domain or an address literal
    bool lmtp;          // LHLO, and one reply for each recipient
    std::string remote; // "mx1.example[192.0.2.1]:25", for diagnoses
    TlsPolicy tls{};
    std::unique_ptr<Encryption> encryption{}; // null only if the policy is `never`
    // Without TLS because that has failed lately: the server may offer more at another time.
    bool for_now = false;
};

class ClientSession {
  public:
    // The stream is connected, and must outlive the session.
    ClientSession(Stream& stream, SessionOptions options);

    // Greeting and hello: EHLO, then HELO if that is refused with 5yz; and TLS, as the policy says.
    // False: failure() says why.
    // No failure here is permanent, whatever the server says: it concerns this host, not the mail.
    Task<bool> open();
    // Takes leave, if the server still listens. Waits for the reply for a few seconds, because
    // closing earlier can make the server's last words an error; nothing depends on it.
    Task<void> quit();
    // It does: it has refused us, or there is nothing left to do (RFC 5321 4.1.1.10).
    bool owes_quit() const;

    // Another transaction can be started now: open, in step, and the server is still there.
    bool usable() const;
    bool failed() const { return failure_.has_value(); }
    const Diagnosis& failure() const { return *failure_; }
    // It failed between the end of a content and the answer: nobody knows who has the message.
    bool lost_after_content() const { return lost_after_content_; }

    // How it is encrypted; nothing: not at all.
    const std::optional<TlsFacts>& tls() const { return tls_; }
    // It failed in the handshake, or with the first words after it: without TLS it might do.
    bool tls_failed() const { return tls_failed_; }
    // It failed because it would not have been encrypted as the policy says.
    bool policy_unmet() const { return policy_unmet_; }
    // The same, and it is what the server is like, rather than that something was wrong just now:
    // it has no TLS, or cannot prove who it is.
    bool cannot_meet_policy() const { return cannot_meet_policy_; }
    // It failed for us, not for the server: the key of our certificate did not sign.
    bool failed_by_us() const { return failed_by_us_; }
    // The handshake failed for the server's certificate: OpenSSL's number of what is wrong with it;
    // else 0.
    int certificate_error() const { return certificate_error_; }

    // Whether a single octet has come of the server, or of what is in its place.
    bool heard() const { return heard_; }
    // How the connection failed it: `closed` or `timed_out`; `ok`: it was not the connection.
    StreamStatus broken() const { return broken_; }

    // It goes without TLS, and with what the server offers then, for this hour only.
    bool for_now() const { return options_.for_now; }

    bool lmtp() const { return options_.lmtp; }
    const std::string& remote() const { return options_.remote; }
    const EhloCapabilities& capabilities() const { return capabilities_; }

    TimePoint now() const { return stream_.executor().now(); }

    // For the transaction.
    //
    // Starts a stage: its replies must all be in within `limit`.
    void begin_stage(Duration limit = stage_limit);
    // Sends command lines, CRLF included. Fails the session if the server has said something that
    // it was not asked for: its replies could no longer be told apart.
    void command(std::string_view lines);
    // The same of a line with a password or what is as good as one.
    void secret_command(std::string_view line);
    // The next reply. Nothing: the session has failed, by a 421 too. `awaited` is named in the
    // diagnosis; a literal.
    Task<std::optional<Reply>> reply(const char* awaited, Duration limit);
    // Sends a piece of content and waits until at most `pending` octets are left unsent. False: the
    // session has failed.
    Task<bool> content(std::string piece, size_t pending);
    // The server spoke before the end of the content. Nothing: what it said is no whole reply.
    std::optional<Reply> early_reply();
    bool input_waiting() const { return !stream_.input().empty() || parser_.in_reply(); }

    // The first reason stays, but the server's own words are the better one.
    void fail(Diagnosis diagnosis);
    // The same, and the server is to hear a QUIT: it has done nothing wrong, but will not do.
    void give_up(Diagnosis diagnosis);
    // A reply that has no meaning here.
    void fail_unexpected(const char* awaited, const Reply& reply);
    // A MAIL was sent, and no positive reply to the content: RSET comes before the next one.
    bool needs_reset() const { return needs_reset_; }
    void transaction_begun();
    void transaction_done(bool needs_reset) { needs_reset_ = needs_reset; }
    void note_lost_after_content() { lost_after_content_ = true; }

  private:
    Task<bool> greeting();
    Task<bool> hello();
    Task<bool> start_tls();
    Task<bool> encrypt();
    bool may_speak();
    bool refuse_without_tls(Diagnosis diagnosis, bool for_good);

    Stream& stream_;
    SessionOptions options_;
    ReplyParser parser_;
    EhloCapabilities capabilities_;
    std::optional<Diagnosis> failure_;
    std::optional<TlsFacts> tls_;
    TimePoint stage_deadline_;
    bool tls_failed_ = false;
    bool policy_unmet_ = false;
    bool cannot_meet_policy_ = false;
    bool failed_by_us_ = false;
    int certificate_error_ = 0;
    bool heard_ = false;
    StreamStatus broken_ = StreamStatus::ok;
    bool open_ = false;
    bool refused_ = false; // by a reply to the greeting, EHLO or HELO: it waits for our QUIT
    bool needs_reset_ = false;
    bool lost_after_content_ = false;
    uint64_t transactions_ = 0;
};

} // namespace postern::relay
