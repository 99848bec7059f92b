"""The machine: what it is, what its disk does now, and waiting until that is as usual."""
import os
import re
import shutil
import time

import accounting

FILES = 80          # of a look at the disk
GATE_LIMIT = 90     # seconds that a run waits for the disk at most
GATE_TOTAL = 600    # and all runs together, if nothing is asked for: a disk may stay as it is
GATE_PAUSE = 3      # seconds between two looks
USUAL_PART = 2 / 3  # of the rate at the beginning: less is a disk that has not recovered


def describe(directory):
    """What results depend on; `directory` is where the servers have their queues."""
    processor = re.search(r"^model name\s*:\s*(.*)", accounting.read("/proc/cpuinfo") or "", re.M)
    memory = re.search(r"^MemTotal:\s+(\d+)", accounting.read("/proc/meminfo") or "", re.M)
    return {"processor": processor[1] if processor else "unknown",
            "cores": accounting.machine_busy()[1],
            "memory_gib": round(int(memory[1]) / (1 << 20), 1) if memory else None,
            "kernel": os.uname().release, "filesystem": file_system(directory)}


def sentence(machine):
    """The same for people, in a line."""
    return (f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB, "
            f"Linux {machine['kernel']}, {machine['filesystem']}, "
            f"{machine['fsync_per_s']:.0f} files with fsync a second")


def file_system(directory):
    """Its type and options, of the mount that the directory is in."""
    best, found = "", "unknown"
    for line in (accounting.read("/proc/mounts") or "").splitlines():
        _, place, kind, options = line.split()[:4]
        inside = directory == place or directory.startswith(place.rstrip("/") + "/")
        if inside and len(place) >= len(best):
            best, found = place, f"{kind} ({options})"
    return found


def fsync_rate(directory):
    """New files of 4 KiB with fsync a second, one after the other. This is what a disk is slow at
    for a while after many files were deleted."""
    place = os.path.join(directory, "canary")
    shutil.rmtree(place, ignore_errors=True)
    os.makedirs(place)
    try:
        began = time.monotonic()
        for number in range(FILES):
            file = os.open(f"{place}/{number}", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            try:
                os.write(file, b"x" * 4096)
                os.fsync(file)
            finally:
                os.close(file)
        return FILES / (time.monotonic() - began)
    finally:
        shutil.rmtree(place)


class Gate:
    """Lets a run begin when the disk is as it was at the beginning, or as fast as is asked for."""

    def __init__(self, directory, least, total=GATE_TOTAL):
        """`least`: files a second, or None: two thirds of the median rate now. Then all runs wait
        for `total` seconds at most."""
        self.directory, self.left = directory, total if least is None else float("inf")
        self.rate = sorted(fsync_rate(directory) for _ in range(5))[2]
        self.least = self.rate * USUAL_PART if least is None else least

    def wait(self):
        """Returns the disk's rate now, and the seconds that were waited."""
        began, limit = time.monotonic(), min(GATE_LIMIT, self.left)
        while True:
            rate = fsync_rate(self.directory)
            waited = time.monotonic() - began
            if rate >= self.least or waited > limit:
                self.left = max(0, self.left - waited)
                return rate, waited
            time.sleep(GATE_PAUSE)
