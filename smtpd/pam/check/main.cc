// postern-pam-check SERVICE: asks PAM about one password.
//
// The supervisor runs it for postern-pam, as root where it is root itself. The question comes in on
// descriptor 3, and the finding goes out on 4 (common/ipc/pam.h). PAM is called in a child process,
// and what its modules have started ends with that. This process exits with 0 only if the child has
// written a finding; whatever a module does, from calling exit() to crashing, is something else.
#include <cstdio>
#include <fcntl.h>
#include <optional>
#include <string>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/smtp/sasl.h"
#include "smtpd/pam/check/guard.h"
#include "smtpd/pam/check/pam_check.h"

namespace {

using namespace postern;

constexpr int question_fd = 3;
constexpr int finding_fd = 4;

bool is_pipe(int fd) {
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode);
}

// Nothing, if it is not one whole question.
std::optional<ipc::PamQuestion> read_question() {
    std::string bytes(ipc::pam_pipe_limit, '\0');
    size_t size = 0;
    ssize_t got = 0;
    while (size < bytes.size() &&
           (got = read(question_fd, bytes.data() + size, bytes.size() - size)) > 0)
        size += static_cast<size_t>(got);
    ipc::PamQuestion question;
    const bool whole =
        got == 0 && ipc::decode_bytes(std::string_view(bytes).substr(0, size), question);
    wipe(bytes);
    return whole ? std::optional(std::move(question)) : std::nullopt;
}

// As postern-pam has found it to be, if it was not somebody else who asks.
bool may_be_asked(const ipc::PamQuestion& question) {
    return is_system_user_name(question.user) && is_password(question.password.view()) &&
           (question.remote_host.empty() || IpAddress::parse(question.remote_host));
}

bool is_same(const struct stat& before, int fd) {
    struct stat now;
    return fstat(fd, &now) == 0 && now.st_dev == before.st_dev && now.st_ino == before.st_ino;
}

// The exit status. Nothing is freed and nothing flushed afterwards.
int check(const char* service) {
    const std::optional<ipc::PamQuestion> question = read_question();
    if (!question || !may_be_asked(*question))
        return EX_DATAERR;
    close(question_fd);
    struct stat pipe;
    if (fstat(finding_fd, &pipe) < 0)
        return EX_OSERR;
    const std::string finding = ipc::encode_bytes(pam::ask(service, nullptr, *question));
    // Modules may have changed the user, and with it this; and closed what was not theirs.
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || !is_same(pipe, finding_fd))
        return EX_SOFTWARE;
    const ssize_t written = write(finding_fd, finding.data(), finding.size());
    return written == static_cast<ssize_t>(finding.size()) ? EX_OK : EX_IOERR;
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 2 || !is_pipe(question_fd) || !is_pipe(finding_fd)) {
        std::fprintf(stderr, "postern-pam-check is run by smtpd, not by hand\n");
        return EX_USAGE;
    }
    // No core file with a password in it, and no debugger but root's. Programs that modules start
    // have nothing of ours.
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || fcntl(finding_fd, F_SETFD, FD_CLOEXEC) < 0)
        return EX_OSERR;
    pam::run_guarded([&] { return check(argv[1]); });
}
