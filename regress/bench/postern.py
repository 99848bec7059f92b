"""The gateway as the benchmark runs it: everything for dest.example goes to the sink."""
import os
import time

from lab import gateway, hosts

from load import Failure

CONFIGURATION = """spool "{directory}/spool"
socket "{directory}/smtpd.sock"
hostname gateway.bench.example
smtp limit max-mails 999999
listen on 127.0.0.1 port {port}
action "out" relay host smtp+notls://127.0.0.1:{sink_port}
match from any for domain "dest.example" action "out"
"""
START_LIMIT = 20  # seconds
SYNCS = "queue.commits"


class Postern:
    name = "postern"

    def __init__(self, build, directory, mode, port, sink_port):
        here = hosts.Network("loopback").hosts["gateway"]  # where we are ourselves
        self.gateway = gateway.Gateway(here, build, directory, mode)
        self.log_path = self.gateway.log_path
        with open(self.gateway.configuration, "w") as file:
            file.write(CONFIGURATION.format(directory=directory, port=port, sink_port=sink_port))

    def start(self):
        self.gateway.start()
        deadline = time.monotonic() + START_LIMIT
        try:
            while not self.gateway.is_ready():
                if time.monotonic() > deadline:
                    raise Failure(f"smtpd does not greet, {START_LIMIT} s after its start")
                time.sleep(0.02)
        except RuntimeError as error:
            raise Failure(str(error)) from None

    def stop(self):
        """Ends it in order; at once if it does not."""
        if not self.gateway.is_running():
            raise Failure("smtpd has ended by itself")
        try:
            status = self.gateway.stop()
        except RuntimeError as error:
            self.gateway.kill_all()
            raise Failure(str(error)) from None
        if status != 0:
            raise Failure(f"smtpd ended with {status}")

    def kill(self):
        if self.gateway.is_running():
            self.gateway.kill_all()

    def pids(self):
        if not self.gateway.is_running():
            return []
        return [self.gateway.process.pid, *self.gateway.processes()]

    def control(self, *words):
        status, output = self.gateway.smtpctl(words)
        if status != 0:
            raise Failure(f"smtpctl {' '.join(words)} ended with {status}: {output.strip()}")
        return output

    def statistics(self):
        """What the server counts itself, by name."""
        pairs = (line.partition("=") for line in self.control("show", "stats").splitlines())
        return {name: int(value) for name, _, value in pairs if value.isdecimal()}

    def queued(self):
        return self.statistics()["queue.messages"]

    def syncs(self):
        """How often it has made a batch durable so far."""
        return self.statistics()[SYNCS]

    def hold(self):
        """From now on nothing is sent."""
        self.control("pause", "mta")

    def release(self):
        self.control("resume", "mta")
