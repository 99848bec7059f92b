"""Job "relay": how many messages a second are accepted and have arrived at the next hop, what CPU
time and memory that takes; and job "accept", the same while nothing is sent on."""
import dataclasses
import os
import time

import accounting
import trial
from load import Failure

LEAST, MOST = 100, 100000   # messages of a case
MOST_OCTETS = 2 << 30       # of a case


@dataclasses.dataclass
class Case:
    name: str
    size: int       # octets of content
    clients: int    # connections at once
    lasting: bool   # many messages over each connection, or one
    accept: bool = False  # nothing is sent on while messages are accepted


RELAY = [Case("4k-c20", 4096, 20, False),
         Case("4k-c20-lasting", 4096, 20, True),
         Case("4k-c1", 4096, 1, False),
         Case("4k-c100", 4096, 100, False),
         Case("100k-c20", 102400, 20, False)]
ACCEPT = [Case("accept-4k-c20-lasting", 4096, 20, True, accept=True)]


class Relay(trial.Trial):
    job = "relay"
    FIGURES = [("accepted_per_s", "accepted/s"), ("delivered_per_s", "delivered/s"),
               ("drained_per_s", "then sent/s"), ("cpu_s_per_1000", "CPU s/1000"),
               ("load_cpu_s_per_1000", "load's CPU"), ("syncs_per_message", "syncs/msg"),
               ("switches_per_message", "waits/msg"), ("peak_pss_mib", "peak MiB"),
               ("processes", "processes"), ("fsync_per_s", "fsync/s")]

    @classmethod
    def cases(cls, options):
        return RELAY

    def measure(self):
        self.server.start()
        count = self.warm_up()
        self.result["messages"] = count
        if self.case.accept:
            self.server.hold()
        self.quiet(limit=5)
        target = self.sink.count + count
        with accounting.MemoryWatch(self.server.pids) as memory:
            self.transfer(count, target)
        self.result["peak_pss_mib"] = memory.peak and round(memory.peak / (1 << 20), 1)
        self.result["processes"] = memory.processes
        if self.sink.count != target:
            raise Failure(f"{self.sink.count - target} messages too many have arrived")

    def transfer(self, count, target):
        before = self.snapshot()
        accepted = self.send_all(count)
        self.result["accepted_per_s"] = round(count / accepted, 1)
        if self.case.accept:
            self.account(count, before)
            self.drain(target)
        else:
            self.sink.wait(target, self.deadline)
            self.result["delivered_per_s"] = round(count / (self.sink.last - before["time"]), 1)
            self.empty()
            self.account(count, before)

    def send_all(self, count):
        return self.send(count, self.case.clients, self.case.size, self.case.lasting)

    def warm_up(self):
        """Sends some messages that do not count. Returns how many to send in earnest."""
        count = max(LEAST, 2 * self.case.clients)
        if self.options.messages:
            count = min(count, max(self.options.messages, self.case.clients))
        began = time.monotonic()
        self.send_all(count)
        self.sink.wait(count, self.deadline)
        rate = count / (time.monotonic() - began)
        self.empty()
        if self.options.messages:
            return self.options.messages
        wanted = min(int(rate * self.options.seconds), MOST, MOST_OCTETS // self.case.size)
        digits = 10 ** max(0, len(str(wanted)) - 2)
        return max(LEAST, wanted // digits * digits)

    def drain(self, target):
        """What was held is sent. How fast that goes is a figure of its own."""
        if self.sink.count >= target:
            raise Failure("messages were sent on although that was stopped")
        left, began = target - self.sink.count, time.monotonic()
        self.server.release()
        self.sink.wait(target, self.deadline)
        self.result["drained_per_s"] = round(left / (self.sink.last - began), 1)
        self.empty()

    def snapshot(self):
        # The order matters: asking costs something itself.
        syncs = self.server.syncs()
        return {"syncs": syncs, "machine": accounting.machine_busy()[0], "load": os.times(),
                "sink": accounting.Usage([self.sink.process.pid]),
                "usage": accounting.Usage(self.server.pids()), "cpu": self.server.cpu(),
                "time": time.monotonic()}

    def account(self, count, before):
        """Enters into the result what was used since `before`."""
        whole = self.server.cpu() - before["cpu"]
        usage = accounting.Usage(self.server.pids())
        machine, cores = accounting.machine_busy()
        seconds = time.monotonic() - before["time"]
        syncs = self.server.syncs()
        cpu, switches, ended = usage.since(before["usage"])
        load_cpu = sum(accounting.Usage([self.sink.process.pid]).since(before["sink"])[0].values())
        load_cpu += sum(os.times()[:4]) - sum(before["load"][:4])
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


class Accept(Relay):
    job = "accept"

    @classmethod
    def cases(cls, options):
        return ACCEPT
