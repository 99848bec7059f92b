"""Job "idle": what a session costs in memory that has said EHLO and then nothing, and how soon mail
passes while so many sit there."""
import dataclasses
import re
import socket
import time

import accounting
import trial
from load import Failure

WARM = 50              # sessions, before the first look at memory
LIVE = 100             # messages that pass meanwhile
SPARE = 2 << 20        # octets of memory for each session, so that the machine does not swap
GREETING_LIMIT = 20    # seconds
OPEN_PART = 0.7        # of the time that a run may take: what is not open then is left out
BATCH = 50             # connections that are made before the first of them is read


@dataclasses.dataclass
class Case:
    name: str


def read_reply(connection):
    answer = b""
    while not re.search(rb"(^|\n)\d\d\d [^\n]*\n$", answer):
        more = connection.recv(4096)
        if not more:
            raise OSError("the session was ended")
        answer += more
    return answer


def open_sessions(count, connect, deadline):
    """Sessions that have said EHLO: as many of `count` as the server takes."""
    sessions = []
    try:
        while len(sessions) < count and time.monotonic() < deadline:
            batch = [connect() for _ in range(min(BATCH, count - len(sessions)))]
            for number, one in enumerate(batch):
                try:
                    if not read_reply(one).startswith(b"220"):
                        raise OSError("refused")
                    one.sendall(b"EHLO client.example\r\n")
                    if not read_reply(one).startswith(b"250"):
                        raise OSError("refused")
                except OSError:
                    for rest in batch[number:]:
                        rest.close()
                    return sessions
                sessions.append(one)
    except OSError:
        pass  # the server's limit
    return sessions


def connector(port):
    """What makes a connection to that port."""
    def connect():
        connection = socket.create_connection(("127.0.0.1", port), 5)
        connection.settimeout(GREETING_LIMIT)
        return connection
    return connect


def memory(server):
    """Of all its processes, in octets."""
    found = accounting.proportional_memory(server.pids())
    if found is None:
        raise Failure("the memory of its processes cannot be read here")
    return found


def base_memory(server, connect, deadline):
    """The same when sessions have come and gone."""
    for one in open_sessions(WARM, connect, deadline):
        one.close()
    time.sleep(0.5)
    return memory(server)


def memory_of(server, count, connect, deadline):
    """(sessions, the processes' memory without them, with them), in octets."""
    before = base_memory(server, connect, deadline)
    sessions = open_sessions(count, connect, deadline)
    if not sessions:
        raise Failure("no session was opened")
    time.sleep(1)
    return sessions, before, memory(server)


def room(wanted):
    """So many as fit into the machine's memory, if each takes as much as a process."""
    free = re.search(r"^MemAvailable:\s+(\d+)", accounting.read("/proc/meminfo"), re.M)
    return min(wanted, int(free[1]) * 1024 // SPARE) if free else wanted


class Idle(trial.Trial):
    job = "idle"
    most_rounds = 1
    limit_factor = 2
    FIGURES = [("sessions", "sessions"), ("kib_per_session", "KiB each"),
               ("base_mib", "MiB without"), ("processes", "processes"),
               ("open_s", "s to open"), ("live_per_s", "live mail/s")]

    @classmethod
    def cases(cls, options):
        return [Case("plain")]

    def extra_setting(self):
        self.count = room(min(self.options.sessions, self.kind.most_sessions or 1 << 30))
        return {"sessions": self.count + WARM}

    def measure(self):
        self.server.start()
        self.pass_on(WARM)
        self.quiet(limit=5)
        began = time.monotonic()
        until = began + (self.deadline - began) * OPEN_PART
        sessions, before, after = memory_of(self.server, self.count,
                                            connector(self.server.port), until)
        self.result.update(
            sessions=len(sessions), kib_per_session=round((after - before) / len(sessions) / 1024, 1),
            base_mib=round(before / (1 << 20), 1), open_s=round(time.monotonic() - began, 1),
            processes=len(self.server.pids()))
        if len(sessions) < self.count:
            self.result["notes"] = [f"it took {len(sessions)} sessions of {self.count}"]
        try:
            self.result["live_per_s"] = round(self.pass_on(LIVE, clients=5), 1)
        finally:
            for one in sessions:
                one.close()
