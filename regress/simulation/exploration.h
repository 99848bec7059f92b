// Visits crash points: the workload of each seed is run once to its end, and then once for each of
// its steps, the machine stopping there. Several processes share the seeds; one that dies or hangs
// is a failure like any other. A failure prints the command that shows it again.
//
// The command line of a program that explores:
//   --points N         crash points to visit, at least
//   --seconds N        for so long, whatever the number of points
//   --first-seed N     begin with this seed (1)
//   --jobs N           processes (as many as there are processors)
//   --seed N [--step N] [--verbose]    this workload only, or this step of it, in this process
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace postern {

// What was promised and is not so.
struct Violation {
    std::string what;
};

// Runs the workload of `seed` with the machine stopping at `step`; 0: not at all. The result is the
// number of its steps. Throws Violation.
using Workload = std::function<uint64_t(uint64_t seed, uint64_t step, bool verbose)>;

// The result is the exit status. `points`: unless the command line says otherwise.
int explore(int argc, char** argv, uint64_t points, const Workload& workload);

} // namespace postern
