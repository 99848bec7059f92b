// Stops the machine, or kills the process, at every step of random days in the life of a queue
// (queue_world.h), starts it again, lets it come to rest, and looks whether everything that was
// promised is so (queue_ledger.h). What a day has to put up with (a disk that refuses, is full or
// flips bits, little memory, mail that expires) depends on its seed. The command line is in
// exploration.h.
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

#include "regress/simulation/queue_world.h"

namespace postern {
namespace {

void set_faults(QueueWorld& world, uint64_t seed, bool any) {
    world.files.sync_failure = any && seed % 3 == 1 ? 0.03 : 0;
    world.files.write_failure = any && seed % 3 == 1 ? 0.02 : 0;
    world.files.capacity = any && seed % 7 == 2 ? 150 << 10 : UINT64_MAX;
}

void live(QueueWorld& world, size_t actions) {
    for (size_t i = 0; i < actions && world.running() && !world.files.stopped(); ++i)
        world.act();
}

// It stops again while it starts, the machine or only the process.
void start_again(QueueWorld& world, SimulationRandom& fate) {
    for (int i = 0; i < 8 && fate() % 3 == 0; ++i) {
        world.files.stop_at_step = world.files.steps() + 1 + fate() % 40;
        if (world.start())
            break;
        world.die();
        if (fate() % 3 == 0)
            world.files.kill_process();
        else
            world.files.crash(fate());
    }
    world.files.stop_at_step = 0;
    if (!world.running() && !world.start())
        throw Violation{"it does not start again"};
}

void end_life(QueueWorld& world, SimulationRandom& fate) {
    if (world.running() && !world.files.stopped() && fate() % 4 == 0)
        world.stop();
    world.die();
    if (fate() % 3 == 0)
        world.files.kill_process();
    else
        world.files.crash(fate());
}

uint64_t run(uint64_t seed, uint64_t step, bool verbose) {
    QueueWorld world(seed, verbose);
    set_faults(world, seed, true);
    world.files.read_flip = seed % 4 == 3 ? 0.05 : 0;
    world.files.good_after_flip = 16; // large content is read in several pieces, and twice
    if (seed % 5 == 3)
        world.max_pending = 20 << 10;
    world.files.stop_at_step = step;
    if (world.start())
        live(world, 40);
    const uint64_t steps = world.files.steps();
    SimulationRandom fate(seed * 1000003 + step);
    end_life(world, fate);
    set_faults(world, seed, false);
    start_again(world, fate);
    // A second, shorter life on what was recovered.
    world.files.stop_at_step = world.files.steps() + 1 + fate() % 60;
    live(world, 15);
    end_life(world, fate);
    start_again(world, fate);
    world.come_to_rest();
    return steps;
}

} // namespace
} // namespace postern

int main(int argc, char** argv) {
    bool verbose = false;
    for (int i = 1; i < argc; ++i)
        verbose = verbose || std::strcmp(argv[i], "--verbose") == 0;
    if (!verbose) // what the queue logs is of interest only then
        dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
    return postern::explore(argc, argv, 20000, postern::run);
}
