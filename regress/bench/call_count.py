"""How many system calls the processes of a server make: counted by perf(1) where it works, which hardly
slows them, or else by strace(1), which does, so that more of what arrives is dealt with together.
"""
import os
import re
import shutil
import signal
import subprocess
import time

import accounting
import strace
from load import Failure, end

ATTACH = 1.5  # seconds until perf follows all; it does not say when
THREAD = re.compile(r"^ .*\((\d+)\), \d+ events")
COUNT = re.compile(r"^   (\w+) +(\d+) ")


def perf_works():
    if not shutil.which("perf"):
        return False
    result = subprocess.run(["perf", "trace", "-s", "-o", "/dev/null", "true"],
                            stdin=subprocess.DEVNULL, capture_output=True)
    return result.returncode == 0


def parse_perf(lines):
    """{thread: {call: count}}"""
    found, here = {}, None
    for line in lines:
        if match := THREAD.match(line):
            here = found.setdefault(int(match[1]), {})
        elif here is not None and (match := COUNT.match(line)):
            here[match[1]] = here.get(match[1], 0) + int(match[2])
    return found


def parse_strace(lines):
    """{call: count}"""
    found = {}
    for line in lines:
        words = line.split()
        if len(words) >= 5 and words[0][0].isdigit() and words[-1] != "total":
            found[words[-1]] = found.get(words[-1], 0) + int(words[3])
    return found


class Perf:
    """Counts for all threads that there are when it is entered."""
    name = "perf"

    def __init__(self, pids, directory, log):
        self.pids, self.path, self.log = pids, os.path.join(directory, "calls"), log
        self.programs = {}

    def __enter__(self):
        for pid in self.pids:
            for thread in os.listdir(f"/proc/{pid}/task"):
                self.programs[int(thread)] = accounting.program_of(pid)
        self.process = subprocess.Popen(
            ["perf", "trace", "-s", "-o", self.path, "-p", ",".join(map(str, self.pids))],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        time.sleep(ATTACH)
        if self.process.poll() is not None:
            raise Failure("perf has ended: see load.log")
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(20)  # it writes what it has
        except subprocess.TimeoutExpired:
            end(self.process)

    def counts(self):
        """{program: {call: count}}"""
        found = {}
        with open(self.path) as file:
            for thread, calls in parse_perf(file).items():
                program = found.setdefault(self.programs.get(thread, "?"), {})
                for call, count in calls.items():
                    program[call] = program.get(call, 0) + count
        return found


class Strace(strace.Strace):
    """Counts for all processes, those included that are started meanwhile, together."""
    name = "strace"

    def __init__(self, pids, directory, log):
        super().__init__(pids, os.path.join(directory, "calls"), log, ["-c"])

    def counts(self):
        return {"all": parse_strace(self.lines())}


def counter(server):
    """What counts best for that server: perf follows no process that is started meanwhile."""
    if server.lasting and perf_works():
        return Perf
    if why := strace.Strace.obstacle():
        raise Failure(why)
    return Strace
