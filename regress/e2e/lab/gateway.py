"""The gateway under test: smtpd with all its processes, its configuration, log and control socket."""
import os
import re
import signal
import ssl
import subprocess
import time

from . import isolation

COMM_LENGTH = 15  # the kernel keeps this much of a process's name
DEFAULT_SOCKET = "/run/postern/smtpd.sock"
STOP_LIMIT = 30  # seconds
# What no test wants to see in the log, whatever else happens.
CRASH_MARKS = ("AddressSanitizer", "LeakSanitizer", "ThreadSanitizer", "runtime error:",
               "terminate called", "Assertion", "stack smashing", "double free", "corrupted")


class Gateway:
    def __init__(self, host, build, directory, mode):
        self.host, self.directory, self.mode = host, directory, mode
        self.programs = os.path.join(build, "bin")
        self.configuration = os.path.join(directory, "smtpd.conf")
        self.log_path = os.path.join(directory, "gateway.log")
        open(self.log_path, "a").close()
        self.process = None

    # Life

    def command(self, program, *arguments):
        """The command line of a program. Inside a user namespace root is not really root, so that
        the gateway must not take itself for it: it runs under the ordinary user's number."""
        command = [os.path.join(self.programs, program), *arguments]
        if self.mode == "user":
            command = ["unshare", "--user", "--map-user=1000", "--map-group=1000", *command]
        return command

    def start(self):
        log = open(self.log_path, "ab")
        self.process = self.host.popen(self.command("smtpd", "-d", "-f", self.configuration),
                                       stdout=log, stderr=log)
        log.close()

    def is_ready(self):
        """Every address of the configuration greets, unless it waits for a proxy to speak."""
        if self.process.poll() is not None:
            raise RuntimeError(f"smtpd ended with {self.process.returncode}")
        return all(self.greets(*endpoint) for endpoint in self.endpoints())

    def endpoints(self):
        with open(self.configuration) as file:
            text = file.read()
        return [(address, int(port or 25), "smtps" in rest.split()) for address, port, rest in
                re.findall(r"^listen on ([0-9a-fA-F.:]+)(?: port (\d+))?(.*)", text, re.MULTILINE)
                if " proxy" not in rest]

    def socket(self):
        """The control socket: where the configuration says, or the default."""
        with open(self.configuration) as file:
            match = re.search(r'^socket "([^"]*)"', file.read(), re.MULTILINE)
        return match[1] if match else DEFAULT_SOCKET

    def greets(self, address, port, encrypted):
        """In TLS it need not go as far as the greeting: the client may have to prove itself first."""
        try:
            with self.host.connect(address, port, 2) as connection:
                connection.settimeout(2)
                if not encrypted:
                    return connection.recv(3) == b"220"
                ssl._create_unverified_context().wrap_socket(connection).close()
                return True
        except OSError:
            return False

    def stop(self):
        """Ends it in order. Returns its exit status."""
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"smtpd still runs {STOP_LIMIT} s after SIGTERM") from None
        self.process = None
        return status

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    # Processes

    def processes(self):
        """{pid: name} of all processes below smtpd, zombies left out."""
        if not self.is_running():
            return {}
        found = {}
        for pid in isolation.descendants_of(self.process.pid):
            name = name_of(pid)
            if name is not None:
                found[pid] = name
        return found

    def pids_of(self, role):
        """The processes of this role: "queue" finds postern-queue."""
        return [pid for pid, name in self.processes().items()
                if name == ("postern-" + role)[:COMM_LENGTH]]

    def kill(self, role):
        """kill -9 of all processes of a role. Returns how many there were."""
        pids = self.pids_of(role)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        return len(pids)

    def kill_all(self):
        """kill -9 of the supervisor and everything below it, at once."""
        pids = [self.process.pid, *self.processes()]
        for pid in pids:  # first nobody moves, so that nobody sees another one die
            os.kill(pid, signal.SIGSTOP)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        self.process.wait(10)
        self.process = None
        deadline = time.monotonic() + 10
        while any(name_of(pid) is not None for pid in pids[1:]):
            if time.monotonic() > deadline:
                raise RuntimeError("processes survive kill -9")
            time.sleep(0.01)

    # What it says

    def log(self):
        with open(self.log_path, errors="replace") as file:
            return file.read().splitlines()

    def crashes(self):
        return [line for line in self.log() if any(mark in line for mark in CRASH_MARKS)]

    def smtpctl(self, arguments):
        return self.host.run(self.command("smtpctl", "-s", self.socket(), *arguments), limit=30)


def name_of(pid):
    """The name of a process as the kernel keeps it; None if it has ended."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            text = file.read()
    except OSError:
        return None
    if text.rpartition(")")[2].split()[0] in "ZX":
        return None
    return text.partition("(")[2].rpartition(")")[0]
