#!/usr/bin/python3
"""regress/bench/bench.py [OPTIONS] BUILD: how fast mail passes, and what that costs, in Postern and
in other servers. See README."""
import argparse
import datetime
import json
import os
import shutil
import signal
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "e2e")]
import backlog  # noqa: E402
import calls  # noqa: E402
import control_group  # noqa: E402
import durability  # noqa: E402
import growth  # noqa: E402
import idle  # noqa: E402
import latency  # noqa: E402
import load  # noqa: E402
import log_drain  # noqa: E402
import machine  # noqa: E402
import plot  # noqa: E402
import report  # noqa: E402
import throughput  # noqa: E402
from exim import Exim  # noqa: E402
from lab import hosts, isolation  # noqa: E402
from opensmtpd import OpenSMTPD  # noqa: E402
from postern import Postern  # noqa: E402
from postfix import Postfix  # noqa: E402

SERVERS = {kind.name: kind for kind in (Postern, Postfix, OpenSMTPD, Exim)}
JOBS = {job.job: job for job in (throughput.Relay, throughput.Accept, idle.Idle,
                                backlog.Backlog, latency.Latency, growth.Growth,
                                durability.Durability, calls.Calls)}
QUICK = {"rounds": 1, "seconds": 0.5, "sessions": 300, "queued": 500, "growth": 1000}
QUICK_GATE = 20  # seconds that all runs of --quick wait for the disk
# Ports of the clients: one message per connection needs many of them.
TUNING = {"net/ipv4/ip_local_port_range": "10000 65000", "net/core/somaxconn": "8192",
          "net/ipv4/tcp_max_syn_backlog": "8192"}
GROUP_PREFIX = "postern-bench"


def arguments():
    parser = argparse.ArgumentParser(
        description="how fast mail passes, and what that costs, in Postern and in other servers")
    parser.add_argument("build", help="the build directory")
    add = parser.add_argument
    add("--quick", action="store_true",
        help="a look: one round, small queues; options given besides count")
    add("--job", action="append", metavar="NAME", choices=list(JOBS),
        help="only this one; may be given again. There are: " + ", ".join(JOBS))
    add("--case", action="append", metavar="NAME", help="only this case of a job; likewise")
    add("--peer", action="append", metavar="NAME", choices=[*list(SERVERS)[1:], "none"],
        help="only this server beside Postern; likewise. There are: " +
        ", ".join(list(SERVERS)[1:]) + ", none")
    add("--rounds", type=int, metavar="N", help="of the jobs that are short (5)")
    add("--seconds", type=float, metavar="S", help="about how long messages are sent for (3)")
    add("--messages", type=int, metavar="N", help="of relay and accept, instead of --seconds")
    add("--sessions", type=int, metavar="N", help="idle at once (5000)")
    add("--queued", type=int, metavar="N", help="messages for a dead host (20000)")
    add("--growth", type=int, metavar="N", help="messages to which a queue grows (100000)")
    add("--fsync", type=float, metavar="N",
        help="a run waits until the disk has so many new files with fsync a second "
        "(two thirds of what it has at the beginning)")
    add("--limit", type=float, default=120, metavar="S",
        help="a run that takes longer has failed (%(default)s); some jobs may take a multiple")
    add("--inside", help=argparse.SUPPRESS)
    add("--group", help=argparse.SUPPRESS)
    options = parser.parse_args()
    defaults = {"rounds": 5, "seconds": 3, "sessions": 5000, "queued": 20000, "growth": 100000}
    if options.quick:
        defaults = QUICK
    for name, value in defaults.items():
        if getattr(options, name) is None:
            setattr(options, name, value)
        if getattr(options, name) <= 0:
            parser.error(f"--{name} must be positive")
    if options.limit <= 0 or (options.messages is not None and options.messages < 1):
        parser.error("--limit and --messages must be positive")
    names = [case.name for job in JOBS.values() for case in job.cases(options)]
    for case in options.case or []:
        if case not in names:
            parser.error(f"there is no case {case}; there are: {', '.join(dict.fromkeys(names))}")
    options.build = os.path.abspath(options.build)
    return options


class Bench:
    """All runs, in turns."""

    def __init__(self, options):
        self.options = options
        self.directory = os.path.join(options.build, "bench")
        self.tools = load.Tools(options.build, options.inside)
        self.groups = 0
        self.gate = machine.Gate(self.directory, options.fsync,
                                 QUICK_GATE if options.quick else machine.GATE_TOTAL)
        self.report = {**environment(self.tools), "results": [],
                       "machine": {**machine.describe(self.directory),
                                   "fsync_per_s": self.gate.rate}}
        self.kinds = self.servers()
        self.names = [kind.name for kind in self.kinds]

    def servers(self):
        kinds = []
        for name, kind in SERVERS.items():
            if name != "postern" and self.options.peer and name not in self.options.peer:
                continue
            if why := kind.obstacle(self.options.build, self.options.inside):
                print(f"{kind.title} is left out: {why}")
            else:
                kinds.append(kind)
        return kinds

    def make_group(self):
        self.groups += 1
        return control_group.ControlGroup.make(f"{self.options.group}.{self.groups}")

    def runs(self):
        """(job, case, server, round), so that no server always has the same predecessor."""
        jobs = [JOBS[name] for name in JOBS if not self.options.job or name in self.options.job]
        for number in range(self.options.rounds):
            for job in jobs:
                if number >= job.most_rounds:
                    continue
                for case in job.cases(self.options):
                    if self.options.case and case.name not in self.options.case:
                        continue
                    kinds = [kind for kind in self.kinds if job.takes_part(kind, case) and
                             number < kind.most_rounds]
                    turn = number % len(kinds)
                    for kind in kinds[turn:] + kinds[:turn]:
                        yield job, case, kind, number

    def perform(self):
        print(machine.sentence(self.report["machine"]))
        if self.tools.simple:
            print("smtp-source and smtp-sink cannot be had here: simple ones of our own take their "
                  "place, whose rates are lower")
        for job, case, kind, number in self.runs():
            place = os.path.join(self.directory, f"{kind.name}-{job.job}-{case.name}-{number}")
            result = job(self, kind, case, place, number).perform()
            self.report["results"].append(result)
            report.show(result, job.FIGURES)
            sys.stdout.flush()
            self.write("result.json", json.dumps(self.report, indent=1))
        text = "\n".join(self.tables())
        self.write("result.txt", f"{machine.sentence(self.report['machine'])}\n{text}\n")
        print(text)
        plot.all_plots(self.directory, self.report["results"], self.names,
                       machine.sentence(self.report["machine"]))
        return 0 if all(result["ok"] for result in self.report["results"]
                        if result["server"] == Postern.name) else 1

    def tables(self):
        results = self.report["results"]
        for name, job in JOBS.items():
            if any(result["job"] == name for result in results):
                yield f"\n{name}: medians (divided by Postfix's)"
                yield from report.job_table(name, results, self.names, job.FIGURES)
        goals = list(report.goal_table(results, self.names))
        yield from ["\ngoals", *goals] if goals else []

    def write(self, name, text):
        with open(os.path.join(self.directory, name), "w") as file:
            file.write(text)


def environment(tools):
    commit = subprocess.run(["git", "-C", HERE, "describe", "--always", "--dirty"],
                            capture_output=True, text=True)
    return {"time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "version": commit.stdout.strip() or None,
            "load_average": round(os.getloadavg()[0], 2), "load": tools.name()}


def inside(options):
    """Here nobody else is on our loopback, where that could be had."""
    if options.inside != "loopback":
        hosts.ip(["link set lo up"])
        for name, value in TUNING.items():
            try:
                with open("/proc/sys/" + name, "w") as file:
                    file.write(value)
            except OSError:
                pass  # an older kernel, or not ours to set: the defaults do for shorter runs
    if options.inside == "root":
        log_drain.provide(os.path.join(options.build, "bench", "dev"))
    load.raise_file_limit()
    return Bench(options).perform()


def clean(directory):
    """Removes the mail; configurations, logs and results stay."""
    for place in os.listdir(directory):
        for name in "spool", "data":
            shutil.rmtree(os.path.join(directory, place, name), ignore_errors=True)


def main():
    options = arguments()
    if options.inside:
        return isolation.become_init(lambda: inside(options))
    if not os.path.exists(os.path.join(options.build, "bin/smtpd")):
        sys.exit(f"bench: {options.build}/bin/smtpd is missing: run `make` first")
    directory = os.path.join(options.build, "bench")
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    os.chmod(directory, 0o755)
    mode, group = isolation.find_mode(), f"{GROUP_PREFIX}.{os.getpid()}"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    process = subprocess.Popen(
        [*isolation.PREFIX[mode], *sys.orig_argv, "--inside", mode, "--group", group],
        stdin=subprocess.PIPE)  # our end of it closed, all of it ends
    try:
        status = process.wait()
    finally:
        process.stdin.close()
        process.wait()
        control_group.remove_all(group)
        clean(directory)
    print(f"all figures: {directory}/result.json, the tables: {directory}/result.txt, "
          f"plots: {directory}/*.svg")
    return status


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
