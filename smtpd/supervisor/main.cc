// smtpd: reads the configuration, then starts and watches everything else.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <getopt.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/config/parse.h"
#include "smtpd/supervisor/pki_files.h"
#include "smtpd/supervisor/supervisor.h"
#include "smtpd/supervisor/table_files.h"
#include "smtpd/supervisor/warnings.h"

namespace {

using namespace postern;

constexpr const char* default_configuration = "/etc/postern/smtpd.conf";
constexpr const char* usage =
    "usage: smtpd [-dFhnVv] [-f file]\n"
    "\n"
    "  -f file  read this configuration (default /etc/postern/smtpd.conf)\n"
    "  -n       check the configuration and say whether it is good\n"
    "  -d       stay in the foreground, log on standard error\n"
    "  -F       stay in the foreground, log to syslog\n"
    "  -v       log more\n"
    "  -V       print the version\n"
    "  -h       print this\n"
    "\n"
    "SIGHUP re-reads the configuration, SIGTERM finishes what is under way and ends.\n"
    "smtpctl(8) shows and steers a running server.\n";

struct Arguments {
    std::string file = default_configuration;
    bool check = false;
    bool foreground = false;
    bool standard_error = false;
    bool verbose = false;
};

Arguments parse_arguments(int argc, char** argv) {
    static const option long_options[] = {{"help", no_argument, nullptr, 'h'},
                                          {"version", no_argument, nullptr, 'V'},
                                          {nullptr, 0, nullptr, 0}};
    Arguments arguments;
    int letter;
    while ((letter = getopt_long(argc, argv, "dFf:hnVv", long_options, nullptr)) != -1) {
        switch (letter) {
        case 'd':
            arguments.foreground = arguments.standard_error = true;
            break;
        case 'F':
            arguments.foreground = true;
            break;
        case 'f':
            arguments.file = optarg;
            break;
        case 'n':
            arguments.check = true;
            break;
        case 'v':
            arguments.verbose = true;
            break;
        case 'V':
            std::puts("postern " POSTERN_VERSION);
            std::exit(0);
        case 'h':
            std::fputs(usage, stdout);
            std::exit(0);
        default:
            std::fputs(usage, stderr);
            std::exit(1);
        }
    }
    if (optind != argc) {
        std::fputs(usage, stderr);
        std::exit(1);
    }
    return arguments;
}

Configuration read_configuration(const Arguments& arguments) {
    ParsedConfiguration parsed = parse_configuration_file(arguments.file);
    for (const Diagnostic& warning : parsed.warnings)
        std::fprintf(stderr, "%s (warning)\n", warning.to_string().c_str());
    for (const Diagnostic& error : parsed.errors)
        std::fprintf(stderr, "%s\n", error.to_string().c_str());
    if (!parsed.configuration)
        std::exit(1);
    return std::move(*parsed.configuration);
}

// The rest of `-n`: what the configuration names besides other configuration.
int check_files(const Configuration& configuration) {
    Result<Credentials> credentials = read_credentials(configuration);
    if (!credentials) {
        std::fprintf(stderr, "%s\n", credentials.error().message.c_str());
        return 1;
    }
    if (Result<void> checked = check_table_files(configuration); !checked) {
        std::fprintf(stderr, "%s\n", checked.error().message.c_str());
        return 1;
    }
    if (!credentials->system_authorities.empty())
        if (Result<void> good = check_system_authorities(); !good)
            credentials->warnings.push_back("no server can be verified: " + good.error().message);
    for (const std::string& warning : credentials->warnings)
        std::fprintf(stderr, "%s (warning)\n", warning.c_str());
    const std::string hostname =
        configuration.hostname.empty() ? machine_hostname() : configuration.hostname;
    for (const std::string& warning : warnings_of(configuration, hostname))
        std::fprintf(stderr, "%s (warning)\n", warning.c_str());
    std::fprintf(stderr, "configuration OK\n");
    return 0;
}

// Descriptors 0 to 2 are open in any case, so that no socket gets their numbers.
void open_standard_descriptors() {
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= 2);
    if (fd > 2)
        close(fd);
}

} // namespace

int main(int argc, char** argv) {
    Arguments arguments = parse_arguments(argc, argv);
    open_standard_descriptors();
    signal(SIGPIPE, SIG_IGN);
    Configuration configuration = read_configuration(arguments);
    if (arguments.check)
        return check_files(configuration);
    Result<std::string> programs = find_programs();
    if (!programs) {
        std::fprintf(stderr, "smtpd: %s\n", programs.error().message.c_str());
        return 1;
    }
    // libevent's descriptors do not survive a fork: detach first, but let the terminal hear of what
    // keeps the server from starting. The working directory stays: paths may be relative to it.
    FileDescriptor terminal;
    if (!arguments.foreground) {
        terminal = FileDescriptor(fcntl(2, F_DUPFD_CLOEXEC, 3));
        if (daemon(1, 0) < 0) {
            std::perror("smtpd: daemon");
            return 1;
        }
    }
    log::open("smtpd",
              arguments.standard_error ? log::Output::standard_error : log::Output::syslog);
    log::set_verbose(arguments.verbose);
    EventLoop loop;
    Supervisor supervisor(loop, {arguments.file, !arguments.standard_error, arguments.verbose},
                          std::move(configuration), *programs);
    if (Result<void> prepared = supervisor.prepare(); !prepared) {
        log::error("cannot start", {{"reason", prepared.error().message}});
        if (terminal)
            dprintf(terminal.get(), "smtpd: %s\n", prepared.error().message.c_str());
        return 1;
    }
    terminal.reset();
    return supervisor.run();
}
