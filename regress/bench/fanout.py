#!/usr/bin/python3
"""regress/bench/fanout.py [OPTIONS] BUILD: much mail for one next hop, and for as many next hops as
there are messages: connections, descriptors and memory against their bounds. See README."""
import argparse
import collections
import concurrent.futures
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "e2e")]
import accounting  # noqa: E402
import fanout_sink  # noqa: E402
import load  # noqa: E402
from lab import dns, gateway, hosts, isolation, smtp_client  # noqa: E402
from load import Failure  # noqa: E402

PORT, SINK_PORT, DNS_PORT = 2525, 25, 53
SERVER = "127.0.0.1"
CLIENTS = 10        # that submit at once
PER_HOP = 20        # queue limit max-per-destination
RELAYS = 2          # relay processes
CONFIGURATION = """spool "{directory}/spool"
socket "{directory}/smtpd.sock"
hostname gateway.bench.example
resolver forward {dns} port {dns_port} trust-anchor "{anchor}"
queue limit max-per-destination {per_hop}
relay processes {relays}
smtp limit max-mails 999999
listen on {server} port {port}
action "out" relay
match from any for any action "out"
"""
TUNING = {"net/ipv4/ip_local_port_range": "10000 65000", "net/core/somaxconn": "4096"}
CANNOT = 77  # exit status: it cannot be run here
START_LIMIT, SETTLE_LIMIT = 30, 30  # seconds
# What the programs say of themselves: relay.cc, destination.h.
DELIVERIES = 200          # of a relay at once
CONNECTIONS = DELIVERIES * 5 // 2  # of these, of those that wait for more mail, of those that say QUIT
DESCRIPTORS = 4 * DELIVERIES + 32  # of a relay
MESSAGES = 100            # over one connection
QUEUE_DESCRIPTORS = 64 + RELAYS * DELIVERIES  # its own, and large content on its way
# Memory beyond that of an idle process, in octets. A message that waits costs the queue some 500
# (smtpd.conf(5)) and its destination more, once; content on its way is with both, and once more in
# what a relay sends ahead; and a relay remembers of 10,000 hosts how they were.
CONTENT = 128 << 10       # of a delivery: what is larger is a file (submission.h), or sent in parts
QUEUE_PER_MESSAGE = 2048
QUEUE_REST = 16 << 20     # journal, allocator
RELAY_PER_DELIVERY = 96 << 10  # buffers
RELAY_PER_HOST = 1024


def arguments():
    parser = argparse.ArgumentParser(description="much mail for one next hop, and for many")
    parser.add_argument("build", help="the build directory")
    parser.add_argument("--messages", type=int, default=10000, metavar="N",
                        help="for each of the two (%(default)s)")
    parser.add_argument("--octets", type=int, default=4096, metavar="N",
                        help="of a message (%(default)s)")
    parser.add_argument("--pause", type=float, default=0.2, metavar="S",
                        help="how long a next hop takes to greet (%(default)s)")
    parser.add_argument("--limit", type=float, default=300, metavar="S",
                        help="the time for each of the two (%(default)s)")
    parser.add_argument("--directory", metavar="DIR",
                        help="for all that it writes (BUILD/bench-fanout)")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not 1 <= options.messages <= 60000:
        parser.error("--messages must be 1 to 60000")
    options.build = os.path.abspath(options.build)
    options.directory = os.path.abspath(options.directory or
                                        os.path.join(options.build, "bench-fanout"))
    return options


def hop_address(number):
    return f"127.{100 + number // 65536}.{number // 256 % 256}.{number % 256}"


def hop_domain(number):
    return f"h{number}.example"


def zones(count):
    """One zone, with a domain for each hop, and its mail exchanger."""
    lines = ["zone example"]
    for number in range(1, count + 1):
        lines += [f"h{number} MX 10 mx{number}", f"mx{number} A {hop_address(number)}"]
    return "\n".join(lines) + "\n"


class Watch:
    """The most descriptors that each of the processes had, while it runs, and the most memory, of
    which the kernel keeps account."""
    STEP = 0.05  # seconds

    def __init__(self, pids):
        self.names = {pid: accounting.program_of(pid) for pid in pids}
        self.descriptors = dict.fromkeys(pids, 0)
        self.idle, self.memory = {}, {}  # resident, in octets: before, and at most
        for pid in pids:
            with contextlib.suppress(OSError):  # not ours to do: the most since it started, then
                with open(f"/proc/{pid}/clear_refs", "w") as file:
                    file.write("5")  # the most is what it is now
            self.idle[pid] = resident(pid, "VmRSS")
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.ended.wait(self.STEP):
            for pid in self.names:
                with contextlib.suppress(OSError):  # it has ended: that is noticed elsewhere
                    self.descriptors[pid] = max(self.descriptors[pid],
                                                len(os.listdir(f"/proc/{pid}/fd")))

    def end(self):
        self.ended.set()
        self.thread.join()
        self.memory = {pid: resident(pid, "VmHWM") for pid in self.names}

    def of(self, role):
        return [pid for pid, name in self.names.items() if name == role]


def resident(pid, field):
    found = re.search(rf"^{field}:\s+(\d+) kB", accounting.read(f"/proc/{pid}/status") or "", re.M)
    return int(found[1]) * 1024 if found else 0


def descriptor_limit(pid):
    found = re.search(r"^Max open files\s+(\d+)", accounting.read(f"/proc/{pid}/limits") or "", re.M)
    return int(found[1]) if found else 1 << 20


class Server:
    """The gateway, its name server, and the sink that is all next hops."""

    def __init__(self, options):
        network = hosts.Network("loopback")  # addresses of this loopback, which is ours alone
        self.dns = dns.NameServer(network.hosts["dns"], DNS_PORT,
                                  os.path.join(options.directory, "dns"), options.build)
        self.dns.write_zones(zones(options.messages))
        self.gateway = gateway.Gateway(network.hosts["gateway"], options.build, options.directory,
                                       options.inside)
        with open(self.gateway.configuration, "w") as file:
            file.write(CONFIGURATION.format(
                directory=options.directory, dns=self.dns.host.address, dns_port=DNS_PORT,
                anchor=self.dns.trust_anchor, per_hop=PER_HOP, relays=RELAYS, server=SERVER,
                port=PORT))
        self.sink = fanout_sink.Sink(SINK_PORT, options.pause)

    def start(self):
        self.dns.start()
        self.gateway.start()
        wait(lambda: self.dns.is_ready() and self.gateway.is_ready(), START_LIMIT,
             "the gateway or nsd does not answer")

    def pids(self):
        return [self.gateway.process.pid, *self.gateway.processes()]

    def control(self, *words):
        status, output = self.gateway.smtpctl(words)
        if status != 0:
            raise Failure(f"smtpctl {' '.join(words)} ended with {status}: {output.strip()}")
        return output

    def figure(self, name):
        found = re.search(rf"^{re.escape(name)}=(\d+)$", self.control("show", "stats"), re.M)
        return int(found[1]) if found else 0

    def stop(self):
        if (status := self.gateway.stop()) != 0:
            raise Failure(f"smtpd ended with {status}")

    def kill(self):
        if self.gateway.is_running():
            self.gateway.kill_all()
        self.dns.stop()


def wait(condition, limit, what):
    deadline = time.monotonic() + limit
    while not condition():
        if time.monotonic() > deadline:
            raise Failure(what)
        time.sleep(0.02)


def submit(server, domains, octets):
    """One message to each of the domains, over a few connections."""
    content = (b"From: <sender@src.example>\r\nSubject: fan-out\r\n\r\n" +
               b"0123456789abcdef\r\n" * (octets // 18))

    def work(share):
        client = smtp_client.Client(server.gateway.host.connect(SERVER, PORT))
        client.greet("client.example")
        for domain in share:
            client.send_message("sender@src.example", [f"user@{domain}"], content)
        client.quit()
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        for done in [pool.submit(work, domains[number::CLIENTS]) for number in range(CLIENTS)]:
            done.result()


class Bounds:
    """What was measured and what it may be. `broken` when one of them is exceeded."""

    def __init__(self):
        self.broken = False

    def show(self, what, value, bound, unit=""):
        exceeded = value > bound
        self.broken |= exceeded
        print(f"  {what:<44}{value:>8}{unit:<4} of {bound:>6}{unit:<4}"
              f"{' EXCEEDED' if exceeded else ''}", flush=True)


def measure(server, options, bounds, title, domains, most_connections, most_at_once):
    """Accepts one message for each domain while nothing is sent, then sends them all."""
    print(f"{title}: {len(domains)} messages", flush=True)
    server.sink.forget()
    server.control("pause", "mta")
    watch = Watch(server.pids())
    began = time.monotonic()
    submit(server, domains, options.octets)
    print(f"  accepted in {time.monotonic() - began:.1f} s")
    wait(lambda: server.figure("queue.messages") == len(domains), SETTLE_LIMIT,
         "not all that was accepted is in the queue")
    began = time.monotonic()
    server.control("resume", "mta")
    wait(lambda: server.sink.messages >= len(domains), options.limit,
         f"only {server.sink.messages} of {len(domains)} messages have arrived in time")
    print(f"  delivered in {time.monotonic() - began:.1f} s")
    wait(lambda: server.figure("queue.messages") == 0, SETTLE_LIMIT, "the queue is not empty")
    watch.end()
    if server.sink.at != collections.Counter((address_of(domain), f"user@{domain}")
                                             for domain in domains):
        raise Failure("not each message has arrived once and at its own next hop")
    if sorted(watch.names) != sorted(server.pids()):
        raise Failure("a process has ended meanwhile")
    judge(watch, len(domains), len(set(domains)), options.octets, bounds)
    bounds.show("connections", server.sink.connections, most_connections)
    bounds.show("connections at once", server.sink.most_open, most_at_once)


def address_of(domain):
    return hop_address(int(domain[1:].partition(".")[0]))


def judge(watch, messages, hops, octets, bounds):
    content = min(octets, CONTENT)
    memory = {"queue": messages * QUEUE_PER_MESSAGE + RELAYS * DELIVERIES * content + QUEUE_REST,
              "relay": DELIVERIES * (2 * content + RELAY_PER_DELIVERY) + hops * RELAY_PER_HOST}
    descriptors = {"queue": QUEUE_DESCRIPTORS, "relay": DESCRIPTORS}
    for role in "relay", "queue":
        for pid in watch.of(role):
            bounds.show(f"{role}[{pid}] descriptors", watch.descriptors[pid],
                        min(descriptors[role], descriptor_limit(pid)))
            bounds.show(f"{role}[{pid}] memory", watch.memory[pid] >> 20,
                        (watch.idle[pid] + memory[role]) >> 20, " MiB")
    for pid, name in watch.names.items():
        if name not in memory:
            print(f"  {name + f'[{pid}]':<20} {watch.descriptors[pid]:>5} descriptors of "
                  f"{descriptor_limit(pid)}, {watch.memory[pid] >> 20} MiB", flush=True)
            bounds.broken |= watch.descriptors[pid] >= descriptor_limit(pid)


def inside(options):
    hosts.ip(["link set lo up"])
    for name, value in TUNING.items():
        try:
            with open("/proc/sys/" + name, "w") as file:
                file.write(value)
        except OSError:
            pass  # not ours to set: the defaults do for shorter runs
    load.raise_file_limit()
    server, bounds, count = Server(options), Bounds(), options.messages
    try:
        server.start()
        measure(server, options, bounds, "one next hop", [hop_domain(1)] * count,
                -(-count // MESSAGES) + 2 * PER_HOP, 2 * PER_HOP)
        time.sleep(3)  # what is idle is let go of
        measure(server, options, bounds, "as many next hops",
                [hop_domain(number) for number in range(1, count + 1)],
                count, RELAYS * CONNECTIONS)
        server.stop()
    except (Failure, OSError, RuntimeError, smtp_client.Refused) as error:
        print(f"FAILED: {error} (log: {server.gateway.log_path})", flush=True)
        return 1
    finally:
        server.kill()
    return 1 if bounds.broken else 0


def main():
    options = arguments()
    if options.inside:
        return isolation.become_init(lambda: inside(options))
    if not os.path.exists(os.path.join(options.build, "bin/smtpd")):
        sys.exit(f"fanout: {options.build}/bin/smtpd is missing: run `make` first")
    mode = isolation.find_mode()
    if mode == "loopback" or dns.find_nsd(options.build) is None:
        print("fanout: needs namespaces, for a loopback of its own, and nsd")
        return CANNOT
    shutil.rmtree(options.directory, ignore_errors=True)
    os.makedirs(options.directory)
    os.chmod(options.directory, 0o755)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    process = subprocess.Popen([*isolation.PREFIX[mode], *sys.orig_argv, "--inside", mode],
                               stdin=subprocess.PIPE)  # our end of it closed, all of it ends
    try:
        return process.wait()
    finally:
        process.stdin.close()
        process.wait()
        shutil.rmtree(os.path.join(options.directory, "spool"), ignore_errors=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
