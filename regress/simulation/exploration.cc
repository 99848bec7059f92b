#include "regress/simulation/exploration.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <sys/mman.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace postern {

namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

constexpr uint64_t failures_limit = 10;               // of one process
constexpr auto hang_limit = std::chrono::seconds(60); // of one point, which takes milliseconds

struct Arguments {
    std::string program;
    uint64_t points = 0;
    uint64_t seconds = 0; // 0: by the number of points
    uint64_t first_seed = 1;
    uint64_t jobs = std::max(1u, std::thread::hardware_concurrency());
    std::optional<uint64_t> seed;
    std::optional<uint64_t> step;
    bool verbose = false;
};

// Of one process; shared with the one that watches it.
struct Report {
    std::atomic<uint64_t> seed = 0;
    std::atomic<uint64_t> step = 0;
    std::atomic<uint64_t> points = 0;
    std::atomic<uint64_t> failures = 0;
};

void print_failure(const Arguments& arguments, const Report& report, const std::string& what) {
    std::printf("FAILED: seed %llu, step %llu: %s\n  again: %s --seed %llu --step %llu --verbose\n",
                static_cast<unsigned long long>(report.seed.load()),
                static_cast<unsigned long long>(report.step.load()), what.c_str(),
                arguments.program.c_str(), static_cast<unsigned long long>(report.seed.load()),
                static_cast<unsigned long long>(report.step.load()));
    std::fflush(stdout);
}

uint64_t visit(const Arguments& arguments, const Workload& workload, Report& report, uint64_t seed,
               uint64_t step) {
    report.seed = seed;
    report.step = step;
    uint64_t steps = 0;
    try {
        steps = workload(seed, step, arguments.verbose);
    } catch (const Violation& violation) {
        ++report.failures;
        print_failure(arguments, report, violation.what);
    }
    if (step != 0)
        ++report.points;
    return steps;
}

void visit_all(const Arguments& arguments, const Workload& workload, Report& report, uint64_t seed,
               const std::function<bool()>& enough) {
    const uint64_t steps = visit(arguments, workload, report, seed, 0);
    for (uint64_t step = 1; step <= steps && !enough(); ++step)
        visit(arguments, workload, report, seed, step);
}

// One of `jobs` processes: every seed whose turn it is.
void work(const Arguments& arguments, const Workload& workload, Report& report, uint64_t job,
          SteadyTime end) {
    const uint64_t share = (arguments.points + arguments.jobs - 1) / arguments.jobs;
    const auto enough = [&] {
        return report.failures >= failures_limit ||
               (arguments.seconds != 0 ? std::chrono::steady_clock::now() >= end
                                       : report.points >= share);
    };
    for (uint64_t seed = arguments.first_seed + job; !enough(); seed += arguments.jobs)
        visit_all(arguments, workload, report, seed, enough);
}

// Waits for the process of this report; what it does not survive is a failure.
bool ended_well(const Arguments& arguments, pid_t process, Report& report) {
    uint64_t last_seed = 0, last_step = 0;
    SteadyTime since = std::chrono::steady_clock::now();
    int status = 0;
    while (waitpid(process, &status, WNOHANG) == 0) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        if (last_seed != report.seed || last_step != report.step) {
            last_seed = report.seed;
            last_step = report.step;
            since = std::chrono::steady_clock::now();
        } else if (std::chrono::steady_clock::now() - since > hang_limit) {
            kill(process, SIGKILL);
            waitpid(process, &status, 0);
            break;
        }
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS)
        return report.failures == 0;
    if (report.failures < failures_limit)
        print_failure(arguments, report,
                      WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL
                          ? std::string("it ended with ") + strsignal(WTERMSIG(status))
                          : std::string("it did not come to an end"));
    ++report.failures;
    return false;
}

int explore_with_jobs(const Arguments& arguments, const Workload& workload) {
    void* shared = mmap(nullptr, arguments.jobs * sizeof(Report), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        std::perror("mmap");
        return EXIT_FAILURE;
    }
    auto* reports = static_cast<Report*>(shared);
    const SteadyTime begin = std::chrono::steady_clock::now();
    const SteadyTime end = begin + std::chrono::seconds(arguments.seconds);
    std::vector<pid_t> processes;
    for (uint64_t job = 0; job < arguments.jobs; ++job) {
        new (&reports[job]) Report;
        const pid_t process = fork();
        if (process == 0) {
            work(arguments, workload, reports[job], job, end);
            std::fflush(stdout);
            _exit(EXIT_SUCCESS);
        }
        if (process < 0) {
            std::perror("fork");
            return EXIT_FAILURE;
        }
        processes.push_back(process);
    }
    bool good = true;
    uint64_t points = 0, failures = 0;
    for (uint64_t job = 0; job < arguments.jobs; ++job) {
        good = ended_well(arguments, processes[job], reports[job]) && good;
        points += reports[job].points;
        failures += reports[job].failures;
    }
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    std::printf("%llu crash points from seed %llu on, %.0f s, %llu failures\n",
                static_cast<unsigned long long>(points),
                static_cast<unsigned long long>(arguments.first_seed), seconds,
                static_cast<unsigned long long>(failures));
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int explore_one_seed(const Arguments& arguments, const Workload& workload) {
    Report report;
    const auto enough = [&] { return report.failures >= failures_limit; };
    if (arguments.step)
        visit(arguments, workload, report, *arguments.seed, *arguments.step);
    else
        visit_all(arguments, workload, report, *arguments.seed, enough);
    std::printf("%llu crash points, %llu failures\n",
                static_cast<unsigned long long>(report.points.load()),
                static_cast<unsigned long long>(report.failures.load()));
    return report.failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

bool read_arguments(int argc, char** argv, Arguments& arguments) {
    const char* slash = std::strrchr(argv[0], '/');
    arguments.program = slash ? slash + 1 : argv[0];
    uint64_t seed = 0, step = 0;
    const std::pair<const char*, uint64_t*> numbers[] = {{"--points", &arguments.points},
                                                         {"--seconds", &arguments.seconds},
                                                         {"--first-seed", &arguments.first_seed},
                                                         {"--jobs", &arguments.jobs},
                                                         {"--seed", &seed},
                                                         {"--step", &step}};
    for (int i = 1; i < argc; ++i) {
        if (std::strcmp(argv[i], "--verbose") == 0) {
            arguments.verbose = true;
            continue;
        }
        const auto* found = std::find_if(std::begin(numbers), std::end(numbers), [&](auto& one) {
            return std::strcmp(argv[i], one.first) == 0;
        });
        if (found == std::end(numbers) || i + 1 == argc)
            return false;
        char* rest = nullptr;
        *found->second = std::strtoull(argv[++i], &rest, 10);
        if (rest == argv[i] || *rest != '\0')
            return false;
        if (found->second == &seed)
            arguments.seed = seed;
        if (found->second == &step)
            arguments.step = step;
    }
    return arguments.jobs > 0 && arguments.jobs <= 1000 && (arguments.seed || !arguments.step);
}

} // namespace

int explore(int argc, char** argv, uint64_t points, const Workload& workload) {
    setlinebuf(stdout); // in order with what is logged
    Arguments arguments;
    arguments.points = points;
    if (!read_arguments(argc, argv, arguments)) {
        std::fprintf(stderr,
                     "usage: %s [--points N] [--seconds N] [--first-seed N] [--jobs N]\n"
                     "       %s --seed N [--step N] [--verbose]\n",
                     arguments.program.c_str(), arguments.program.c_str());
        return 2;
    }
    return arguments.seed ? explore_one_seed(arguments, workload)
                          : explore_with_jobs(arguments, workload);
}

} // namespace postern
