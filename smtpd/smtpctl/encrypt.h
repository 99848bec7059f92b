// `smtpctl encrypt`: makes what a table of credentials has of a password. Asks no server.
#pragma once

#include "common/base/result.h"
#include "common/base/secret.h"

namespace postern {

enum class PasswordForm : uint8_t {
    crypt, // that which crypt(3) prefers
    scram, // SCRAM-SHA-256, which serves the other mechanisms too
};

// With fresh salt.
Result<std::string> hash_password(const Secret& password, PasswordForm form);

// Hashes the lines of standard input, or asks for one without showing it where that is a terminal.
// Prints a hash a line. Returns the exit status.
int encrypt_lines(PasswordForm form);
// Hashes and prints one password; it was seen by whoever looks at the list of processes.
int encrypt(std::string_view password, PasswordForm form);

} // namespace postern
