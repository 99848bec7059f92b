"""Job "backlog": mail that waits for a dead host. How fast other mail passes beside it, before and
after; how long listing such a queue takes, and a restart with it.
"""
import dataclasses
import time

import accounting
import report
import server
import trial
from load import Failure

LIVE_LEAST, LIVE_MOST = 100, 20000   # messages of a look at the rate
DEFER_LIMIT = 60  # seconds until a server has tried all that it has for the dead host
QUIET_LIMIT = 200  # the same after a restart
LOOKS = 3          # at the rate of other mail, before and after: their medians count


@dataclasses.dataclass
class Case:
    name: str


class Backlog(trial.Trial):
    job = "backlog"
    most_rounds = 1
    limit_factor = 5
    FIGURES = [("queued", "queued"), ("fill_per_s", "filled/s"), ("live_before", "live before/s"),
               ("live_at_once", "at once/s"), ("live_after", "after/s"),
               ("live_after_part", "after/before"), ("first_page_s", "first page s"),
               ("listing_s", "listing s"), ("stop_s", "stop s"), ("restart_220_s", "restart 220 s"),
               ("restart_quiet_s", "quiet s"), ("restart_cpu_s", "CPU s"),
               ("queue_mib", "MiB")]

    @classmethod
    def cases(cls, options):
        return [Case("dead")]

    def measure(self):
        self.server.start()
        count = self.live_count()
        before = self.live_rate(count)
        self.fill()
        self.result["live_at_once"] = round(self.pass_on(count), 1)
        self.quiet(DEFER_LIMIT)
        after = self.live_rate(count)
        self.result.update(live_before=round(before, 1), live_after=round(after, 1),
                           live_after_part=round(after / before, 3))
        self.list()
        self.restart()

    def live_count(self):
        """As many messages as take --seconds, by all three looks together."""
        began = time.monotonic()
        self.pass_on(LIVE_LEAST)
        rate = LIVE_LEAST / (time.monotonic() - began)
        self.quiet(limit=5)
        return min(LIVE_MOST, max(LIVE_LEAST, int(rate * self.options.seconds / LOOKS)))

    def live_rate(self, count):
        return report.median([self.pass_on(count) for _ in range(LOOKS)])

    def fill(self):
        count = min(self.options.queued, self.kind.most_queued or self.options.queued)
        seconds = self.send(count, lasting=True, to=server.DEAD)
        self.result.update(queued=count, fill_per_s=round(count / seconds, 1))

    def list(self):
        page, whole, lines = self.server.list_queue(self.deadline)
        if lines < self.result["queued"]:
            raise Failure(f"the listing of {self.result['queued']} messages has {lines} lines")
        self.result.update(first_page_s=round(page, 3), listing_s=round(whole, 3))
        memory = accounting.proportional_memory(self.server.pids())
        self.result["queue_mib"] = None if memory is None else round(memory / (1 << 20), 1)

    def restart(self):
        self.result["stop_s"] = round(self.server.stop(), 2)
        cpu, began = self.server.cpu() if self.group else 0, time.monotonic()
        self.result["restart_220_s"] = round(self.server.start(), 3)
        quiet = self.quiet(QUIET_LIMIT)
        self.result.update(restart_quiet_s=round(quiet - began, 2),
                           restart_cpu_s=round(self.server.cpu() - cpu, 2))
        left = self.server.queued()
        if left != self.result["queued"]:
            raise Failure(f"{left} messages are queued after the restart instead of "
                          f"{self.result['queued']}")
