// postern-deliver [--forward] METHOD ARGUMENT...: delivers the message on standard input.
//
//     maildir PATH          into a Maildir
//     mbox PATH             at the end of an mbox
//     command PROGRAM ...   to a program, on its standard input
//     listed command TEXT   to a shell's command that stands in the user's .forward
//     listed file PATH      the same of an mbox
//
// With --forward the user's .forward is looked at first: if there is one nothing is delivered, and
// who is to have the message is written to standard output (ipc::Forwarded).
//
// The supervisor runs it as the recipient's user, for postern-local. The environment says whose it
// is and what the message's Return-Path and Delivered-To fields say: USER, HOME, SENDER, RECIPIENT,
// EXTENSION. It exits with 0 when the message is stored durably, or the command has ended so; with
// ipc::helper_forwarded; with ipc::helper_forward_unusable; else with a status of sysexits.h, and
// says why on standard error.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>
#include <vector>

#include "common/ipc/codec.h"
#include "common/ipc/local_settings.h"
#include "common/ipc/supervision.h"
#include "deliver/local/helper/command.h"
#include "deliver/local/helper/files.h"
#include "deliver/local/helper/forward.h"
#include "deliver/local/helper/maildir.h"
#include "deliver/local/helper/mbox.h"

namespace {

using namespace postern;

int fail(int status, const std::string& why) {
    std::fprintf(stderr, "%s\n", why.c_str());
    return status;
}

int fail(const Error& error) { return fail(exit_status_of(error.code), error.message); }

std::string variable(const char* name) {
    const char* value = std::getenv(name);
    return value ? value : "";
}

LocalMessage message_from_environment() {
    return {variable("SENDER"), variable("RECIPIENT"), STDIN_FILENO};
}

ForwardOwner owner_from_environment() {
    return {variable("USER"), variable("HOME"), variable("RECIPIENT"), variable("EXTENSION")};
}

int to_maildir(const std::string& path) {
    Result<std::string> stored = store_in_maildir(path, message_from_environment());
    return stored ? EX_OK : fail(stored.error());
}

int to_mbox(const std::string& path) {
    Result<void> stored = append_to_mbox(path, message_from_environment(), std::time(nullptr));
    return stored ? EX_OK : fail(stored.error());
}

int to_command(const std::vector<std::string>& words) {
    Result<CommandEnd> end = run_command(words, message_from_environment());
    // It may be mended, whatever is wrong with it.
    if (!end)
        return fail(EX_TEMPFAIL, end.error().message);
    const Verdict verdict = verdict_on(*end);
    return verdict.status == EX_OK ? EX_OK : fail(verdict.status, verdict.words);
}

// A .forward that cannot be used, or read, waits for its owner.
int fail_forward(const Error& error) { return fail(ipc::helper_forward_unusable, error.message); }

// What the user has ordered, if it still is so.
int to_listed(std::string_view kind, const std::string& text) {
    Result<std::optional<std::vector<ipc::Target>>> targets =
        read_forward(owner_from_environment());
    if (!targets)
        return fail_forward(targets.error());
    const ipc::Target wanted{kind == "command" ? ipc::TargetKind::command : ipc::TargetKind::file,
                             text, variable("USER")};
    if (!*targets || std::find((*targets)->begin(), (*targets)->end(), wanted) == (*targets)->end())
        return fail_forward({"it does not stand in the .forward any more"});
    return kind == "command" ? to_command({"/bin/sh", "-c", text}) : to_mbox(text);
}

// Nothing: there is no .forward.
std::optional<int> forward() {
    Result<std::optional<std::vector<ipc::Target>>> targets =
        read_forward(owner_from_environment());
    if (!targets)
        return fail_forward(targets.error());
    if (!*targets)
        return std::nullopt;
    const std::string said = ipc::encode_bytes(ipc::Forwarded{**targets});
    if (Result<void> written = write_all(STDOUT_FILENO, said); !written)
        return fail(EX_TEMPFAIL, written.error().message);
    return ipc::helper_forwarded;
}

int deliver(const std::vector<std::string>& arguments) {
    const std::string_view method = arguments.empty() ? "" : arguments.front();
    if (method == "maildir" && arguments.size() == 2)
        return to_maildir(arguments[1]);
    if (method == "mbox" && arguments.size() == 2)
        return to_mbox(arguments[1]);
    if (method == "command" && arguments.size() >= 2)
        return to_command({arguments.begin() + 1, arguments.end()});
    if (method == "listed" && arguments.size() == 3)
        return to_listed(arguments[1], arguments[2]);
    return fail(EX_USAGE, "usage: postern-deliver [--forward] maildir PATH | mbox PATH | "
                          "command PROGRAM ... | listed command|file TEXT");
}

} // namespace

int main(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN); // then write(2) says EFBIG
    umask(077);
    std::vector<std::string> arguments(argv + 1, argv + argc);
    if (!arguments.empty() && arguments.front() == "--forward") {
        arguments.erase(arguments.begin());
        if (std::optional<int> status = forward())
            return *status;
    }
    return deliver(arguments);
}
