"""One case of a job against one server: a fresh server, a sink, a limit on all of it, one result.

Jobs are classes derived from Trial, in files of their own; each lists its cases and fills in
`result` what it measures.
"""
import os
import socket
import subprocess
import time

import accounting
import load
import server
from load import Failure

SETTLE_LIMIT = 60  # seconds after the last message until the queue is empty
QUIET_LIMIT = 20   # seconds until a server has nothing to do


class Trial:
    job = None        # the name of the job, as in options and tables
    most_rounds = 1000  # more are not needed
    limit_factor = 1  # of --limit

    @classmethod
    def cases(cls, options):
        """What to run, in order: each has a name."""
        raise NotImplementedError

    @classmethod
    def takes_part(cls, kind, case):
        """Whether this case is for a server of that kind."""
        return True

    def __init__(self, bench, kind, case, place, round_number):
        self.bench, self.options, self.tools, self.case = bench, bench.options, bench.tools, case
        self.directory, self.server, self.sink, self.group, self.log = place, None, None, None, None
        self.deadline = time.monotonic() + self.options.limit * self.limit_factor
        self.kind = kind
        self.result = {"job": self.job, "case": case.name, "server": kind.name,
                       "round": round_number, "ok": False}

    def perform(self):
        """Returns the result; what went wrong is in it."""
        began = time.monotonic()
        try:
            self.prepare()
            self.measure()
            if self.server.alive():
                self.server.stop()
            self.result["ok"] = True
        except (Failure, OSError, subprocess.SubprocessError) as error:
            self.result["error"] = str(error)
            if self.server and self.server.log_path:
                self.result["log"] = self.server.log_path
                self.result["last_log_line"] = last_line(self.server.log_path)
        finally:
            self.clean_up()
        self.result["took_s"] = round(time.monotonic() - began, 1)
        return self.result

    def prepare(self):
        os.makedirs(self.directory)
        os.chmod(self.directory, 0o755)
        self.log = open(os.path.join(self.directory, "load.log"), "w")
        rate, waited = self.bench.gate.wait()
        self.deadline += waited
        self.result.update(fsync_per_s=round(rate), gate_s=round(waited, 1))
        if rate < self.bench.gate.least:
            self.result["slow_disk"] = True
        self.group = self.bench.make_group()
        setting = server.Setting(self.options.build, self.directory, self.options.inside,
                                 *(free_port() for _ in range(4)), **self.extra_setting())
        self.setting = setting
        self.server = self.kind(setting, self.group)
        self.sink = load.Sink(self.tools, setting.sink_port, self.log)

    def extra_setting(self):
        """Fields of the server's setting that this job wants otherwise."""
        return {}

    def measure(self):
        raise NotImplementedError

    def clean_up(self):
        if self.server:
            self.server.kill()
        if self.sink:
            self.sink.stop()
        if self.group:
            for pid in self.group.pids():
                server.kill_pid(pid)
            self.group.remove()
        if self.log:
            self.log.close()

    def send(self, count, clients=20, size=4096, lasting=False, to=server.SINK):
        """Sends messages. Returns the seconds until all of them were answered 250."""
        return load.send(self.tools, self.server.port, count, clients, size, lasting, to,
                         self.deadline)

    def pass_on(self, count, **options):
        """Sends messages to the sink and waits until it has them. Returns messages per second."""
        target, began = self.sink.count + count, time.monotonic()
        self.send(count, **options)
        self.sink.wait(target, self.deadline)
        return count / (self.sink.last - began)

    def empty(self):
        """Waits until the server has an empty queue."""
        deadline = min(self.deadline, time.monotonic() + SETTLE_LIMIT)
        while queued := self.server.queued():
            if time.monotonic() > deadline:
                raise Failure(f"{queued} messages stay in the queue")
            time.sleep(0.05)

    def quiet(self, limit=QUIET_LIMIT):
        return self.server.quiet(limit, self.deadline)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def last_line(path):
    lines = (accounting.read(path) or "").splitlines()
    return lines[-1] if lines else None
