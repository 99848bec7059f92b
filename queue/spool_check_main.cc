// postern-spool-check DIRECTORY: verifies the checksums of a spool that no queue uses. What
// `smtpctl spool check` starts: smtpctl knows nothing of spools.
//
// It writes nothing, and ends with 0 if all is well, 1 if something is damaged, 69 if a queue runs,
// 74 if the spool cannot be read, or was written by a newer version.
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <sysexits.h>

#include "queue/spool/posix_file_system.h"
#include "queue/spool/spool_check.h"

using namespace postern;

namespace {

int failed(const Error& error) {
    std::fprintf(stderr, "smtpctl: %s\n", error.message.c_str());
    return error.code == EWOULDBLOCK ? EX_UNAVAILABLE : EX_IOERR;
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fputs("usage: postern-spool-check directory\n", stderr);
        return EX_USAGE;
    }
    auto files = PosixFileSystem::open_directory(argv[1]);
    if (!files)
        return failed(files.error());
    auto result =
        check_spool(**files, [](const std::string& line) { std::printf("%s\n", line.c_str()); });
    if (!result)
        return failed(result.error());
    std::printf("%s\n", summary(*result).c_str());
    if (std::fflush(stdout) != 0 || std::ferror(stdout)) {
        std::fputs("smtpctl: the output cannot be written\n", stderr);
        return EX_IOERR;
    }
    return result->damaged == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
