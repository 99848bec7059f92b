#!/usr/bin/python3
"""regress/bench/sessions.py [OPTIONS] BUILD: what an idle session costs in memory, in plain text and
in TLS, and how many TLS handshakes a second there are, beside a server of one process that holds its
key itself (openssl s_server). See README."""
import argparse
import os
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "e2e")]
import idle  # noqa: E402
import load  # noqa: E402
import postern  # noqa: E402
import server  # noqa: E402
from load import Failure  # noqa: E402

CONFIGURATION = """spool "{s.directory}/spool"
socket "{s.directory}/smtpd.sock"
hostname gateway.bench.example
smtp limit max-sessions 20000
pki gateway.bench.example cert "{s.directory}/ec.crt"
pki gateway.bench.example key "{s.directory}/ec.key"
pki rsa.bench.example cert "{s.directory}/rsa.crt"
pki rsa.bench.example key "{s.directory}/rsa.key"
listen on 127.0.0.1 port {s.port}
listen on 127.0.0.1 port 2465 smtps pki gateway.bench.example
listen on 127.0.0.1 port 2466 smtps pki rsa.bench.example
match from any for domain "dest.example" reject
"""
PORTS = {"plain": 2525, "ec": 2465, "rsa": 2466}
OTHER_PORT = 2467
OPEN_LIMIT = 300  # seconds until all sessions are there
KEYS = {"ec": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "rsa": ["rsa:2048"]}


def arguments():
    parser = argparse.ArgumentParser(description="what sessions cost")
    parser.add_argument("build", help="the build directory")
    parser.add_argument("--sessions", type=int, default=5000, metavar="N",
                        help="idle at once (%(default)s)")
    parser.add_argument("--seconds", type=int, default=3, metavar="S",
                        help="of handshakes in each round (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N",
                        help="of handshakes; the medians are compared (%(default)s)")
    return parser.parse_args()


class Gateway(postern.Postern):
    configuration = CONFIGURATION


def make_keys(directory):
    for name, kind in KEYS.items():
        subprocess.run(["openssl", "req", "-x509", "-newkey", *kind, "-nodes", "-days", "2", "-subj",
                        f"/CN={name}.bench.example", "-keyout", f"{directory}/{name}.key", "-out",
                        f"{directory}/{name}.crt"], check=True, stderr=subprocess.DEVNULL)


def connect(port, encrypted):
    connection = socket.create_connection(("127.0.0.1", port), 10)
    return (ssl._create_unverified_context().wrap_socket(connection) if encrypted else
            connection)


def memory(gateway, count, port, encrypted):
    """KiB of all processes for each session that has said EHLO and then nothing."""
    sessions, before, after = idle.memory_of(gateway, count, lambda: connect(port, encrypted),
                                             time.monotonic() + OPEN_LIMIT)
    for one in sessions:
        one.close()
    if len(sessions) < count:
        raise Failure(f"{len(sessions)} sessions of {count} were opened")
    return (after - before) / count / 1024


def handshakes(port, seconds):
    """Full ones a second, of two clients at once."""
    clients = [subprocess.Popen(["openssl", "s_time", "-connect", f"127.0.0.1:{port}", "-new",
                                 "-time", str(seconds)], stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL, text=True) for _ in range(2)]
    total = 0
    for client in clients:
        output, _ = client.communicate(timeout=seconds * 10 + 10)
        # "1234 connections in 4 real seconds, 0 bytes read per connection"
        words = next(line for line in output.splitlines() if "real seconds" in line).split()
        total += int(words[0]) / seconds
    return total


class OneProcess:
    """OpenSSL's own server, which has the key in its memory."""

    def __init__(self, directory, name):
        self.process = subprocess.Popen(
            ["openssl", "s_server", "-accept", f"127.0.0.1:{OTHER_PORT}", "-quiet", "-cert",
             f"{directory}/{name}.crt", "-key", f"{directory}/{name}.key"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", OTHER_PORT), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise Failure("openssl s_server does not listen")

    def stop(self):
        self.process.kill()
        self.process.wait()


def compare(directory, options):
    for name in KEYS:
        ours, theirs = [], []
        for _ in range(options.rounds):
            ours.append(handshakes(PORTS[name], options.seconds))
            other = OneProcess(directory, name)
            try:
                theirs.append(handshakes(OTHER_PORT, options.seconds))
            finally:
                other.stop()
        ours, theirs = statistics.median(ours), statistics.median(theirs)
        print(f"{name}: {ours:.0f} handshakes/s, one process with its key {theirs:.0f}: "
              f"{ours / theirs:.2f} x", flush=True)


def main():
    options = arguments()
    load.raise_file_limit()
    directory = os.path.join(os.path.abspath(options.build), "bench", "sessions")
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    make_keys(directory)
    gateway = Gateway(server.Setting(os.path.abspath(options.build), directory, "loopback",
                                     PORTS["plain"], 0, 0, 0), None)
    gateway.start()
    try:
        for name, port, encrypted in (("plain", PORTS["plain"], False),
                                      ("TLS", PORTS["ec"], True)):
            print(f"{options.sessions} idle sessions, {name}: "
                  f"{memory(gateway, options.sessions, port, encrypted):.1f} KiB each", flush=True)
        compare(directory, options)
        gateway.stop()
    finally:
        gateway.kill()


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"sessions: {failure}")
