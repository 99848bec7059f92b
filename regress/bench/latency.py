"""Job "latency": how long a client waits from its connection to the 250 of its message, and how long
the next hop from then until it has answered for it; while there is nothing else, and while 20
clients send as fast as they can.
"""
import dataclasses
import json
import os
import select
import subprocess
import sys
import time

import load
import server
import trial
from load import Failure

PROBE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "probe.py")
CLIENTS = 20
LIGHT_PAUSE, FULL_PAUSE = 0.005, 0.02  # seconds between two messages that are followed
PER_SECOND = 50      # of them, of --seconds, at least
RAMP = 1             # seconds until load is as usual
ENDLESS = 10000000   # messages: the load is ended when it is not needed any more


@dataclasses.dataclass
class Case:
    name: str


def percentile(values, part):
    """The value that `part` of all do not exceed."""
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * part))]


class Latency(trial.Trial):
    job = "latency"
    FIGURES = [(f"{load_name}_{step}_{name}_ms", f"{load_name} {title} {name}")
               for load_name in ("light", "full")
               for step, title in (("accepted", "250"), ("passed_on", "hop"))
               for name in ("p50", "p99")] + [("full_rate", "full load/s"),
                                              ("light_messages", "followed"),
                                              ("full_messages", "and")]
    most_rounds = 3

    @classmethod
    def cases(cls, options):
        return [Case("4k")]

    def measure(self):
        self.server.start()
        self.pass_on(2 * CLIENTS)
        self.quiet(limit=5)
        command = [sys.executable, "-B", PROBE, str(self.server.port), str(self.setting.probe_port)]
        probe = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 stderr=self.log)
        try:
            self.enter("light", self.follow(probe, pause=LIGHT_PAUSE, one_by_one=True))
            self.under_load(probe)
            self.empty()
        finally:
            load.end(probe)
            probe.stdin.close()
            probe.stdout.close()

    def under_load(self, probe):
        source = load.start_source(self.tools, self.server.port, ENDLESS, CLIENTS, 4096, False,
                                   server.SINK)
        try:
            time.sleep(RAMP)
            before, began = self.sink.count, time.monotonic()
            self.enter("full", self.follow(probe, pause=FULL_PAUSE, one_by_one=False))
            if source.poll() is not None:
                raise Failure(f"the source has ended: {source.stderr.read().strip()[-300:]}")
            self.result["full_rate"] = round((self.sink.count - before) /
                                             (time.monotonic() - began), 1)
        finally:
            load.end(source)
            source.stderr.close()

    def follow(self, probe, **how):
        seconds = self.options.seconds
        probe.stdin.write(json.dumps({"count": max(50, int(seconds * PER_SECOND)),
                                      "seconds": max(2, seconds * 2), **how}).encode() + b"\n")
        probe.stdin.flush()
        if not select.select([probe.stdout], [], [], max(1, self.deadline - time.monotonic()))[0]:
            raise Failure("the messages that were followed have not arrived in time")
        line = probe.stdout.readline()
        if not line:
            raise Failure(f"the probe has ended: see {self.log.name}")
        found = json.loads(line)
        if found["lost"]:
            text = (f"{found['lost']} messages that were followed have not arrived in time: "
                    f"{found['error']}")
            if self.server.name == "postern" or not found["accepted"]:
                raise Failure(text)
            self.result.setdefault("notes", []).append(text)
        return found

    def enter(self, name, found):
        for step in "accepted", "passed_on":
            for title, part in (("p50", 0.5), ("p99", 0.99)):
                self.result[f"{name}_{step}_{title}_ms"] = round(percentile(found[step], part), 3)
        self.result[f"{name}_messages"] = len(found["accepted"])
