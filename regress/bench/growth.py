"""Job "growth": what becomes of rate, memory and CPU time when something grows.

    processes   messages a second through 1, 2 and 4 listeners and relays (Postern alone)
    sessions    memory of an idle session as their number grows (Postern alone: "idle" has the others)
    queue       CPU time and rate of mail as the queue beside it grows, to --growth
"""
import dataclasses
import time

import accounting
import idle
import report
import server
import trial
from load import Failure

PROCESSES = (1, 2, 4)
SESSION_STEPS = 5
QUEUE_STEPS = (0, 0.01, 0.1, 0.25, 0.5, 1)  # parts of --growth
PEERS_STEPS = (0, 0.25, 1)
FILLER_OCTETS = 1024      # of a message that only fills the queue
DEFER_LIMIT = 60          # seconds until all for the dead host has been tried
LEAST, MOST = 100, 20000  # messages of a look at rate and CPU time
LOOKS = 3                 # medians count


@dataclasses.dataclass
class Case:
    name: str
    processes: int = 0


class Growth(trial.Trial):
    job = "growth"
    most_rounds = 1
    limit_factor = 10
    FIGURES = [("delivered_per_s", "delivered/s"), ("cpu_s_per_1000", "CPU s/1000"),
               ("base_mib", "MiB"), ("kib_first", "KiB each at first"), ("kib_last", "at last"),
               ("cpu_first", "CPU s/1000 at first"), ("cpu_last", "at last"),
               ("rate_first", "messages/s at first"), ("rate_last", "at last"),
               ("queued", "queued"), ("fill_per_s", "filled/s")]

    @classmethod
    def cases(cls, options):
        return [*(Case(f"{number}-listeners-relays", number) for number in PROCESSES),
                Case("sessions"), Case("queue")]

    @classmethod
    def takes_part(cls, kind, case):
        return kind.name == "postern" or case.name == "queue"

    def extra_setting(self):
        return {"processes": self.case.processes}

    def measure(self):
        self.server.start()
        if self.case.processes:
            self.processes()
        elif self.case.name == "sessions":
            self.sessions()
        else:
            self.queue()

    def look(self, count):
        """(messages a second, CPU seconds for 1000 of them): medians."""
        rates, costs = [], []
        for _ in range(LOOKS):
            before = self.server.cpu()
            rates.append(self.pass_on(count))
            costs.append((self.server.cpu() - before) * 1000 / count)
        return report.median(rates), report.median(costs)

    def count(self):
        """As many messages as take about a third of --seconds."""
        self.pass_on(LEAST)
        began = time.monotonic()
        self.pass_on(LEAST)
        rate = LEAST / (time.monotonic() - began)
        self.quiet(limit=5)
        return min(MOST, max(LEAST, int(rate * self.options.seconds / LOOKS)))

    def processes(self):
        rate, cost = self.look(self.count())
        memory = accounting.proportional_memory(self.server.pids())
        self.result.update(
            delivered_per_s=round(rate, 1), cpu_s_per_1000=round(cost, 4),
            base_mib=None if memory is None else round(memory / (1 << 20), 1))

    def sessions(self):
        connect, sessions, points = idle.connector(self.server.port), [], []
        base = idle.base_memory(self.server, connect, self.deadline)
        for step in range(1, SESSION_STEPS + 1):
            wanted = max(1, self.options.sessions * step // SESSION_STEPS)
            sessions += idle.open_sessions(wanted - len(sessions), connect, self.deadline)
            if len(sessions) < wanted:
                raise Failure(f"{len(sessions)} sessions of {wanted} were opened")
            time.sleep(1)
            each = (idle.memory(self.server) - base) / len(sessions)
            points.append([len(sessions), round(each / 1024, 2)])
        for one in sessions:
            one.close()
        self.result.update(points={"sessions": points}, kib_first=points[0][1],
                           kib_last=points[-1][1])

    def queue(self):
        most = min(self.options.growth, self.kind.most_growth or self.options.growth)
        count, queued, filling, rates, costs = self.count(), 0, 0, [], []
        for part in QUEUE_STEPS if self.server.name == "postern" else PEERS_STEPS:
            wanted = int(most * part)
            if wanted > queued:
                filling += self.send(wanted - queued, size=FILLER_OCTETS, lasting=True,
                                     to=server.DEAD)
                queued = wanted
                self.quiet(DEFER_LIMIT)
            rate, cost = self.look(count)
            rates.append([queued, round(rate, 1)])
            costs.append([queued, round(cost, 4)])
        self.result.update(
            points={"rate": rates, "cpu": costs}, queued=queued, rate_first=rates[0][1],
            rate_last=rates[-1][1], cpu_first=costs[0][1], cpu_last=costs[-1][1],
            fill_per_s=round(queued / filling, 1))
