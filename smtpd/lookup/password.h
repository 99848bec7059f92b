// Holding a password against what is stored of it: crypt(3) in its strong forms, Argon2id,
// or what SCRAM-SHA-256 stores. Pure, but slow (2 to 200 ms of processor time): not for an event
// loop.
#pragma once

#include <string>

#include "common/base/secret.h"

namespace postern {

enum class PasswordCheck {
    matches,
    differs,
    failed, // it cannot be told: no memory, or a hash of a kind that the library does not know
};

// `hash` as common/config/values.h is_password_hash() wants it. Nothing matches a locked account.
// A password with a NUL, or longer than crypt(3) takes, matches nothing.
PasswordCheck check_password(const Secret& password, const std::string& hash);

// Begins with '*' or '!', as in shadow(5): nobody's password.
bool is_locked(const std::string& hash);

} // namespace postern
