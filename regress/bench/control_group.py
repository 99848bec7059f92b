"""A control group of the kernel (version 2, or the accounting of version 1): the CPU time of all
processes of a server, also of those that nobody waited for, and who they are.

Root alone can make one. Where it cannot be had, accounting.py reads /proc instead: then what a
process had used that nobody waited for is missing.
"""
import contextlib
import os
import time

import accounting


def roots():
    """Where groups may be made: (version, directory)."""
    found = []
    for line in (accounting.read("/proc/mounts") or "").splitlines():
        _, place, kind, options = line.split()[:4]
        if kind == "cgroup2":
            found.append((2, place))
        elif kind == "cgroup" and "cpuacct" in options.split(","):
            found.insert(0, (1, place))
    return found


class ControlGroup:
    """It is there as long as the object is entered (`with`)."""

    def __init__(self, version, place, home):
        self.version, self.place, self.home = version, place, home

    @classmethod
    def make(cls, name):
        """Returns a new one, or None where that is not possible."""
        for version, root in roots():
            group = cls(version, os.path.join(root, name), root + own_group(version))
            try:
                os.mkdir(group.place)
                with group.entered():
                    group.cpu()
                return group
            except OSError:
                with contextlib.suppress(OSError):
                    os.rmdir(group.place)
        return None

    @contextlib.contextmanager
    def entered(self):
        """We are in it, and so is each process that is started meanwhile."""
        self.move_to(self.place)
        try:
            yield
        finally:
            self.move_to(self.home)

    def move_to(self, place):
        with open(os.path.join(place, "cgroup.procs"), "w") as file:
            file.write("0")

    def pids(self):
        with open(os.path.join(self.place, "cgroup.procs")) as file:
            return [pid for pid in map(int, file.read().split()) if pid]

    def cpu(self):
        """Seconds, of all that were ever in it."""
        if self.version == 1:
            with open(os.path.join(self.place, "cpuacct.usage")) as file:
                return int(file.read()) / 1e9
        with open(os.path.join(self.place, "cpu.stat")) as file:
            return next(int(line.split()[1]) for line in file if line.startswith("usage_usec")) / 1e6

    def remove(self, limit=5):
        """Its processes must have been ended. The kernel takes a moment to notice."""
        deadline = time.monotonic() + limit
        while True:
            try:
                return os.rmdir(self.place)
            except FileNotFoundError:
                return None
            except OSError:
                if time.monotonic() > deadline:
                    return None  # an empty group costs nothing
                time.sleep(0.02)


def own_group(version):
    """The group that we are in ourselves, below the root of its kind."""
    for line in (accounting.read("/proc/self/cgroup") or "").splitlines():
        _, kinds, path = line.split(":", 2)
        if (version == 2 and not kinds) or (version == 1 and "cpuacct" in kinds.split(",")):
            return path
    return "/"


def remove_all(name):
    """Groups called NAME.NUMBER that were left behind."""
    for _, root in roots():
        for place in os.listdir(root) if os.path.isdir(root) else []:
            if place.startswith(name + "."):
                ControlGroup(None, os.path.join(root, place), None).remove()
