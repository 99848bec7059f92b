// TLS in a session: STARTTLS (RFC 3207), and from the first byte (RFC 8314).
#include "common/base/log.h"
#include "common/ipc/channel.h"
#include "common/mail/message_id.h"
#include "smtpd/listener/replies.h"
#include "smtpd/listener/session.h"

namespace postern::listener {

using ipc::Overloaded;

// Not after XCLIENT: what was said before TLS does not count after it, and that would have to.
bool Session::offers_tls() const { return connection_.encryption && !tls_ && !given_.said; }

// It is required here, and not there yet. Where authentication is required, so is TLS, unless
// XCLIENT says who it is.
bool Session::lacks_tls() const {
    return !tls_ && (address().tls.mode == TlsMode::required || lacks_authentication());
}

// RFC 3207 4: a server that requires TLS takes nothing else before it.
bool Session::needs_tls(const Command& command) const {
    if (!lacks_tls())
        return false;
    const bool required = address().tls.mode == TlsMode::required;
    return std::visit(Overloaded{
                          // Without tls-require these have a reply of their own.
                          [required](const AuthCommand&) { return required; },
                          [required](const RsetCommand&) { return required; },
                          [required](const XclientCommand&) { return required; },
                          [](const EhloCommand&) { return false; },
                          [](const HeloCommand&) { return false; },
                          [](const NoopCommand&) { return false; },
                          [](const QuitCommand&) { return false; },
                          [](const StarttlsCommand&) { return false; },
                          [](const CommandError&) { return false; },
                          // Its octets have to be read all the same: chunk_out_of_place().
                          [](const BdatCommand&) { return false; },
                          [](const auto&) { return true; },
                      },
                      command);
}

// RFC 3207 4.
Task<void> Session::start_tls() {
    if (!connection_.encryption) {
        complain(replies::not_implemented());
    } else if (tls_) {
        complain(replies::tls_already());
    } else if (given_.said) {
        complain(replies::tls_after_client());
    } else if (helo_.empty()) {
        complain(no_hello());
    } else if (!stream_->input().empty()) {
        // Somebody put commands in, to be taken for the client's own once TLS has begun.
        ++services_.counters.early_talkers;
        close_with(replies::spoke_before_tls(hostname()));
    } else if (!connection_.encryption->available()) {
        budget_.idle_command();
        say(replies::tls_unavailable());
    } else {
        co_await secure(to_wire(replies::start_tls()));
    }
}

// RFC 3207 4.2: afterwards the session is as at its beginning, without a greeting.
Task<void> Session::secure(std::string go_ahead) {
    securing_ = true;
    note_memory();
    wait_since(executor().now(), patience::pressed_handshake);
    Result<TlsFacts> facts = co_await connection_.encryption->begin(
        std::move(go_ahead), pressed() ? patience::pressed_handshake : patience::handshake);
    wait_no_more();
    securing_ = false;
    begin_anew();
    if (!facts) {
        ++services_.counters.tls_failures;
        if (connection_.account) // it has cost a signature
            connection_.account->note(Measure::errors, 1, executor().now());
        gone_ = true;
        log::info("TLS failed", {{"session", to_string(MessageId{id()})},
                                 {"client", connection_.client.to_string()},
                                 {"reason", facts.error().message}});
        co_return;
    }
    ++services_.counters.tls_sessions;
    services_.counters.tls_resumed += facts->resumed;
    log::debug("TLS begins", {{"session", to_string(MessageId{id()})},
                              {"client", connection_.client.to_string()},
                              {"protocol", facts->protocol},
                              {"cipher", facts->cipher},
                              {"name", facts->server_name},
                              {"certificate", facts->client_subject},
                              {"resumed", facts->resumed ? "yes" : "no"}});
    tls_ = std::make_unique<const TlsFacts>(std::move(*facts));
}

} // namespace postern::listener
