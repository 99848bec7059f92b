"""What a set of processes costs, read from /proc: CPU time, context switches, memory; and what the
machine does besides.

Everything here only reads, and a process that ends meanwhile is no error. CPU time is in seconds
(the kernel gives 10 ms steps), memory in bytes.
"""
import os
import re
import threading
import time

TICKS = os.sysconf("SC_CLK_TCK")
ENDED = "ended"  # the name under which processes stand that have ended and been waited for


def read(path):
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return None


def program_of(pid):
    """The name of its program: the kernel's own name for it is cut off after 15 characters."""
    command = (read(f"/proc/{pid}/cmdline") or "").split("\0")[0]
    name = os.path.basename(command) or (read(f"/proc/{pid}/comm") or "?").strip()
    return name.removeprefix("postern-")


class Usage:
    """What the processes had used at one moment: {pid: (name, own CPU, children's CPU, switches)}.

    `own` is that of all threads, also of those that have ended. `switches` are the voluntary ones,
    of the threads that still are: each is a wait for something, so a wake-up follows."""

    def __init__(self, pids):
        self.processes = {}
        for pid in pids:
            text = read(f"/proc/{pid}/stat")
            if text is None:
                continue
            fields = [int(field) for field in text.rpartition(")")[2].split()[11:15]]
            self.processes[pid] = (program_of(pid), sum(fields[:2]) / TICKS,
                                   sum(fields[2:]) / TICKS, voluntary_switches(pid))

    def total(self):
        """CPU seconds of all, their children that have ended included."""
        return sum(own + children for _, own, children, _ in self.processes.values())

    def since(self, before):
        """({name: CPU}, {name: switches}, names of those that have ended since `before`).

        The kernel adds a dead process's time to its parent's children's time. All of it since
        `before` is entered as ENDED, so that the sum is right whoever dies."""
        cpu, switches = {}, {}
        ended = [pid for pid in before.processes if pid not in self.processes]
        for pid, (name, own, children, switched) in self.processes.items():
            old = before.processes.get(pid, (name, 0, 0, 0))
            cpu[name] = cpu.get(name, 0) + own - old[1]
            switches[name] = switches.get(name, 0) + switched - old[3]
            cpu[ENDED] = cpu.get(ENDED, 0) + children - old[2]
        for pid in ended:
            cpu[ENDED] = cpu.get(ENDED, 0) - before.processes[pid][1] - before.processes[pid][2]
        return cpu, switches, [before.processes[pid][0] for pid in ended]


def voluntary_switches(pid):
    count = 0
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return 0
    for thread in threads:
        text = read(f"/proc/{pid}/task/{thread}/status") or ""
        match = re.search(r"^voluntary_ctxt_switches:\s+(\d+)", text, re.MULTILINE)
        count += int(match[1]) if match else 0
    return count


def proportional_memory(pids):
    """The memory of these processes, shared pages counted once (PSS); None where not allowed."""
    total = 0
    for pid in pids:
        text = read(f"/proc/{pid}/smaps_rollup")
        match = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE) if text else None
        if match:
            total += int(match[1]) * 1024
        elif os.path.exists(f"/proc/{pid}"):
            return None
    return total


class MemoryWatch:
    """The largest memory of processes, and number of them, while it is entered. It takes about 2 % of
    one core."""

    def __init__(self, pids):
        self.pids, self.peak, self.processes = pids, None, 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def look(self):
        began = time.monotonic()
        pids = self.pids()
        self.processes = max(self.processes, len(pids))
        found = proportional_memory(pids)
        if found is not None:
            self.peak = max(self.peak or 0, found)
        return time.monotonic() - began

    def run(self):
        pause = 0
        while not self.ended.wait(pause):
            pause = max(0.25, 50 * self.look())

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()
        self.look()


def machine_busy():
    """(seconds that the machine's cores were busy since it started, number of cores)."""
    lines = (read("/proc/stat") or "").splitlines()
    fields = [int(field) for field in lines[0].split()[1:9]]
    idle = fields[3] + fields[4]
    return (sum(fields) - idle) / TICKS, sum(line.startswith("cpu") for line in lines) - 1
