"""System calls of a server's processes as strace(1) writes them down, and what they say about when a
message was on disk.

strace lists what began and what ended in the order in which it saw them, over all processes: the
number of a line is the clock here.
"""
import dataclasses
import os
import re
import shutil
import signal
import subprocess
import time

from load import Failure, end

CALLS = ("read,readv,pread64,recvfrom,recvmsg,recvmmsg,write,writev,pwrite64,pwritev,pwritev2,sendto,"
         "sendmsg,sendmmsg,open,openat,fsync,fdatasync,syncfs,sync")
STRING_LIMIT = 1 << 21   # octets that are shown of a buffer
ATTACH_LIMIT = 20        # seconds
BEGINS = re.compile(r"^(\d+) +(\w+)\((.*)$")
RESUMES = re.compile(r"^(\d+) +<\.\.\. \w+ resumed>(.*)$")
ENDS = re.compile(r"^(.*)\) += (-?\d+|\?)(?:<([^>]*)>)?(?:\(deleted\))?(?: .*)?$", re.DOTALL)
UNFINISHED = " <unfinished ...>"
DESCRIPTOR = re.compile(r"^\d+<(.*?)>(?:\(deleted\))?(?:, |$|\))")
READS = {"read", "readv", "recvfrom", "recvmsg", "recvmmsg"}
SENDS = {"write", "writev", "sendto", "sendmsg", "sendmmsg"}
WRITES = {"write", "writev", "pwrite64", "pwritev", "pwritev2"}
SYNCS = {"fsync", "fdatasync"}


@dataclasses.dataclass
class Call:
    pid: int
    name: str
    began: int          # line
    ended: int = 0      # line; 0: not seen
    arguments: str = ""
    result: int = -1
    opened: str = None  # the path of the descriptor that is the result

    @property
    def file(self):
        """What its first argument is a descriptor of: a path, or "socket:[N]"."""
        match = DESCRIPTOR.match(self.arguments)
        return match[1] if match else None


def parse(lines):
    """The calls, in the order in which they began."""
    calls, open_calls = [], {}
    for number, line in enumerate(lines, 1):
        line = line.rstrip("\n")
        if match := RESUMES.match(line):
            call, rest = open_calls.pop(int(match[1]), None), match[2]
            if call is None:
                continue  # it had begun before strace came
        elif match := BEGINS.match(line):
            call, rest = Call(int(match[1]), match[2], number), match[3]
            calls.append(call)
            if rest.endswith(UNFINISHED):
                call.arguments = rest[:-len(UNFINISHED)]
                open_calls[call.pid] = call
                continue
        else:
            continue  # a signal, or an end
        call.arguments += rest
        if match := ENDS.match(call.arguments):
            call.arguments, call.ended = match[1], number
            call.result = int(match[2]) if match[2] != "?" else -1
            call.opened = match[3]
    return calls


@dataclasses.dataclass
class Verdict:
    """Lines of the trace: when the end of the content had come, when it was on disk, and when the
    answer was begun. `synced` is None if nothing shows that."""
    read: int
    synced: int
    how: str
    replied: int
    reply: str

    @property
    def in_order(self):
        return self.synced is not None and self.read < self.synced < self.replied


def judge(calls, mark, spool=None):
    """Whether the message, the end of whose content has the words `mark`, was on disk before its
    client was answered 250; with `spool`, a directory, whether all was that was written there from
    then to the answer. Raises Failure if the trace does not have it."""
    read = next((call for call in calls if call.name in READS and mark in call.arguments and
                 (call.file or "").startswith("socket:")), None)
    if read is None:
        raise Failure("the trace does not show where the content is read")
    reply = next((call for call in calls if call.began > read.began and call.pid == read.pid and
                  call.name in SENDS and call.file == read.file), None)
    if reply is None:
        raise Failure("the trace does not show the answer to the content")
    text = re.search(r'"(\d\d\d[^"]*)"', reply.arguments)
    if not text or not text[1].startswith("250"):
        raise Failure(f"the content was not answered by 250: {reply.arguments[:100]}")
    writes = [call for call in calls if call.name in WRITES and call.result > 0 and call.ended and
              read.began < call.began < reply.began and (call.file or "").startswith("/")]
    content = [first_sync(calls, write) for write in writes if mark in write.arguments]
    synced, how = min((sync for sync in content if sync), default=(None, None))
    for write in writes:
        if spool and write.file.startswith(spool + "/"):
            other = first_sync(calls, write)
            if other is None or other[0] > reply.began:
                synced, how = None, f"no sync of {os.path.relpath(write.file, spool)}"
    return Verdict(read.ended, synced, how, reply.began, text[1].replace("\\r\\n", ""))


def first_sync(calls, write):
    """(line, name) of the call whose return says that what was written is on disk; or None."""
    if re.search(r"RWF_D?SYNC", write.arguments):
        return write.ended, f"{write.name} with RWF_DSYNC"
    for call in calls:
        if call.name in ("open", "openat") and re.search(r"O_D?SYNC", call.arguments) and \
                call.opened == write.file and call.began < write.began:
            return write.ended, f"{write.name} with O_DSYNC"
        if (call.name in SYNCS and call.file == write.file and call.began > write.ended and
                call.result == 0 and call.ended):
            return call.ended, call.name
    return None


class Strace:
    """Follows all processes of a server, and those that they start, as long as it is entered."""

    def __init__(self, pids, path, log, options=("-e", "trace=" + CALLS, "-s", str(STRING_LIMIT),
                                                 "-y")):
        self.pids, self.path, self.log, self.options = pids, path, log, options

    @staticmethod
    def obstacle():
        return None if shutil.which("strace") else "there is no strace here"

    def __enter__(self):
        self.process = subprocess.Popen(
            ["strace", "-f", *self.options, "-o", self.path,
             *(word for pid in self.pids for word in ("-p", str(pid)))],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + ATTACH_LIMIT
        while not all(map(self.is_traced, self.pids)):
            if self.process.poll() is not None or time.monotonic() > deadline:
                end(self.process)
                raise Failure("strace cannot follow the server's processes: see load.log")
            time.sleep(0.02)
        return self

    def is_traced(self, pid):
        """Every thread of it; one that has ended meanwhile is no obstacle."""
        try:
            threads = os.listdir(f"/proc/{pid}/task")
        except OSError:
            return True
        for thread in threads:
            try:
                with open(f"/proc/{pid}/task/{thread}/status") as file:
                    if re.search(r"^TracerPid:\s+0$", file.read(), re.MULTILINE):
                        return False
            except OSError:
                pass
        return True

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)  # it lets go of them, and writes what it has
        end(self.process, limit=10)

    def lines(self):
        with open(self.path, errors="replace") as file:
            return file.readlines()
