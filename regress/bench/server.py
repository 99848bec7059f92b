"""What all servers under measurement have in common.

Each has the same task: take mail from loopback and relay it by domain, to the sink, to the sink of
the probes, or to a host where nobody listens. A class of its own says how it is configured, started,
asked and ended: postern.py, postfix.py, exim.py, opensmtpd.py.
"""
import dataclasses
import os
import signal
import socket
import subprocess
import time

from lab import isolation

import accounting
from load import Failure, end

SINK, PROBE, DEAD = "dest.example", "probe.example", "dead.example"  # domains of recipients
START_LIMIT = 60   # seconds until it greets, with a full queue too
STOP_LIMIT = 30    # seconds until it has ended
CONTROL_LIMIT = 120  # seconds for a command of its operator
DEAD_ADDRESS = "127.0.0.3"
PAGE = 100         # lines: the first page of a listing


@dataclasses.dataclass
class Setting:
    """What a server is to be for a job."""
    build: str
    directory: str       # its configuration, log and spool are below
    mode: str            # of isolation
    port: int
    sink_port: int
    probe_port: int
    dead_port: int
    sessions: int = 150  # most at once
    processes: int = 0   # listeners and relays, so many of each; 0: as the server likes


class Server:
    name = None            # as in options and tables
    title = None           # as people call it
    most_rounds = 1000     # of a slow one, fewer, so that all is done in reasonable time
    lasting = False        # its processes stay as long as it runs
    most_sessions = None   # idle ones at once, where it has a limit of its own
    most_queued = None     # messages: with more, the jobs would not end in reasonable time
    most_growth = None     # likewise, of the queue that grows in steps
    log_path = None

    def __init__(self, setting, group):
        """`group`: the control group that it runs in, or None."""
        self.setting, self.group, self.port = setting, group, setting.port

    @staticmethod
    def obstacle(build, mode):
        """Why it cannot be run here, or None."""
        raise NotImplementedError

    def launch(self):
        """Starts it and returns at once."""
        raise NotImplementedError

    def alive(self):
        """Whether its first process runs."""
        raise NotImplementedError

    def pids(self):
        raise NotImplementedError

    def end(self):
        """Ends it in order, or raises Failure."""
        raise NotImplementedError

    def kill(self):
        """Ends what is left of it, whatever its state."""
        raise NotImplementedError

    def queued(self):
        """The number of messages in its queue."""
        raise NotImplementedError

    def listing(self):
        """The command that lists the queue, and its environment."""
        raise NotImplementedError

    def hold(self):
        """From now on what is accepted is not sent."""
        raise NotImplementedError

    def release(self):
        """Sends what was held."""
        raise NotImplementedError

    def syncs(self):
        """How often it has made something durable so far; None if it does not say."""
        return None

    def start(self):
        """Returns the seconds until it greets."""
        began = time.monotonic()
        if self.group:
            with self.group.entered():
                self.launch()
        else:
            self.launch()
        while not self.greets():
            if not self.alive():
                raise Failure(f"{self.title} has ended at once")
            if time.monotonic() - began > START_LIMIT:
                raise Failure(f"{self.title} does not greet, {START_LIMIT} s after its start")
            time.sleep(0.005)
        return time.monotonic() - began

    def stop(self):
        """Returns the seconds that it took to end in order."""
        if not self.alive():
            raise Failure(f"{self.title} has ended by itself")
        began = time.monotonic()
        self.end()
        return time.monotonic() - began

    def greets(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 2) as connection:
                connection.settimeout(20)
                if connection.recv(200)[:3] != b"220":
                    return False
                connection.sendall(b"QUIT\r\n")
                connection.recv(200)
                return True
        except OSError:
            return False

    def cpu(self):
        """CPU seconds of all its processes so far, the dead included."""
        if self.group:
            return self.group.cpu()
        return accounting.Usage(self.pids()).total()

    def quiet(self, limit, deadline):
        """Waits until it has nothing to do any more. Returns the time when that began.

        That is less than 2 % of a core for half a second, or the limit, in seconds."""
        step, steps = 0.1, 5
        end = min(deadline, time.monotonic() + limit)
        began, calm, last = time.monotonic(), 0, self.cpu()
        while calm < steps and time.monotonic() < end:
            time.sleep(step)
            now = self.cpu()
            if now - last > 0.02 * step + (0 if self.group else 1 / accounting.TICKS):
                began, calm = time.monotonic(), 0
            else:
                calm += 1
            last = now
        return began

    def list_queue(self, deadline):
        """(seconds until the first page of the listing, seconds until all, lines)."""
        command, environment = self.listing()
        began = time.monotonic()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, env=environment)
        page, lines = None, 0
        try:
            while data := os.read(process.stdout.fileno(), 1 << 18):
                lines += data.count(b"\n")
                if page is None and lines >= PAGE:
                    page = time.monotonic() - began
                if time.monotonic() > deadline:
                    raise Failure("the queue is not listed in time")
            whole = time.monotonic() - began
        finally:
            process.stdout.close()
            end(process)
        return page if page is not None else whole, whole, lines


class Daemon(Server):
    """A server of other people: one process of ours, with all others below it or in its group."""
    process = None

    @staticmethod
    def obstacle_of(build, mode, program):
        if mode != "root":
            return "it needs root and namespaces"
        if not os.path.exists(os.path.join(build, program)):
            return "its package could not be downloaded"
        return None

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def pids(self):
        if self.group:
            return self.group.pids()
        if not self.alive():
            return []
        return [self.process.pid, *isolation.descendants_of(self.process.pid)]

    def end(self):
        pids = self.pids()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.title} still runs {STOP_LIMIT} s after SIGTERM") from None
        finally:
            self.kill(pids)

    def kill(self, pids=()):
        for pid in {*self.pids(), *pids}:
            kill_pid(pid)
        if self.process is not None:
            self.process.wait()

    def run(self, *command):
        """Runs a command of its operator. Returns what it prints."""
        try:
            result = subprocess.run(self.inside(command), stdin=subprocess.DEVNULL, text=True,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                    env=self.environment, timeout=CONTROL_LIMIT)
        except subprocess.TimeoutExpired:
            raise Failure(f"{command[0]} takes longer than {CONTROL_LIMIT} s") from None
        if result.returncode != 0:
            raise Failure(f"{command[0]} ended with {result.returncode}: {result.stderr.strip()}")
        return result.stdout

    def inside(self, command):
        """The command in the mount namespace where its users and files exist."""
        return ["nsenter", "--mount", f"--target={self.process.pid}", *command]


def count_files(*directories, suffix=""):
    return sum(name.endswith(suffix) for directory in directories
               for _, _, files in os.walk(directory) for name in files)


def kill_pid(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it has ended meanwhile
