"""Postern itself, from the build tree."""
import os
import time

from lab import gateway, hosts

import server
from load import Failure

CONFIGURATION = """spool "{s.directory}/spool"
socket "{s.directory}/smtpd.sock"
hostname gateway.bench.example
smtp limit max-mails 999999 max-sessions 20000
listen on 127.0.0.1 port {s.port}
{processes}action "out" relay host smtp+notls://127.0.0.1:{s.sink_port}
action "probe" relay host smtp+notls://127.0.0.1:{s.probe_port}
action "dead" relay host smtp+notls://{dead}:{s.dead_port}
match from any for domain "dest.example" action "out"
match from any for domain "probe.example" action "probe"
match from any for domain "dead.example" action "dead"
"""
SYNCS = "queue.commits"


class Postern(server.Server):
    name, title, lasting = "postern", "Postern", True
    configuration = CONFIGURATION

    def __init__(self, setting, group):
        super().__init__(setting, group)
        here = hosts.Network("loopback").hosts["gateway"]  # where we are ourselves
        self.gateway = gateway.Gateway(here, setting.build, setting.directory, setting.mode)
        self.log_path = self.gateway.log_path
        processes = "".join(f"{role} processes {setting.processes}\n"
                            for role in ("listener", "relay") if setting.processes)
        with open(self.gateway.configuration, "w") as file:
            file.write(self.configuration.format(s=setting, processes=processes,
                                                 dead=server.DEAD_ADDRESS))

    @staticmethod
    def obstacle(build, mode):
        return None

    def launch(self):
        self.gateway.start()

    def alive(self):
        return self.gateway.is_running()

    def end(self):
        try:
            status = self.gateway.stop()
        except RuntimeError as error:
            self.kill()
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
        """What the server counts itself, by name. A process that starts has nothing to say yet."""
        deadline = time.monotonic() + server.START_LIMIT
        while True:
            pairs = (line.partition("=") for line in self.control("show", "stats").splitlines())
            found = {name: int(value) for name, _, value in pairs if value.isdecimal()}
            if SYNCS in found:
                return found
            if time.monotonic() > deadline:
                raise Failure("smtpctl show stats says nothing of the queue")
            time.sleep(0.05)

    def queued(self):
        return self.statistics()["queue.messages"]

    def syncs(self):
        return self.statistics()[SYNCS]

    def listing(self):
        return self.gateway.command("smtpctl", "-s", self.gateway.socket(), "show", "queue"), \
            dict(os.environ)

    def hold(self):
        self.control("pause", "mta")

    def release(self):
        self.control("resume", "mta")
