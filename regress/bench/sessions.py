#!/usr/bin/python3
"""regress/bench/sessions.py [OPTIONS] BUILD: what an idle session costs in memory, in plain text and
in TLS, and how many TLS handshakes a second there are, beside a server of one process that holds its
key itself (openssl s_server). See README."""
import argparse
import os
import resource
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
import accounting  # noqa: E402
import postern  # noqa: E402
from load import Failure  # noqa: E402

CONFIGURATION = """spool "{directory}/spool"
socket "{directory}/smtpd.sock"
hostname gateway.bench.example
smtp limit max-sessions 20000
pki gateway.bench.example cert "{directory}/ec.crt"
pki gateway.bench.example key "{directory}/ec.key"
pki rsa.bench.example cert "{directory}/rsa.crt"
pki rsa.bench.example key "{directory}/rsa.key"
listen on 127.0.0.1 port {port}
listen on 127.0.0.1 port {ec_port} smtps pki gateway.bench.example
listen on 127.0.0.1 port {rsa_port} smtps pki rsa.bench.example
match from any for domain "dest.example" reject
"""
PORTS = {"port": 2525, "ec_port": 2465, "rsa_port": 2466}
OTHER_PORT = 2467
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
    def __init__(self, build, directory, mode):
        super().__init__(build, directory, mode, PORTS["port"], 0)
        with open(self.gateway.configuration, "w") as file:
            file.write(CONFIGURATION.format(directory=directory, **PORTS))


def make_keys(directory):
    for name, kind in KEYS.items():
        subprocess.run(["openssl", "req", "-x509", "-newkey", *kind, "-nodes", "-days", "2", "-subj",
                        f"/CN={name}.bench.example", "-keyout", f"{directory}/{name}.key", "-out",
                        f"{directory}/{name}.crt"], check=True, stderr=subprocess.DEVNULL)


def open_session(port, encrypted):
    connection = socket.create_connection(("127.0.0.1", port), 10)
    if encrypted:
        connection = ssl._create_unverified_context().wrap_socket(connection)
    for words in (None, b"EHLO client.example\r\n"):
        if words:
            connection.sendall(words)
        answer = b""
        while not answer.endswith(b"\r\n") or answer[-200:].split(b"\r\n")[-2][3:4] == b"-":
            more = connection.recv(4096)
            if not more:
                raise Failure("a session ended")
            answer += more
    return connection


def idle(server, count, port, encrypted):
    """KiB of all processes for each session that has said EHLO and then nothing."""
    warm = [open_session(port, encrypted) for _ in range(50)]
    for one in warm:
        one.close()
    time.sleep(0.5)
    before = accounting.proportional_memory(server.pids())
    sessions = [open_session(port, encrypted) for _ in range(count)]
    time.sleep(1)
    held = accounting.proportional_memory(server.pids()) - before
    for one in sessions:
        one.close()
    return held / count / 1024


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
            ours.append(handshakes(PORTS[f"{name}_port"], options.seconds))
            other = OneProcess(directory, name)
            try:
                theirs.append(handshakes(OTHER_PORT, options.seconds))
            finally:
                other.stop()
        print(f"{name}: {statistics.median(ours):.0f} handshakes/s, one process with its key "
              f"{statistics.median(theirs):.0f}: {statistics.median(ours) / statistics.median(theirs):.2f} x",
              flush=True)


def main():
    options = arguments()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    directory = os.path.join(os.path.abspath(options.build), "bench", "sessions")
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    make_keys(directory)
    server = Gateway(os.path.abspath(options.build), directory, "loopback")
    server.start()
    try:
        for name, port, encrypted in (("plain", PORTS["port"], False),
                                      ("TLS", PORTS["ec_port"], True)):
            print(f"{options.sessions} idle sessions, {name}: "
                  f"{idle(server, options.sessions, port, encrypted):.1f} KiB each", flush=True)
        compare(directory, options)
        server.stop()
    finally:
        server.kill()


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"sessions: {failure}")
