// The client's side of SMTP AUTH (RFC 4954): who we are, by the best mechanism that the server offers
// of SCRAM-SHA-256-PLUS, SCRAM-SHA-256, SCRAM-SHA-1, PLAIN and LOGIN. A server that refuses one
// gets the next only if that was for the channel binding: a wrong password is said once.
#pragma once

#include <string>

#include "common/loop/task.h"
#include "common/smtp/sasl.h"
#include "deliver/relay/client_session.h"

namespace postern::relay {

// On an open session, between transactions. False: the session has failed, with what the server
// said, or for want of a mechanism; it is a failure of ours, not of the mail, and thus temporary.
// `nonce` is as ScramClient wants it. The references must outlive the task.
Task<bool> authenticate(ClientSession& session, const SaslCredentials& credentials,
                        std::string nonce);

// A new one, from the library's randomness.
std::string make_nonce();

} // namespace postern::relay
