// postern-maildir MAILDIR REVERSE-PATH RECIPIENT: stores the message on standard input.
//
// The supervisor runs it as the recipient's user, for postern-local. It exits with 0 when the
// message is stored durably; else with a status of sysexits.h, and says why on standard error.
#include <csignal>
#include <cstdio>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "deliver/local/maildir/maildir.h"

int main(int argc, char** argv) {
    if (argc != 4) {
        std::fprintf(stderr, "usage: postern-maildir MAILDIR REVERSE-PATH RECIPIENT < MESSAGE\n");
        return EX_USAGE;
    }
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN); // then write(2) says EFBIG
    umask(077);
    const postern::MaildirMessage message{argv[1], argv[2], argv[3], STDIN_FILENO};
    postern::Result<std::string> stored = postern::store_message(message);
    if (stored)
        return EX_OK;
    std::fprintf(stderr, "%s\n", stored.error().message.c_str());
    return postern::exit_status_of(stored.error().code);
}
