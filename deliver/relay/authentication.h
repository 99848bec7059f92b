// The client's side of SMTP AUTH (RFC 4954): who we are, by the best mechanism that the server offers
// of SCRAM-SHA-256-PLUS, SCRAM-SHA-256, SCRAM-SHA-1, PLAIN and LOGIN. A server that refuses one
// gets the next only if that may have been for the channel binding, or, where it has proved who it
// is, for the mechanism: a wrong password (535) is said once.
#pragma once

#include <string>

#include "common/base/result.h"
#include "common/loop/task.h"
#include "common/smtp/sasl.h"
#include "deliver/relay/client_session.h"
#include "deliver/relay/diagnosis.h"

namespace postern::relay {

// On an open session, between transactions. False: the session has failed, with what the server
// said, or for want of a mechanism; it is a failure of ours, not of the mail, and thus temporary.
// Nothing is said over a connection that is not encrypted. Of a refusal only the codes are
// repeated: the server may quote what it was told. `make_nonce` makes one as ScramClient wants it,
// for each attempt. The references must outlive the task.
Task<bool> authenticate(ClientSession& session, const SaslCredentials& credentials,
                        std::string (*make_nonce)());

// Why there is no password, as Network::credentials() has it.
Diagnosis without_credentials(const Error& error);

// A new one, from the library's randomness.
std::string make_nonce();

} // namespace postern::relay
