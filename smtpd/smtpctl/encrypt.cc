#include "smtpd/smtpctl/encrypt.h"

#include <crypt.h>
#include <cstdio>
#include <cstring>
#include <memory>
#include <sys/random.h>
#include <sysexits.h>
#include <termios.h>
#include <unistd.h>

#include "common/sasl/saslprep.h"
#include "common/sasl/scram_keys.h"
#include "common/smtp/sasl.h"

namespace postern {

namespace {

// A client spends them anew at each login: some 50 ms.
constexpr uint32_t scram_iterations = 100'000;
constexpr size_t scram_salt_size = 16;

// While it lives, what is typed is not shown.
class Unseen {
  public:
    Unseen() {
        known_ = tcgetattr(STDIN_FILENO, &before_) == 0;
        termios silent = before_;
        silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        if (known_)
            tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    }
    ~Unseen() {
        if (known_)
            tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
    }
    Unseen(const Unseen&) = delete;

  private:
    bool known_;
    termios before_{};
};

// The next line of standard input without its end; false: there is none.
bool read_password(Secret& password) {
    char line[password_limit + 3]; // with LF and NUL, and a byte by which it is too long
    const bool read = std::fgets(line, sizeof line, stdin) != nullptr;
    if (read)
        password = Secret(std::string_view(line, std::strcspn(line, "\n")));
    explicit_bzero(line, sizeof line);
    return read;
}

Result<std::string> hash_for_crypt(const Secret& password) {
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    if (!crypt_gensalt_rn(nullptr, 0, nullptr, 0, setting, sizeof setting))
        return system_error("crypt_gensalt");
    const auto data = std::make_unique<crypt_data>();
    const char* hash = crypt_r(password.c_str(), setting, data.get());
    const bool good = hash != nullptr && hash[0] != '*';
    std::string result = good ? hash : "";
    explicit_bzero(data.get(), sizeof *data);
    if (!good)
        return system_error("crypt");
    return result;
}

Result<std::string> hash_for_scram(const Secret& password) {
    const std::optional<Secret> prepared = saslprep(password.view(), Prepared::for_storage);
    if (!prepared)
        return Error{"SCRAM does not allow this password: it is not UTF-8, or has control "
                     "characters or others that are not for passwords (RFC 4013)"};
    std::string salt(scram_salt_size, '\0');
    if (getrandom(salt.data(), salt.size(), 0) != static_cast<ssize_t>(salt.size()))
        return system_error("getrandom");
    const auto secret = scram::make_secret(*prepared, std::move(salt), scram_iterations);
    if (!secret)
        return Error{"out of memory"};
    return to_string(*secret);
}

} // namespace

Result<std::string> hash_password(const Secret& password, PasswordForm form) {
    if (password.empty() || password.size() > password_limit)
        return Error{"a password has 1 to " + std::to_string(password_limit) + " bytes"};
    return form == PasswordForm::scram ? hash_for_scram(password) : hash_for_crypt(password);
}

int encrypt(std::string_view password, PasswordForm form) {
    const Result<std::string> hash = hash_password(Secret(password), form);
    if (!hash) {
        std::fprintf(stderr, "smtpctl: %s\n", hash.error().message.c_str());
        return EX_DATAERR;
    }
    std::puts(hash->c_str());
    return 0;
}

int encrypt_lines(PasswordForm form) {
    Secret password;
    if (isatty(STDIN_FILENO)) {
        std::fputs("Password: ", stderr);
        const Unseen unseen;
        if (!read_password(password))
            return EX_NOINPUT;
        std::fputs("\n", stderr);
        return encrypt(password.view(), form);
    }
    int status = 0;
    while (status == 0 && read_password(password))
        status = encrypt(password.view(), form);
    return status;
}

} // namespace postern
