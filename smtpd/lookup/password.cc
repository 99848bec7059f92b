#include "smtpd/lookup/password.h"

#include <argon2.h>
#include <cerrno>
#include <crypt.h>
#include <cstring>
#include <memory>

#include "common/sasl/saslprep.h"
#include "common/sasl/scram_keys.h"

namespace postern {

namespace {

// 32 KiB: not for a stack, and everything in it may be the password or come from it.
struct Workspace {
    ~Workspace() { explicit_bzero(&data, sizeof data); }
    crypt_data data{};
};

// Takes the same time wherever the texts differ.
bool same_text(const char* a, const std::string& b) {
    if (std::strlen(a) != b.size())
        return false;
    unsigned char difference = 0;
    for (size_t i = 0; i < b.size(); ++i)
        difference = static_cast<unsigned char>(difference | (a[i] ^ b[i]));
    return difference == 0;
}

PasswordCheck check_crypt(const Secret& password, const std::string& hash) {
    const auto workspace = std::make_unique<Workspace>();
    errno = 0;
    // It hashes up to the first NUL.
    const char* result = crypt_r(password.c_str(), hash.c_str(), &workspace->data);
    if (result == nullptr || result[0] == '*') // what is no hash begins so: never compare with it
        return errno == ERANGE ? PasswordCheck::differs : PasswordCheck::failed;
    const bool whole = std::strlen(password.c_str()) == password.size();
    return same_text(result, hash) && whole ? PasswordCheck::matches : PasswordCheck::differs;
}

PasswordCheck check_argon2(const Secret& password, const std::string& hash) {
    switch (argon2id_verify(hash.c_str(), password.c_str(), password.size())) {
    case ARGON2_OK:
        return PasswordCheck::matches;
    case ARGON2_VERIFY_MISMATCH:
        return PasswordCheck::differs;
    default:
        return PasswordCheck::failed;
    }
}

PasswordCheck check_scram(const Secret& password, const std::string& hash) {
    const std::optional<ScramSecret> stored = parse_scram_secret(hash);
    if (!stored)
        return PasswordCheck::failed;
    const std::optional<Secret> prepared = saslprep(password.view(), Prepared::for_comparison);
    if (!prepared)
        return PasswordCheck::differs;
    const std::optional<ScramSecret> made =
        scram::make_secret(*prepared, stored->salt, stored->iterations);
    if (!made)
        return PasswordCheck::failed;
    return scram::same_octets(made->stored_key, stored->stored_key) ? PasswordCheck::matches
                                                                    : PasswordCheck::differs;
}

} // namespace

bool is_locked(const std::string& hash) {
    return hash.empty() || hash.front() == '*' || hash.front() == '!';
}

PasswordCheck check_password(const Secret& password, const std::string& hash) {
    if (is_locked(hash))
        return PasswordCheck::differs;
    if (hash.starts_with(scram_secret_prefix))
        return check_scram(password, hash);
    return hash.starts_with("$argon2id$") ? check_argon2(password, hash)
                                          : check_crypt(password, hash);
}

} // namespace postern
