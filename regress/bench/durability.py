"""Job "durability": a 250 comes after the sync that makes its message durable has returned, as
strace(1) sees it: one message at a time, of a size that a log record has and of one that is more.

The content's last lines are looked for in what is written to files, and the first return of a sync
of that is compared with the begin of the call that answers the client. For Postern all that is
written into the spool meanwhile must be synced as well, and it is a failure if it is not.
"""
import dataclasses
import os
import smtplib
import time

import server
import strace
import trial
from load import Failure

MESSAGES = 3
COPIES = 3  # of the words that are looked for, in case a buffer ends within one of them


@dataclasses.dataclass
class Case:
    name: str
    size: int  # octets of content


class Durability(trial.Trial):
    job = "durability"
    most_rounds = 1
    FIGURES = [("messages", "messages"), ("unsynced", "answered before their sync"),
               ("how", "sync")]

    @classmethod
    def cases(cls, options):
        return [Case("4k", 4096), Case("100k", 102400), Case("1m", 1 << 20)]

    def measure(self):
        if why := strace.Strace.obstacle():
            raise Failure(why)
        self.server.start()
        self.pass_on(5)
        self.quiet(limit=5)
        path = os.path.join(self.directory, "trace")
        marks = [f"the end of message {number} {os.getpid()}" for number in range(MESSAGES)]
        with strace.Strace(self.server.pids(), path, self.log) as follower:
            target = self.sink.count + MESSAGES
            with smtplib.SMTP("127.0.0.1", self.server.port, "client.example", 30) as client:
                for mark in marks:
                    client.sendmail("sender@src.example", [f"rcpt@{server.SINK}"],
                                    self.content(mark))
                    time.sleep(0.2)
            self.sink.wait(target, self.deadline)
        calls = strace.parse(follower.lines())
        os.unlink(path)
        spool = f"{self.directory}/spool" if self.server.name == "postern" else None
        self.enter([strace.judge(calls, mark, spool) for mark in marks])

    def content(self, mark):
        header = "From: sender@src.example\r\nSubject: durable\r\n\r\n"
        filler = "x" * 78 + "\r\n"
        return header + filler * ((self.case.size - len(header)) // len(filler)) + (
            mark + "\r\n") * COPIES

    def enter(self, verdicts):
        unsynced = [verdict for verdict in verdicts if not verdict.in_order]
        self.result.update(messages=len(verdicts), unsynced=len(unsynced), how=", ".join(
            dict.fromkeys(verdict.how or "none" for verdict in verdicts)))
        self.result["notes"] = [
            f"line {verdict.read}: content read; {verdict.synced}: {verdict.how} has returned; "
            f"{verdict.replied}: \"{verdict.reply}\" is sent" for verdict in verdicts[:1]]
        if unsynced and self.server.name == "postern":
            raise Failure(f"{len(unsynced)} of {len(verdicts)} messages were answered by 250 "
                          f"before they were on disk")
