"""Where the mail comes from and goes to: Postfix's smtp-source and smtp-sink, unpacked in
BUILD/peers, or where those could not be had, simple_peers.py, which does the same more slowly.
"""
import os
import re
import resource
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BACKLOG = 1024


class Failure(Exception):
    """The benchmark has no result; the text says why."""


class Tools:
    def __init__(self, build, mode):
        root = os.path.join(build, "peers/usr")
        programs = [f"{root}/sbin/smtp-source", f"{root}/sbin/smtp-sink"]
        self.environment = dict(os.environ, LD_LIBRARY_PATH=f"{root}/lib/postfix")
        self.simple = not all(map(self.works, programs))
        if self.simple:
            simple = [sys.executable, "-B", f"{HERE}/simple_peers.py"]
            self.source, self.sink = [*simple, "source"], [*simple, "sink"]
        else:
            self.source, self.sink = [programs[0]], [programs[1]]
            if mode == "user":  # the sink refuses to be root, even one that is root by name only
                self.sink[:0] = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
            elif os.getuid() == 0:
                self.sink += ["-u", "nobody"]

    def works(self, program):
        """Whether it can be started: a wrong command line is answered by how to use it."""
        try:
            output = subprocess.run([program, "-?"], env=self.environment, capture_output=True,
                                    stdin=subprocess.DEVNULL, timeout=10)
        except (OSError, subprocess.TimeoutExpired):
            return False
        return b"usage" in output.stderr

    def name(self):
        return "simple_peers.py" if self.simple else "smtp-source, smtp-sink"


class Sink:
    """The next hop. It takes every message, throws it away, and counts."""

    def __init__(self, tools, port, log):
        self.count, self.last = 0, 0.0  # messages so far, when the last one was seen
        self.process = subprocess.Popen([*tools.sink, "-c", f"127.0.0.1:{port}", str(BACKLOG)],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=log, env=tools.environment)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        """It writes a line "… mesg=N" per message and more: only the last one matters."""
        rest = b""
        while data := os.read(self.process.stdout.fileno(), 1 << 16):
            rest = (rest + data)[-200:]
            found = re.findall(rb"mesg=(\d+)\D", rest)
            if found and int(found[-1]) != self.count:
                self.count, self.last = int(found[-1]), time.monotonic()
            time.sleep(0.003)  # so as not to run for each of the lines

    def wait(self, count, deadline):
        """Returns when it has so many, or raises Failure."""
        while self.count < count:
            if time.monotonic() > deadline:
                raise Failure(f"{count - self.count} messages have not arrived in time")
            if self.process.poll() is not None:
                raise Failure(f"the sink has ended with {self.process.returncode}")
            time.sleep(0.003)

    def stop(self):
        end(self.process)


def start_source(tools, port, count, clients, size, lasting, domain):
    """`lasting`: many messages over each connection, or one."""
    command = [*tools.source, "-s", str(min(clients, count)), "-m", str(count), "-l", str(size),
               "-M", "client.example", "-f", "sender@src.example", "-t", f"rcpt@{domain}",
               *(["-d"] if lasting else []), f"127.0.0.1:{port}"]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, text=True, env=tools.environment)


def send(tools, port, count, clients, size, lasting, domain, deadline):
    """Sends `count` messages. Returns the seconds until all of them were answered 250."""
    began = time.monotonic()
    process = start_source(tools, port, count, clients, size, lasting, domain)
    try:
        error = process.communicate(timeout=max(1, deadline - began))[1]
    except subprocess.TimeoutExpired:
        end(process)
        raise Failure("not all messages were accepted in time") from None
    if process.returncode != 0:
        raise Failure(f"the source ended with {process.returncode}: {error.strip()[-300:]}")
    return time.monotonic() - began


def end(process, limit=5):
    """Ends a process that we have started, politely at first."""
    process.terminate()
    try:
        process.wait(limit)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def raise_file_limit():
    """To what we may have: sessions are descriptors, of ours and of servers that we start."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
