"""Kills processes of a gateway at random moments while messages go through it, from a seed.

What it leaves to look at afterwards: when which process was killed, to explain what arrived twice.
"""
import os
import random
import signal
import time

PAUSE = 0.2, 1.5    # seconds between two kills
GROUP = 12          # every so many kills it is all processes at once
BEFORE = 2.0        # seconds; a copy before a kill, or after it, was under way then: the next hop
AFTER = 3.0         # had it, and the queue did not know yet


class Killer:
    def __init__(self, gateway, seed, note):
        """`note` is called with a line for each kill."""
        self.gateway, self.random, self.note = gateway, random.Random(seed), note
        self.kills = []  # (time, name)

    def run(self, seconds, restart):
        """`restart` starts the gateway anew after all of it was killed."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(self.random.uniform(*PAUSE))
            if self.random.randrange(GROUP) == 0:
                self.killed("gateway")
                self.gateway.kill_all()
                restart()
            else:
                self.kill_one()

    def kill_one(self):
        processes = self.gateway.processes()
        if not processes:
            return  # all of them are being started
        name = self.random.choice(sorted(set(processes.values())))
        pid = self.random.choice(sorted(pid for pid in processes if processes[pid] == name))
        self.killed(name)
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it has ended by itself: the one that it depended on was killed

    def killed(self, name):
        self.kills.append((time.monotonic(), name))
        self.note(f"kill -9 {name}")

    def explains(self, arrival):
        """Whether something was killed about the time when this copy arrived."""
        return any(at - BEFORE <= arrival <= at + AFTER for at, name in self.kills)


def duplicates(messages, identifier_of):
    """[(identifier, time of the copy before)] for every copy but the last of what came more than
    once; `messages` have `content` and `at`."""
    arrivals = {}
    for message in messages:
        arrivals.setdefault(identifier_of(message.content), []).append(message.at)
    return [(identifier, at) for identifier, times in arrivals.items() for at in sorted(times)[:-1]]
