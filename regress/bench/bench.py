#!/usr/bin/python3
"""regress/bench/bench.py [OPTIONS] BUILD: how fast mail passes, and what that costs. See README."""
import argparse
import dataclasses
import datetime
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "e2e")]
import accounting  # noqa: E402
import load  # noqa: E402
from lab import hosts, isolation  # noqa: E402
from load import Failure  # noqa: E402
from postern import Postern  # noqa: E402
from postfix import Postfix  # noqa: E402


@dataclasses.dataclass
class Case:
    name: str
    size: int       # octets of content
    clients: int    # connections at once
    lasting: bool   # many messages over each connection, or one
    accept: bool = False  # nothing is sent on while messages are accepted


CASES = [Case("4k-c1", 4096, 1, False),
         Case("4k-c20", 4096, 20, False),
         Case("4k-c100", 4096, 100, False),
         Case("4k-c20-lasting", 4096, 20, True),
         Case("100k-c20", 102400, 20, False),
         Case("accept-4k-c20-lasting", 4096, 20, True, accept=True)]
SERVERS = {"postern": Postern, "postfix": Postfix}
LEAST, MOST = 100, 100000   # messages of a case
MOST_OCTETS = 2 << 30       # of a case
SETTLE_LIMIT = 60           # seconds after the last message until the queue is empty
# Ports of the clients: one message per connection needs many of them.
TUNING = {"net/ipv4/ip_local_port_range": "10000 65000", "net/core/somaxconn": "4096"}


def arguments():
    parser = argparse.ArgumentParser(description="how fast mail passes, and what that costs")
    parser.add_argument("build", help="the build directory")
    parser.add_argument("--case", action="append", metavar="NAME",
                        choices=[case.name for case in CASES],
                        help="only this one; may be given again. There are: " +
                        ", ".join(case.name for case in CASES))
    parser.add_argument("--messages", type=int, metavar="N",
                        help="messages of each case, instead of what takes --seconds")
    parser.add_argument("--seconds", type=float, default=4, metavar="S",
                        help="about how long a case shall take (%(default)s)")
    parser.add_argument("--rounds", type=int, default=1, metavar="N",
                        help="all of it so many times over (%(default)s)")
    parser.add_argument("--limit", type=float, default=120, metavar="S",
                        help="a case that takes longer has failed (%(default)s)")
    parser.add_argument("--peer", choices=["postfix"],
                        help="the same cases for this one too, in turns, and the ratio")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.messages is not None and options.messages < 1:
        parser.error("--messages must be 1 at least")
    if options.rounds < 1 or options.seconds <= 0 or options.limit <= 0:
        parser.error("--rounds, --seconds and --limit must be positive")
    options.build = os.path.abspath(options.build)
    options.cases = [case for case in CASES if not options.case or case.name in options.case]
    return options


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


class Run:
    """One case against one server."""

    def __init__(self, options, tools, case, kind, directory):
        self.options, self.tools, self.case = options, tools, case
        os.makedirs(directory)
        os.chmod(directory, 0o755)
        self.port, sink_port = free_port(), free_port()
        self.log = open(os.path.join(directory, "load.log"), "w")
        self.server = SERVERS[kind](options.build, directory, options.inside, self.port, sink_port)
        self.sink_port, self.sink = sink_port, None
        self.deadline = 0
        self.result = {"server": kind, "case": case.name, "octets": case.size,
                       "clients": case.clients, "lasting": case.lasting, "ok": False}

    def perform(self):
        """Returns the result; what went wrong is in it."""
        self.deadline = time.monotonic() + self.options.limit
        try:
            self.result["fdatasync_per_s"] = round(accounting.sync_rate(
                os.path.join(self.options.build, "bench")))
            self.sink = load.Sink(self.tools, self.sink_port, self.log)
            self.server.start()
            count = self.warm_up()
            self.result["messages"] = count
            self.measure(count)
            self.server.stop()
            self.result["ok"] = True
        except (Failure, OSError) as error:
            self.result["error"] = str(error)
            self.result["log"] = self.server.log_path
            self.result["last_log_line"] = last_line(self.server.log_path)
        finally:
            self.server.kill()
            if self.sink:
                self.sink.stop()
            self.log.close()
        return self.result

    def send(self, count):
        return load.send(self.tools, self.port, self.case, count, self.deadline)

    def warm_up(self):
        """Sends some messages that do not count. Returns how many to send in earnest."""
        count = max(LEAST, 2 * self.case.clients)
        if self.options.messages:
            count = min(count, max(self.options.messages, self.case.clients))
        began = time.monotonic()
        self.send(count)
        self.sink.wait(count, self.deadline)
        rate = count / (time.monotonic() - began)
        self.settle()
        if self.options.messages:
            return self.options.messages
        wanted = min(int(rate * self.options.seconds), MOST, MOST_OCTETS // self.case.size)
        digits = 10 ** max(0, len(str(wanted)) - 2)
        return max(LEAST, wanted // digits * digits)

    def settle(self):
        """Waits until the server has an empty queue."""
        deadline = min(self.deadline, time.monotonic() + SETTLE_LIMIT)
        while queued := self.server.queued():
            if time.monotonic() > deadline:
                raise Failure(f"{queued} messages stay in the queue")
            time.sleep(0.05)

    def measure(self, count):
        if self.case.accept:
            self.server.hold()
        target = self.sink.count + count
        memory = accounting.MemoryWatch(self.server.pids)
        before = self.snapshot()
        accepted = self.send(count)
        if self.case.accept:
            self.account(count, before)
            if self.sink.count != target - count:
                raise Failure("messages were sent on although that was paused")
            self.result["queued"] = self.server.queued()
            began = time.monotonic()
            self.server.release()
        self.sink.wait(target, self.deadline)
        self.result["accepted_per_s"] = round(count / accepted, 1)
        if self.case.accept:
            self.result["drained_per_s"] = round(count / (self.sink.last - began), 1)
        else:
            self.result["delivered_per_s"] = round(count / (self.sink.last - before["time"]), 1)
        self.settle()
        if not self.case.accept:
            self.account(count, before)
        peak = memory.end()
        self.result["peak_pss_mib"] = None if peak is None else round(peak / (1 << 20), 1)
        self.settle()
        if self.sink.count != target:
            raise Failure(f"{self.sink.count - target} messages too many have arrived")

    def snapshot(self):
        # The order matters: asking costs something itself.
        syncs = self.server.syncs()
        return {"syncs": syncs, "machine": accounting.machine_busy()[0],
                "load": os.times(), "sink": accounting.Usage([self.sink.process.pid]),
                "usage": accounting.Usage(self.server.pids()), "time": time.monotonic()}

    def account(self, count, before):
        """Enters into the result what was used since `before`."""
        usage = accounting.Usage(self.server.pids())
        machine, cores = accounting.machine_busy()
        seconds = time.monotonic() - before["time"]
        syncs = self.server.syncs()
        cpu, switches, ended = usage.since(before["usage"])
        load_cpu = sum(accounting.Usage([self.sink.process.pid]).since(before["sink"])[0].values())
        load_cpu += sum(os.times()[:4]) - sum(before["load"][:4])
        whole = sum(cpu.values())
        self.result.update(
            cpu_s_per_1000=round(whole * 1000 / count, 4),
            cpu_s_per_1000_by_process={name: round(value * 1000 / count, 4)
                                       for name, value in cpu.items() if value > 0},
            switches_per_message=round(sum(switches.values()) / count, 2),
            switches_per_message_by_process={name: round(value / count, 2)
                                             for name, value in switches.items() if value > 0},
            load_cpu_s_per_1000=round(load_cpu * 1000 / count, 4),
            other_work=round(max(0, machine - before["machine"] - whole - load_cpu) /
                             (seconds * cores), 3))
        if syncs is not None:
            self.result["syncs_per_message"] = round((syncs - before["syncs"]) / count, 4)
        if ended and self.server.name == "postern":
            raise Failure(f"processes have died: {', '.join(ended)}")
        if ended:  # what they had waited went with them
            self.result["switches_per_message"] = None


class Table:
    """What people read. A line for each case, and below it its parts."""

    COLUMNS = [("server", 8, "server"), ("case", -21, "case"), ("messages", 8, "messages"),
               ("accepted/s", 10, "accepted_per_s"), ("delivered/s", 11, "delivered_per_s"),
               ("CPU s/1000", 10, "cpu_s_per_1000"), ("syncs/msg", 9, "syncs_per_message"),
               ("waits/msg", 9, "switches_per_message"), ("peak MiB", 8, "peak_pss_mib"),
               ("fdatasync/s", 11, "fdatasync_per_s")]

    def __init__(self, several):
        self.columns = self.COLUMNS if several else self.COLUMNS[1:]
        print("  ".join(f"{title:{align(width)}}" for title, width, _ in self.columns))

    def show(self, result):
        print("  ".join(f"{form(result.get(key)):{align(width)}}"
                        for _, width, key in self.columns), flush=True)
        if "cpu_s_per_1000_by_process" in result:
            waits = result["switches_per_message_by_process"]
            print("  CPU s/1000 (waits/msg): " + ", ".join(
                f"{name} {value:.3f} ({waits.get(name, 0):.2f})" for name, value in
                sorted(result["cpu_s_per_1000_by_process"].items(), key=lambda item: -item[1])))
        if "drained_per_s" in result:
            print(f"  then sent on: {result['drained_per_s']:.0f}/s")
        if result.get("other_work", 0) > 0.1:
            print(f"  disturbed: other work took {result['other_work']:.0%} of the machine")
        if not result["ok"]:
            print(f"  FAILED: {result['error']} (log: {result['log']})")
            if result["last_log_line"]:
                print(f"  the server's last words: {result['last_log_line']}")
        sys.stdout.flush()

    def ratios(self, results):
        """The peer's figures over ours, of the rounds' medians."""
        print("\nour figures divided by Postfix's (medians)")
        for case in dict.fromkeys(result["case"] for result in results):
            parts = []
            for title, key in (("accepted/s", "accepted_per_s"), ("delivered/s", "delivered_per_s"),
                               ("CPU s/1000", "cpu_s_per_1000"), ("peak MiB", "peak_pss_mib")):
                ours, theirs = (median([r[key] for r in results if r["case"] == case and r["ok"] and
                                        r["server"] == server and r.get(key) is not None])
                                for server in ("postern", "postfix"))
                if ours is not None and theirs:
                    parts.append(f"{title} {ours / theirs:.2f}")
            print(f"{case:<21}  {', '.join(parts) or '-'}")


def last_line(path):
    lines = (accounting.read(path) or "").splitlines()
    return lines[-1] if lines else None


def align(width):
    return f"<{-width}" if width < 0 else f">{width}"


def form(value):
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.0f}" if value >= 100 else f"{value:.3f}" if value < 10 else f"{value:.1f}"
    return str(value)


def median(values):
    values = sorted(values)
    middle = len(values) // 2
    if not values:
        return None
    return values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2


def environment(tools):
    commit = subprocess.run(["git", "-C", HERE, "describe", "--always", "--dirty"],
                            capture_output=True, text=True)
    return {"time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "version": commit.stdout.strip() or None, "kernel": os.uname().release,
            "cores": accounting.machine_busy()[1], "load_average": round(os.getloadavg()[0], 2),
            "load": tools.name()}


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
    directory = os.path.join(options.build, "bench")
    tools = load.Tools(options.build, options.inside)
    report = {**environment(tools), "results": []}
    kinds = ["postern"] + ([options.peer] if options.peer else [])
    if tools.simple:
        print("smtp-source and smtp-sink cannot be had here: simple ones of our own take their "
              "place, whose rates are lower")
    if options.peer and (why := Postfix.obstacle(options.build, options.inside)):
        print(f"no comparison with Postfix: {why}")
        kinds.remove(options.peer)
    table = Table(len(kinds) > 1)
    for number in range(options.rounds):
        for case in options.cases:
            for kind in kinds:
                place = os.path.join(directory, f"{kind}-{case.name}-{number}")
                result = Run(options, tools, case, kind, place).perform()
                report["results"].append(result)
                table.show(result)
                with open(os.path.join(directory, "result.json"), "w") as file:
                    json.dump(report, file, indent=1)
    if len(kinds) > 1:
        table.ratios(report["results"])
    return 0 if all(result["ok"] for result in report["results"]) else 1


def clean(directory):
    """Removes the mail; configurations, logs and the result stay."""
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
    mode = isolation.find_mode()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    process = subprocess.Popen([*isolation.PREFIX[mode], *sys.orig_argv, "--inside", mode],
                               stdin=subprocess.PIPE)  # our end of it closed, all of it ends
    try:
        status = process.wait()
    finally:
        process.stdin.close()
        process.wait()
        clean(directory)
    print(f"all figures: {directory}/result.json")
    return status


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
