"""Job "calls": the system calls, and the voluntary context switches, that a message takes in each
process. The switches are counted in a pass of their own, in which nobody counts calls.
"""
import dataclasses

import accounting
import call_count
import trial

SHOWN = 7                     # kinds of calls of each program, the most frequent ones
LEAST, MOST = 200, 20000      # messages


@dataclasses.dataclass
class Case:
    name: str
    size: int
    clients: int
    lasting: bool


class Calls(trial.Trial):
    job = "calls"
    most_rounds = 1
    limit_factor = 2
    FIGURES = [("calls_per_message", "calls/msg"), ("switches_per_message", "waits/msg"),
               ("counted_by", "counted by")]

    @classmethod
    def cases(cls, options):
        return [Case("4k-c20", 4096, 20, False), Case("4k-c20-lasting", 4096, 20, True),
                Case("4k-c1", 4096, 1, False), Case("100k-c20", 102400, 20, False)]

    @classmethod
    def takes_part(cls, kind, case):
        return kind.name == "postern" or case.name == "4k-c20"

    def measure(self):
        self.server.start()
        how = {"clients": self.case.clients, "size": self.case.size, "lasting": self.case.lasting}
        rate = self.pass_on(LEAST, **how)
        self.quiet(limit=5)
        count = min(MOST, max(LEAST, int(rate * self.options.seconds)))
        self.count_switches(count, how)
        self.quiet(limit=5)
        counter = call_count.counter(self.server)
        if counter is call_count.Strace:
            count = LEAST
        pids = self.server.pids()
        with counter(pids, self.directory, self.log) as counting:
            self.pass_on(count, **how)
            self.quiet(limit=2)
        self.enter(counting.counts(), count)
        self.result["counted_by"] = counting.name

    def count_switches(self, count, how):
        before = accounting.Usage(self.server.pids())
        self.pass_on(count, **how)
        self.quiet(limit=2)
        _, switches, ended = accounting.Usage(self.server.pids()).since(before)
        if not ended:  # what they had waited went with them
            self.result["switches_per_message"] = round(sum(switches.values()) / count, 2)
        self.result["switches_per_message_by_process"] = {
            name: round(value / count, 3) for name, value in switches.items() if value > 0}

    def enter(self, counts, messages):
        per_message = {program: {call: number / messages for call, number in calls.items()}
                       for program, calls in counts.items()}
        self.result["calls_per_message"] = round(
            sum(sum(calls.values()) for calls in per_message.values()), 2)
        self.result["calls_per_message_by_process"] = {
            program: {call: round(number, 3) for call, number in calls.items()}
            for program, calls in per_message.items()}
        switches = self.result["switches_per_message_by_process"]
        self.result["notes"] = []
        for program, calls in sorted(per_message.items(), key=lambda item: -sum(item[1].values())):
            if sum(calls.values()) < 0.05:
                continue
            most = sorted(calls.items(), key=lambda item: -item[1])[:SHOWN]
            waits = f", {switches[program]:.2f} waits" if program in switches else ""
            self.result["notes"].append(
                f"{program} {sum(calls.values()):.2f}{waits}: " +
                ", ".join(f"{call} {number:.2f}" for call, number in most))
